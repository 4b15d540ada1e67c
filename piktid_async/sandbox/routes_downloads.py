"""Bulk download: a temporary URL that packs the results of one job or of several."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import (
    Streamed,
    invalid,
    json_answer,
    json_object,
    problem,
    refuse,
)
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.payloads import download_name
from piktid_async.sandbox.routes_jobs import find_job
from piktid_async.sandbox.spool import StoredObject
from piktid_async.sandbox.state import Account, Job, Output, iso
from piktid_async.sandbox.storage import Storage

# https://docs.piktid.com/docs/v2/download/create_bulk_download_url__post
MAX_IMAGES = 100


@attrs.frozen
class _Ticket:
    job_ids: tuple[str, ...]
    expires: float


@attrs.frozen(kw_only=True)
class DownloadRoutes:
    """`/download`, `/download/bulk` and `/download/{token}`."""

    account: Account
    storage: Storage
    url_life: float
    ledger: Ledger
    tickets: dict[str, _Ticket] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Have the tickets kept."""
        self.ledger.keep("tickets", lambda: self.tickets, self.tickets.update)

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/download", self.create),
            web.post("/download/bulk", self.create_bulk),
            web.get("/download/{token}", self.fetch),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Make a URL for one job."""
        job_id = (await json_object(request)).get("job_id")
        if not isinstance(job_id, str):
            raise invalid(problem("job_id", "Missing data for required field."))
        return self._ticket(request, (find_job(self.account, job_id),))

    async def create_bulk(self, request: web.Request) -> web.Response:
        """Make a URL for several jobs, so long as they do not hold too many images."""
        job_ids = (await json_object(request)).get("job_ids")
        if not isinstance(job_ids, list) or not all(isinstance(each, str) for each in job_ids):
            raise invalid(problem("job_ids", "Must be a list of strings."))
        if not job_ids:
            raise invalid(problem("job_ids", "Must not be empty."))
        jobs = tuple(find_job(self.account, job_id) for job_id in dict.fromkeys(job_ids))
        count = sum(1 for job in jobs for _ in _made(job))
        if count > MAX_IMAGES:
            raise refuse(400, f"Too many images: {count}, at most {MAX_IMAGES} per download")
        return self._ticket(request, jobs)

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """Stream the ZIP of what the jobs have made so far."""
        ticket = self.tickets.get(request.match_info["token"])
        if ticket is None or time.time() >= ticket.expires:
            raise refuse(404, "Download link not found or expired")
        jobs = tuple(self.account.jobs[job_id] for job_id in ticket.job_ids)
        name = jobs[0].job_id if len(jobs) == 1 else "jobs"
        return Streamed(
            self.storage.spool.zip_blocks(self._members(jobs)),
            headers={
                "Content-Type": "application/zip",
                "Content-Disposition": f'attachment; filename="{name}.zip"',
            },
        )

    def _ticket(self, request: web.Request, jobs: tuple[Job, ...]) -> web.Response:
        # The URL needs no token of the account.
        token, expires = secrets.token_urlsafe(24), time.time() + self.url_life
        self.tickets[token] = _Ticket(tuple(job.job_id for job in jobs), expires)
        url = request.url.origin() / "download" / token
        return json_answer({"download_url": str(url), "expires": iso(expires)})

    def _members(self, jobs: tuple[Job, ...]) -> dict[str, StoredObject]:
        # Two jobs may have outputs of the same name, so several jobs have a folder each.
        return {
            (f"{job.job_id}/" if len(jobs) > 1 else "") + download_name(output): stored
            for job in jobs
            for output in _made(job)
            if (stored := self.storage.spool.find(output.full_key or "")) is not None
        }


def _made(job: Job) -> Iterator[Output]:
    return (output for output in job.outputs if output.full_key is not None)
