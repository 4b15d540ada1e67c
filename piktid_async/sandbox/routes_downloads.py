"""Bulk download: a temporary URL that packs the results of a job."""

from __future__ import annotations

import secrets
import time

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import (
    invalid,
    json_answer,
    json_object,
    problem,
    refuse,
    send_blocks,
)
from piktid_async.sandbox.payloads import download_name
from piktid_async.sandbox.routes_jobs import find_job
from piktid_async.sandbox.spool import StoredObject
from piktid_async.sandbox.state import Account, Job, iso
from piktid_async.sandbox.storage import Storage


@attrs.frozen
class _Ticket:
    job: Job
    expires: float


@attrs.frozen(kw_only=True)
class DownloadRoutes:
    """`/download` and `/download/{token}`."""

    account: Account
    storage: Storage
    url_life: float
    tickets: dict[str, _Ticket] = attrs.field(factory=dict, init=False)

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/download", self.create),
            web.get("/download/{token}", self.fetch),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Make a URL that needs no token of the account."""
        job_id = (await json_object(request)).get("job_id")
        if not isinstance(job_id, str):
            raise invalid(problem("job_id", "Missing data for required field."))
        job = find_job(self.account, job_id)
        token, expires = secrets.token_urlsafe(24), time.time() + self.url_life
        self.tickets[token] = _Ticket(job, expires)
        url = request.url.origin() / "download" / token
        return json_answer({"download_url": str(url), "expires": iso(expires)})

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """Stream the ZIP of what the job has made so far."""
        ticket = self.tickets.get(request.match_info["token"])
        if ticket is None or time.time() >= ticket.expires:
            raise refuse(404, "Download link not found or expired")
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/zip",
                "Content-Disposition": f'attachment; filename="{ticket.job.job_id}.zip"',
            }
        )
        members = self._members(ticket.job)
        return await send_blocks(request, response, self.storage.spool.zip_blocks(members))

    def _members(self, job: Job) -> dict[str, StoredObject]:
        found = {
            download_name(output): self.storage.spool.find(output.full_key)
            for output in job.outputs
            if output.full_key is not None
        }
        return {name: stored for name, stored in found.items() if stored is not None}
