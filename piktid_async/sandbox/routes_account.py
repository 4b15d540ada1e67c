"""`/assets`, `/gallery/by-project` and `/billing`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import attrs
from aiohttp import web

from piktid_async.sandbox import payloads
from piktid_async.sandbox.answers import (
    JsonObject,
    invalid,
    json_answer,
    json_object,
    problem,
    refuse,
)
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.gallery import Shown
from piktid_async.sandbox.orders import Project, Upload
from piktid_async.sandbox.paging import paged, query_choice, query_int, query_list
from piktid_async.sandbox.state import Account, Output, iso
from piktid_async.sandbox.storage import Storage

USER = "sandbox"
GROUP = "sandbox"
# The service tells by itself what a picture shows; the sandbox takes each for a product.
TAGS = ["product"]
ALLOWED_TAGS = {"model", "product", "background", "other"}
MOST_DELETED = 100


@attrs.frozen(kw_only=True)
class AssetRoutes:
    """The uploaded files."""

    account: Account
    storage: Storage

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get("/assets", self.list),
            web.get("/assets/{asset_id}", self.get),
            web.post("/assets/bulk-delete", self.delete),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List what has arrived."""
        found = [each for each in self.account.uploads.values() if self._wanted(each, request)]
        if query_choice(request, "sort_by", ("created_at", "filename")) == "filename":
            found.sort(key=lambda each: each.filename)
        page, pagination = paged(request, found)
        rows = [
            {**self._shown(each), "styling_note": None, "detected": None, "dimensions": None}
            for each in page
        ]
        return json_answer({"pagination": pagination, "assets": rows})

    async def get(self, request: web.Request) -> web.Response:
        """Describe one."""
        upload = self.account.uploads.get(request.match_info["asset_id"])
        if upload is None or self._arrived(upload) is None:
            raise refuse(404, "Asset not found")
        return json_answer(self._shown(upload))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete several; links that were handed out before still work, as signed URLs do."""
        fields = Fields(await json_object(request))
        ids = fields.texts("asset_ids", most=MOST_DELETED)
        fields.raise_problems()
        known = [each for each in ids if each in self.account.uploads]
        for asset_id in known:
            self.account.drop_upload(asset_id)
        failed = [each for each in ids if each not in known]
        return json_answer({"deleted_count": len(set(known)), "failed_ids": failed})

    def _arrived(self, upload: Upload) -> float | None:
        stored = self.storage.spool.find(upload.object_key)
        return None if stored is None else stored.path.stat().st_mtime

    def _wanted(self, upload: Upload, request: web.Request) -> bool:
        arrived = self._arrived(upload)
        if arrived is None:
            return False
        ownership = query_choice(request, "ownership", ("mine", "shared", "default"))
        author = request.query.get("created_by", USER)
        after, before = _moment(request, "created_after"), _moment(request, "created_before")
        search = request.query.get("search", "").lower()
        return (
            ownership in (None, "mine")
            and author == USER
            and (after is None or arrived >= after)
            and (before is None or arrived <= before)
            and (search in upload.filename.lower() or search in TAGS)
            and _tags(request, "include_tags") <= set(TAGS)
            and not _tags(request, "exclude_tags") & set(TAGS)
        )

    def _shown(self, upload: Upload) -> JsonObject:
        return {
            "id": upload.file_id,
            "filename": upload.filename,
            "url": self.storage.download_url(upload.object_key),
            "created_at": iso(self._arrived(upload) or 0.0),
            "created_by": USER,
            "tags": TAGS,
            "visibility": "private",
            "thumbnail_big": None,
            "thumbnail_small": None,
        }


@attrs.frozen(kw_only=True)
class ProjectGalleryRoutes:
    """The gallery by project."""

    account: Account
    storage: Storage

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [web.get("/gallery/by-project", self.list)]

    async def list(self, request: web.Request) -> web.Response:
        """List projects with their images."""
        most = query_int(request, "max_images_per_project", 50, least=1, most=200)
        wanted = query_list(request, "project_id")
        search = request.query.get("search", "").lower()
        projects = [
            project
            for project in self.account.projects.values()
            if (wanted is None or not wanted.isdisjoint((project.key, str(project.number))))
            and (search in project.name.lower() or search in (project.key, str(project.number)))
        ]
        page, pagination = paged(request, projects)
        shown = Shown.asked_for(request)
        rows = [self._shown(project, shown, most) for project in page]
        return json_answer({"pagination": pagination, "projects": rows})

    def _shown(self, project: Project, shown: Shown, most: int) -> JsonObject:
        jobs = [job for job in self.account.jobs.values() if job.request.project == project]
        images = [
            payloads.image_result(job, output, self.storage)
            for job in jobs
            for output in shown.of([job])
        ]
        return {
            "project_id": project.number,
            "project_name": project.name,
            "project_key": project.key,
            "created_at": iso(project.created),
            "created_by": USER,
            "total_images": sum(len(job.outputs) for job in jobs),
            "completed_images": sum(job.successful for job in jobs),
            "failed_images": sum(job.failed for job in jobs),
            "images": images[:most],
        }


@attrs.frozen(kw_only=True)
class _Charge:
    at: datetime
    kind: str
    job_id: str
    credits: float


@attrs.frozen(kw_only=True)
class BillingRoutes:
    """Credits that were used."""

    account: Account

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get("/billing/credits", self.credits),
            web.get("/billing/usage/{group_name}", self.group),
        ]

    async def credits(self, request: web.Request) -> web.Response:
        """Sum up what jobs have charged."""
        resolution = query_choice(request, "resolution", ("day", "week", "month")) or "day"
        charges = self._charges(_moment(request, "start_date"), _moment(request, "end_date"))
        return json_answer(
            {"total_credits": _sum(charges), "summary": _summary(charges, resolution)}
        )

    async def group(self, request: web.Request) -> web.Response:
        """Sum up what the one group of the sandbox has used."""
        name = request.match_info["group_name"]
        if name != GROUP:
            raise refuse(403, "Only the owner of a group can see its usage")
        resolution = query_choice(request, "resolution", ("day", "week", "month")) or "day"
        breakdown = query_choice(request, "breakdown", ("job_type", "user"))
        now = datetime.now(UTC)
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        start = _moment(request, "start_date") or month.timestamp()
        end = _moment(request, "end_date") or time.time()
        charges = self._charges(start, end)
        total, jobs = _sum(charges), len({charge.job_id for charge in charges})
        member = {
            "user_id": 1,
            "email": "sandbox@example.com",
            "username": USER,
            "total_credits": total,
            "job_count": jobs,
        }
        return json_answer(
            {
                "group_name": name,
                "member_count": 1,
                "period_start": iso(start),
                "period_end": iso(end),
                "total_credits": total,
                "summary": _summary(charges, resolution),
                # The reference shows null, and never what it is otherwise: invented.
                "summary_by_user": [member] if breakdown == "user" else None,
                "members": [member],
            }
        )

    def _charges(self, start: float | None, end: float | None) -> list[_Charge]:
        charged = (
            (job, output)
            for job in self.account.jobs.values()
            for output in job.history
            if _cost(output)
        )
        return [
            _Charge(
                at=datetime.fromtimestamp(output.updated, UTC),
                kind=job.request.kind,
                job_id=job.job_id,
                credits=output.shot.credits,
            )
            for job, output in charged
            if (start is None or output.updated >= start) and (end is None or output.updated < end)
        ]


def _cost(output: Output) -> bool:
    return output.settled and output.status == "completed" and output.shot.credits > 0


def _sum(charges: Iterable[_Charge]) -> float:
    return sum(charge.credits for charge in charges)


def _summary(charges: list[_Charge], resolution: str) -> list[JsonObject]:
    groups: dict[tuple[datetime, datetime, str], list[_Charge]] = {}
    for charge in charges:
        groups.setdefault((*_period(charge.at, resolution), charge.kind), []).append(charge)
    return [
        {
            "period_start": iso(start.timestamp()),
            "period_end": iso(end.timestamp()),
            "job_type": kind,
            "total_credits": _sum(found),
            "job_count": len({charge.job_id for charge in found}),
        }
        for (start, end, kind), found in sorted(groups.items(), key=lambda item: item[0])
    ]


def _period(at: datetime, resolution: str) -> tuple[datetime, datetime]:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if resolution == "day":
        return day, day + timedelta(days=1)
    if resolution == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _moment(request: web.Request, name: str) -> float | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(problem(name, "Not a valid datetime.", position="query")) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _tags(request: web.Request, name: str) -> set[str]:
    tags = query_list(request, name) or set()
    if not tags <= ALLOWED_TAGS:
        allowed = ", ".join(sorted(ALLOWED_TAGS))
        raise invalid(problem(name, f"Must be among: {allowed}.", position="query"))
    return tags
