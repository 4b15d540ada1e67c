"""What an account has and uses: files, past jobs, credits, tokens."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from piktid_async.models.jobs import Output
from piktid_async.types import Json, redact_url

Order: TypeAlias = Literal["asc", "desc"]
Resolution: TypeAlias = Literal["day", "week", "month"]
Breakdown: TypeAlias = Literal["job_type", "user"]


def _hidden(_: object) -> str:
    return "'***'"


@attrs.frozen(kw_only=True)
class Asset:
    """An uploaded file. https://docs.piktid.com/docs/v2/assets/list_assets__get."""

    id: str
    """The `file_id` that job requests take."""
    filename: str | None = None
    url: str | None = attrs.field(default=None, repr=redact_url)
    """A signed URL of limited life."""
    thumbnail_big: str | None = attrs.field(default=None, repr=redact_url)
    thumbnail_small: str | None = attrs.field(default=None, repr=redact_url)
    tags: tuple[str, ...] = ()
    """Of model, product, background, other."""
    visibility: str | None = None
    created_at: str | None = None
    created_by: str | None = None
    styling_note: Json = None
    detected: Json = None
    """What the service saw in it; no page names its shape."""
    dimensions: Json = None
    """No page names its shape."""

    @property
    def file_id(self) -> str:
        """The id, by the name that uploads and job requests use."""
        return self.id


@attrs.frozen(kw_only=True)
class Deletion:
    """What became of a deletion."""

    deleted_count: int
    failed: tuple[str, ...] = ()
    """Those that are not there, or not this account's to delete."""


@attrs.frozen(kw_only=True)
class JobSummary:
    """One job of the gallery. https://docs.piktid.com/docs/v2/gallery/get_gallery_by_job__get."""

    job_id: str
    job_type: str | None = None
    job_status: str | None = None
    identity_code: str | None = None
    identity_name: str | None = None
    project_key: str | None = None
    """What job requests call `project`."""
    project_name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    created_by: str | None = None
    total_images: int | None = None
    completed_images: int | None = None
    failed_images: int | None = None
    images: tuple[Output, ...] = ()
    """At most `max_images`, and only those that the filters let through."""


@attrs.frozen(kw_only=True)
class ProjectSummary:
    """One project of the gallery.

    https://docs.piktid.com/docs/v2/gallery/get_gallery_by_project__get
    """

    project_key: str
    """What job requests call `project`."""
    project_name: str | None = None
    created_at: str | None = None
    created_by: str | None = None
    total_images: int | None = None
    completed_images: int | None = None
    failed_images: int | None = None
    images: tuple[Output, ...] = ()
    """At most `max_images`, and only those that the filters let through."""


@attrs.frozen(kw_only=True)
class UsagePeriod:
    """Credits of one kind of job in one period."""

    total_credits: float
    job_type: str | None = None
    job_count: int | None = None
    period_start: str | None = None
    period_end: str | None = None


@attrs.frozen(kw_only=True)
class CreditUsage:
    """Credits that were used: not what is left.

    https://docs.piktid.com/docs/v2/billing/get_billing_credits__get
    """

    total_credits: float
    summary: tuple[UsagePeriod, ...] = ()


@attrs.frozen(kw_only=True)
class GroupMember:
    """What one member of a group has used."""

    user_id: int | None = None
    email: str | None = None
    username: str | None = None
    total_credits: float | None = None
    job_count: int | None = None


@attrs.frozen(kw_only=True)
class GroupUsage:
    """Credits that a group has used.

    https://docs.piktid.com/docs/v2/billing/get_group_usage__get
    """

    group_name: str
    total_credits: float
    member_count: int | None = None
    period_start: str | None = None
    period_end: str | None = None
    summary: tuple[UsagePeriod, ...] = ()
    summary_by_user: Json = None
    """Set with breakdown="user"; no page names its shape."""
    members: tuple[GroupMember, ...] = ()


@attrs.frozen(kw_only=True)
class ApiToken:
    """A new token, which is shown this once. It cannot be refreshed, nor, it seems, revoked."""

    token: str = attrs.field(repr=_hidden)
    expiration_date: str | None = None


@attrs.frozen(kw_only=True)
class TokenInfo:
    """A token of the account, without the token itself."""

    token_id: str
    """A hash: it is not accepted in place of the token."""
    expiration_date: str | None = None


@attrs.frozen(kw_only=True)
class Profile:
    """The user, as a login tells. https://docs.piktid.com/docs/v2/authentication/login__post."""

    username: str | None = None
    email: str | None = None
    name: str | None = None
    surname: str | None = None
    verified: bool | None = None
    credits: float | None = None
    """Credits that were left at that moment; no other endpoint is known to tell them."""
    contract: str | None = None
    affiliation: str | None = None
    country: str | None = None
    groups: tuple[str, ...] = ()
    last_active: str | None = None


@attrs.frozen(kw_only=True)
class TokenPair:
    """The answer to a login or a refresh."""

    token: str = attrs.field(repr=_hidden)
    expiration_date: str | None = None
    refresh_token: str | None = attrs.field(default=None, repr=_hidden)
    refresh_expiration: str | None = None
    user: Profile | None = None
