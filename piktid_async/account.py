"""What an account has and uses: files, past jobs, credits, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import attrs

from piktid_async import results
from piktid_async.models.account import (
    ApiToken,
    Asset,
    Breakdown,
    CreditUsage,
    Deletion,
    GroupUsage,
    JobSummary,
    Order,
    ProjectSummary,
    Resolution,
    TokenInfo,
)
from piktid_async.models.images import UploadedFile, file_id_of
from piktid_async.models.jobs import Output
from piktid_async.models.projects import Project, project_id_of
from piktid_async.models.rules import as_tuple
from piktid_async.models.times import Moment, token_life, utc_text
from piktid_async.paging import choice, chosen, each, number, text
from piktid_async.protocol import endpoints
from piktid_async.runtime import Runtime
from piktid_async.types import Link, Params

MOST_DELETED = 100
"""Ids in one request. https://docs.piktid.com/docs/v2/assets/delete_assets_bulk__post"""
MOST_IMAGES = 200

GallerySort: TypeAlias = Literal["original_filename", "quality_score"]

Summary = TypeVar("Summary", JobSummary, ProjectSummary)


class Assets:
    """`session.assets`: the uploaded files."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(
        self,
        *,
        search: str | None = None,
        created_by: str | None = None,
        created_after: Moment | None = None,
        created_before: Moment | None = None,
        include_tags: Iterable[str] | None = None,
        exclude_tags: Iterable[str] | None = None,
        ownership: str | None = None,
        sort_by: Literal["created_at", "filename"] = "created_at",
        order: Order = "desc",
    ) -> AsyncIterator[Asset]:
        """Yield the files that fit, newest first; one request per hundred, no credits.

        `search` looks at tags, file name and project name; `ownership` is mine, shared or
        default; tags are model, product, background, other: a file has all of `include_tags`
        and none of `exclude_tags`. To delete what is listed, collect it first.
        https://docs.piktid.com/docs/v2/assets/list_assets__get
        """
        filters = chosen(
            search=search,
            created_by=created_by,
            created_after=_moment("created_after", created_after),
            created_before=_moment("created_before", created_before),
            include_tags=_joined("include_tags", include_tags),
            exclude_tags=_joined("exclude_tags", exclude_tags),
            ownership=ownership,
            sort_by=choice("sort_by", sort_by, "created_at", "filename"),
            order=choice("order", order, "asc", "desc"),
        )
        return each(
            self._runtime,
            lambda page: endpoints.list_assets(page, filters),
            endpoints.asset_of_row,
            lambda asset: asset.id,
        )

    async def get(self, asset: UploadedFile | str) -> Asset:
        """Return one file; one request. Raises `NotFoundError`.

        https://docs.piktid.com/docs/v2/assets/get_single_asset__get
        """
        call = endpoints.asset(file_id_of("asset", asset))
        return await self._runtime.connect().caller.execute(call)

    async def delete_many(self, assets: Iterable[Asset | UploadedFile | str]) -> Deletion:
        """Delete files for good; one request per hundred, not repeated after a fault.

        Each is deleted once, however often it is given. If a later request fails, what the
        earlier ones deleted is gone.
        https://docs.piktid.com/docs/v2/assets/delete_assets_bulk__post
        """
        caller = self._runtime.connect().caller
        given = as_tuple("assets", assets)
        ids = list(dict.fromkeys(_asset_id(asset) for asset in given))
        parts = [
            await caller.execute(endpoints.delete_assets(ids[start : start + MOST_DELETED]))
            for start in range(0, len(ids), MOST_DELETED)
        ]
        return summed(parts)


class Gallery:
    """`session.gallery`: past and running jobs with their images."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def jobs(
        self,
        *,
        project: Project | str | None = None,
        status: str | None = None,
        feedback: Iterable[str] | None = None,
        ownership: str | None = None,
        job_id: str | None = None,
        job_type: str | None = None,
        search: str | None = None,
        max_images: int = 50,
        sort_by: GallerySort = "original_filename",
        order: Order = "desc",
    ) -> AsyncIterator[JobSummary]:
        """Yield the jobs that fit; one request per hundred, no credits.

        The images can be saved like a job's outputs. `status` and `feedback` are those of
        images, and a job without such images is left out; `ownership` is mine or shared; what
        `search` looks at is not documented.
        https://docs.piktid.com/docs/v2/gallery/get_gallery_by_job__get
        """
        filters: Params = {
            **_gallery_filters(project, status, feedback, ownership, search, sort_by, order),
            **chosen(job_id=job_id, job_type=job_type),
            "max_images_per_job": number("max_images", max_images, 1, MOST_IMAGES),
        }
        return each(
            self._runtime,
            lambda page: endpoints.list_job_summaries(page, filters),
            lambda row: self._saveable(endpoints.job_summary_of_row(row)),
            lambda job: job.job_id,
        )

    def projects(
        self,
        *,
        project: Project | str | None = None,
        status: str | None = None,
        feedback: Iterable[str] | None = None,
        ownership: str | None = None,
        search: str | None = None,
        max_images: int = 50,
        sort_by: GallerySort = "original_filename",
        order: Order = "desc",
    ) -> AsyncIterator[ProjectSummary]:
        """Yield the projects that fit; one request per hundred, no credits.

        `search` is for a project's name, key or number; the rest is as in `jobs`.
        https://docs.piktid.com/docs/v2/gallery/get_gallery_by_project__get
        """
        filters: Params = {
            **_gallery_filters(project, status, feedback, ownership, search, sort_by, order),
            "max_images_per_project": number("max_images", max_images, 1, MOST_IMAGES),
        }
        return each(
            self._runtime,
            lambda page: endpoints.list_project_summaries(page, filters),
            lambda row: self._saveable(endpoints.project_summary_of_row(row)),
            lambda project: project.project_key,
        )

    def _saveable(self, summary: Summary) -> Summary:
        runtime = self._runtime

        async def save(output: Output, path: str | PathLike[str]) -> Path:
            return await results.save_output(runtime, output, path)

        images = tuple(attrs.evolve(image, saver=Link(save)) for image in summary.images)
        return attrs.evolve(summary, images=images)


class Billing:
    """`session.billing`: credits that were used."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def usage(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        resolution: Resolution = "day",
    ) -> CreditUsage:
        """Return the credits used from `start` to `end`, by kind of job and period; one request.

        What is left is told by a login alone: see `piktid_async.login`.
        https://docs.piktid.com/docs/v2/billing/get_billing_credits__get
        """
        call = endpoints.credit_usage(_period(start, end, resolution))
        return await self._runtime.connect().caller.execute(call)

    async def group_usage(
        self,
        name: str,
        start: Moment | None = None,
        end: Moment | None = None,
        resolution: Resolution = "day",
        breakdown: Breakdown = "job_type",
    ) -> GroupUsage:
        """Return the credits that a group used, member by member; for its owner; one request.

        Without `start`, from the first day of this month. Raises `PermissionDeniedError`.
        https://docs.piktid.com/docs/v2/billing/get_group_usage__get
        """
        period = _period(start, end, resolution)
        split = choice("breakdown", breakdown, "job_type", "user")
        call = endpoints.group_usage(text("name", name), {**period, "breakdown": split})
        return await self._runtime.connect().caller.execute(call)


class ApiTokens:
    """`session.tokens`: the account's API tokens."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def create(self, expiration: timedelta | str | float) -> ApiToken:
        """Make a token that lives from 1 hour to 4 years; one request, never repeated.

        `expiration` is a timedelta, seconds, or text: "P30D", "30D", "1d,02:30:00". The token
        is shown this once; an account can have 20 of them, and no way to revoke one is known.
        https://docs.piktid.com/docs/v2/authentication/generate_new_token__post
        """
        call = endpoints.create_token(token_life(expiration))
        return await self._runtime.connect().caller.execute(call)

    def list(
        self, *, include_expired: bool = False, order: Order = "desc"
    ) -> AsyncIterator[TokenInfo]:
        """Yield what is known of the tokens, which is never themselves; one request per hundred.

        https://docs.piktid.com/docs/v2/authentication/list_tokens__get
        """
        filters = chosen(
            include_expired=bool(include_expired), order=choice("order", order, "asc", "desc")
        )
        return each(
            self._runtime,
            lambda page: endpoints.list_tokens(page, filters),
            endpoints.token_of_row,
            lambda token: token.token_id,
        )


def summed(parts: Iterable[Deletion]) -> Deletion:
    """Add up what several requests deleted."""
    known = tuple(parts)
    return Deletion(
        deleted_count=sum(part.deleted_count for part in known),
        failed=tuple(each for part in known for each in part.failed),
    )


def _asset_id(asset: Asset | UploadedFile | str) -> str:
    return asset.id if isinstance(asset, Asset) else file_id_of("assets", asset)


def _moment(field: str, value: Moment | None) -> str | None:
    return None if value is None else utc_text(field, value)


def _joined(field: str, tags: Iterable[str] | None) -> str | None:
    return None if tags is None else ",".join(text(field, tag) for tag in as_tuple(field, tags))


def _period(start: Moment | None, end: Moment | None, resolution: str) -> Params:
    return chosen(
        start_date=_moment("start", start),
        end_date=_moment("end", end),
        resolution=choice("resolution", resolution, "day", "week", "month"),
    )


def _gallery_filters(
    project: Project | str | None,
    status: str | None,
    feedback: Iterable[str] | None,
    ownership: str | None,
    search: str | None,
    sort_by: str,
    order: str,
) -> Params:
    return chosen(
        project_id=None if project is None else project_id_of(project),
        status=status,
        feedback=None if feedback is None else as_tuple("feedback", feedback),
        ownership=None if ownership is None else choice("ownership", ownership, "mine", "shared"),
        search=search,
        sort_by=choice("sort_by", sort_by, "original_filename", "quality_score"),
        order=choice("order", order, "asc", "desc"),
    )
