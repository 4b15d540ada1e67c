"""Notifications: what the service tells of its own accord."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

import attrs

from piktid_async.errors import ConfigurationError
from piktid_async.types import Json, JsonObject, Link, NoteId, redact_url, words

NAMES = ("batch_edit", "identity_preprocessing", "image_result")
"""The names that are documented. https://docs.piktid.com/docs/v2/concepts/notifications"""

AckMode: TypeAlias = Literal["handled", "manual", "never"]


# Not frozen, which would treble the cost of building one; nobody writes to it.
@attrs.define(eq=False)
class WireNotification:
    """A notification as it came, checked for its outer shape only.

    Most notifications only move a job's counters; the classes below are built for those who
    look at them.
    """

    id: NoteId
    name: str
    timestamp: float
    job_id: str | None
    data: JsonObject = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class BatchEdit:
    """A job's status or count has changed. https://docs.piktid.com/docs/v2/garment-recolor."""

    status: str
    total_images: int | None = None
    processed_images: int | None = None
    error_message: str | None = attrs.field(default=None, converter=words)


@attrs.frozen(kw_only=True)
class ImageResult:
    """One image is ready, or has failed. https://docs.piktid.com/docs/v2/image-playground."""

    image_index: int
    group_index: int = 0
    status: str
    output_link: str | None = attrs.field(default=None, repr=redact_url)
    output_thumbnail_link: str | None = attrs.field(default=None, repr=redact_url)
    error_message: str | None = attrs.field(default=None, converter=words)
    version: int = 0


@attrs.frozen(kw_only=True)
class IdentityPreprocessing:
    """An identity has been prepared; its fields are not documented and may be absent."""

    identity_code: str | None = None
    status: str | None = None
    error_message: str | None = attrs.field(default=None, converter=words)


@attrs.frozen(kw_only=True)
class UnknownPayload:
    """A kind of notification, or a shape of a known one, that this version does not know."""

    reason: str = "unknown name"


Payload: TypeAlias = BatchEdit | ImageResult | IdentityPreprocessing | UnknownPayload


@attrs.frozen
class Notification:
    """One notification of the account."""

    id: NoteId
    name: str
    timestamp: float
    """Unix seconds, by the server's clock."""
    job_id: str | None
    payload: Payload
    data: Mapping[str, Json] = attrs.field(repr=False)
    """The raw `data`, for fields that are not modelled."""
    acker: Link[Callable[[NoteId], Awaitable[None]]] = attrs.field(
        factory=Link, repr=False, eq=False
    )

    async def ack(self) -> None:
        """Delete it at the service, so that it is not replayed; one request.

        Needed with `Session(ack="manual")`, harmless otherwise: a notification that is gone
        already counts as acknowledged. Raises `ConnectionFailedError` or `StatusError`.
        """
        if self.acker.target is None:
            raise ConfigurationError("this notification did not come from a session")
        await self.acker.target(self.id)
