"""Reading jobs: status, results, gallery."""

from __future__ import annotations

import time

import attrs
from aiohttp import web

from piktid_async.sandbox import payloads
from piktid_async.sandbox.answers import json_answer, refuse
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.gallery import Shown
from piktid_async.sandbox.paging import paged, query_int, query_list
from piktid_async.sandbox.state import Account, Job
from piktid_async.sandbox.storage import Storage


def find_job(account: Account, job_id: str) -> Job:
    """Look up a job, or raise the 404."""
    job = account.jobs.get(job_id)
    if job is None:
        raise refuse(404, "Job not found")
    return job


@attrs.frozen(kw_only=True)
class JobRoutes:
    """`/jobs/{id}/...` and `/gallery/by-job`."""

    account: Account
    storage: Storage
    faults: Faults
    visible_after: float

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get("/jobs/{job_id}/status", self.status),
            web.get("/jobs/{job_id}/results", self.results),
            web.get("/gallery/by-job", self.gallery),
        ]

    async def status(self, request: web.Request) -> web.Response:
        """Describe a job. A new one may not be there yet."""
        job = find_job(self.account, request.match_info["job_id"])
        self._refuse_new(job)
        if self.faults.take("status_404"):
            raise refuse(404, "Job not found")
        return json_answer(payloads.status_body(job))

    async def results(self, request: web.Request) -> web.Response:
        """List the outputs of a job so far."""
        job = find_job(self.account, request.match_info["job_id"])
        return json_answer(payloads.results_body(job, self.storage))

    async def gallery(self, request: web.Request) -> web.Response:
        """List jobs with their images."""
        most = query_int(request, "max_images_per_job", 50, least=1, most=200)
        shown = Shown.asked_for(request)
        jobs = [
            job
            for job in self.account.jobs.values()
            if _wanted(job, request) and (shown.all or shown.of([job]))
        ]
        page, pagination = paged(request, jobs)
        bodies = [
            payloads.gallery_body(job, self.storage, images=shown.of([job])[:most]) for job in page
        ]
        return json_answer({"pagination": pagination, "jobs": bodies})

    def _refuse_new(self, job: Job) -> None:
        hidden = max(self.visible_after, self.faults.status_404_for)
        if not hidden:
            return
        if job.answered is None or time.monotonic() < job.answered + hidden:
            if self.faults.status_404_for:
                self.faults.happened("status_404_for")
            raise refuse(404, "Job not found")


def _wanted(job: Job, request: web.Request) -> bool:
    project = job.request.project
    known = (str(project.number), project.key) if project is not None else ()
    return (
        # A job answer calls the number `project_id`, a request the key; both are understood.
        _matches(query_list(request, "project_id"), *known)
        and _matches(query_list(request, "job_id"), job.job_id)
        and _matches(query_list(request, "job_type"), job.request.kind)
        and _contains(job, request.query.get("search"))
    )


def _matches(wanted: set[str] | None, *values: str) -> bool:
    return wanted is None or not wanted.isdisjoint(values)


def _contains(job: Job, text: str | None) -> bool:
    # No document says what is searched: a job is known by its id, and by the names of its files.
    names = (source.filename for shot in job.request.shots for source in shot.sources)
    return not text or text in job.job_id or any(text in name for name in names)
