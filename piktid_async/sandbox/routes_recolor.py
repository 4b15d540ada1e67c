"""`POST /garment-recolor`."""

from __future__ import annotations

import asyncio
import time

import attrs
from aiohttp import web

from piktid_async.sandbox import connections
from piktid_async.sandbox.answers import JsonObject, json_answer, json_object, refuse
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.jobs import JobRunner
from piktid_async.sandbox.limits import Limiter
from piktid_async.sandbox.state import Account, Job, RecolorRequest, Upload
from piktid_async.sandbox.storage import Storage
from piktid_async.sandbox.validation import check_recolor

PATH = "/garment-recolor"


@attrs.frozen(kw_only=True)
class RecolorRoutes:
    """Takes recolor jobs."""

    account: Account
    storage: Storage
    limiter: Limiter
    runner: JobRunner
    faults: Faults
    max_size: int

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [web.post(PATH, self.submit)]

    async def submit(self, request: web.Request) -> web.Response:
        """Check a job, book it, start it."""
        self.limiter.take_request(PATH)
        status = self.faults.take_submit_status()
        if status is not None:
            raise refuse(status, f"Asked for by Faults.submit_status: {status}")
        wanted = check_recolor(await json_object(request), self.account, self._uploaded)
        self._check_account(wanted)
        job = self.account.add_job(wanted)
        self.runner.start(job)
        try:
            return await self._accepted(request, job)
        finally:
            job.answered = time.monotonic()

    def _uploaded(self, upload: Upload) -> bool:
        return self.storage.spool.find(upload.object_key) is not None

    def _check_account(self, wanted: RecolorRequest) -> None:
        if wanted.processing_size > self.max_size:
            raise refuse(403, f"Output size {wanted.processing_size} exceeds your plan's policy")
        reserved = self.account.reserved()
        if self.account.credits_left - reserved < wanted.credits:
            raise refuse(
                402,
                "Insufficient credits",
                required_credits=wanted.credits,
                in_progress_credits=reserved,
                user_credits=self.account.credits_left,
            )
        self.limiter.check_jobs(len(self.account.active_jobs()))

    async def _accepted(self, request: web.Request, job: Job) -> web.Response:
        if self.faults.submit_delay:
            self.faults.happened("submit_delay")
            await asyncio.sleep(self.faults.submit_delay)
        if self.faults.take("submit_lost"):
            return connections.reset(request)
        body: JsonObject = {
            "job_id": job.job_id,
            "status": "pending",
            "message": "Garment recolor job created and queued",
            "total_outputs": len(job.outputs),
        }
        return json_answer(body, status=202)
