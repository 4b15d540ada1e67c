"""Single images of jobs: another version, all versions, those that are stuck."""

from __future__ import annotations

import time

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
from piktid_async.sandbox.jobs import JobRunner
from piktid_async.sandbox.paging import paged, query_int, query_list, query_number
from piktid_async.sandbox.routes_jobs import find_job
from piktid_async.sandbox.state import Account, Job, Output, iso
from piktid_async.sandbox.storage import Storage
from piktid_async.sandbox.submitting import Desk

UNFINISHED = ("pending", "processing")
_ANY_INDEX = 1_000_000


@attrs.frozen(kw_only=True)
class ImageRoutes:
    """`/jobs/{id}/regenerate/...`, `/jobs/{id}/versions/...` and `/jobs/stuck-images`."""

    account: Account
    storage: Storage
    runner: JobRunner
    desk: Desk

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/jobs/{job_id}/regenerate/{image_index}", self.regenerate),
            web.get("/jobs/{job_id}/versions/{image_index}", self.versions),
            web.get("/jobs/stuck-images", self.stuck),
            web.post("/jobs/stuck-images/bulk-update", self.update_stuck),
        ]

    async def regenerate(self, request: web.Request) -> web.Response:
        """Make a new version of an output, with the same parameters."""
        job = find_job(self.account, request.match_info["job_id"])
        group = query_int(request, "group_index", 0, least=0, most=_ANY_INDEX)
        found = [each for each in _images(job, request) if each.group_index == group]
        if not found:
            raise refuse(404, "Image not found")
        # The reference: of "a finished or failed job"; what an unfinished one is answered is not
        # said, so this 409 is invented. So is the price: that of the output when it was new.
        if job.active or not found[-1].ended:
            raise refuse(409, "Job is still being processed")
        self.desk.check_credits(
            found[-1].shot.credits, short_of_credits="Insufficient credits to regenerate image"
        )
        self.runner.remake(job, self.account.add_version(job, found[-1]))
        return json_answer(
            {
                "success": True,
                "message": "Image regeneration started",
                "image_index": found[-1].image_index,
            }
        )

    async def versions(self, request: web.Request) -> web.Response:
        """List every version of an image, whatever its variation."""
        job = find_job(self.account, request.match_info["job_id"])
        found = sorted(_images(job, request), key=lambda each: (each.group_index, each.version))
        return json_answer(
            {
                "job_id": job.job_id,
                "image_index": found[0].image_index,
                "versions": [payloads.image_result(job, each, self.storage) for each in found],
            }
        )

    async def stuck(self, request: web.Request) -> web.Response:
        """List the images of any job that have not ended for some time."""
        hours = query_number(request, "min_hours", 1.0)
        wanted = query_list(request, "status") or set(UNFINISHED)
        now = time.time()
        found = [
            _stuck(job, output, now)
            for job, output in self._unfinished()
            if output.status in wanted and now - output.updated >= hours * 3600
        ]
        page, pagination = paged(request, found, order="asc")
        return json_answer({"images": page, "pagination": pagination})

    async def update_stuck(self, request: web.Request) -> web.Response:
        """Let images fail that have not ended; others are passed over."""
        body = await json_object(request)
        numbers = body.get("image_ids")
        if not isinstance(numbers, list) or not all(type(each) is int for each in numbers):
            raise invalid(problem("image_ids", "Must be a list of integers."))
        if body.get("new_status") != "failed":
            raise invalid(problem("new_status", "Must be one of: failed."))
        message = body.get("error_message")
        if message is not None and not isinstance(message, str):
            raise invalid(problem("error_message", "Not a valid string."))
        found = [(job, output) for job, output in self._unfinished() if output.number in numbers]
        for job, output in found:
            self.runner.give_up(job, output, message)
        return json_answer(
            {
                "success": True,
                "updated_count": len(found),
                "message": f"Updated {len(found)} images",
            }
        )

    def _unfinished(self) -> list[tuple[Job, Output]]:
        return [
            (job, output)
            for job in self.account.jobs.values()
            for output in job.history
            if not output.ended
        ]


def _images(job: Job, request: web.Request) -> list[Output]:
    """Return every version of the image that a path names, oldest first."""
    text = request.match_info["image_index"]
    found = [each for each in job.history if str(each.image_index) == text]
    if not found:
        raise refuse(404, "Image not found")
    return found


def _stuck(job: Job, output: Output, now: float) -> JsonObject:
    return {
        "id": output.number,
        "job_id": job.job_id,
        "image_index": output.image_index,
        "status": output.status,
        "original_filename": payloads.original_filename(output),
        "created_at": iso(output.created),
        "updated_at": iso(output.updated),
        "hours_stuck": round((now - output.updated) / 3600, 4),
        "job_status": job.status,
        "error_message": output.error_message,
    }
