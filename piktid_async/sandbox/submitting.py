"""What every request for a job passes, whatever its kind."""

from __future__ import annotations

import asyncio
import time

import attrs
from aiohttp import web

from piktid_async.sandbox import connections
from piktid_async.sandbox.answers import JsonObject, json_answer, json_object, refuse
from piktid_async.sandbox.checks.lookup import Lookup
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.limits import Limiter
from piktid_async.sandbox.orders import POOLED_KINDS, Order, Shot, Upload
from piktid_async.sandbox.state import Account, Job
from piktid_async.sandbox.storage import Storage


@attrs.frozen(kw_only=True)
class Plan:
    """What the account is entitled to."""

    max_size: int
    """The largest size class."""
    custom_dimensions: bool
    """Whether outputs may have an exact size (the policy OUTPUT_CUSTOM_DIMENSIONS)."""
    blocked_words: frozenset[str]
    """Subjects that the content filter of the playground refuses."""


@attrs.frozen(kw_only=True)
class Desk:
    """Takes requests for jobs: rate, plan, credits, and the answer."""

    account: Account
    storage: Storage
    limiter: Limiter
    faults: Faults
    plan: Plan

    async def read(self, request: web.Request, path: str) -> JsonObject:
        """Return the body, unless the endpoint was asked too often."""
        self.limiter.take_request(path)
        status = self.faults.take_submit_status()
        if status is not None:
            raise refuse(status, f"Asked for by Faults.submit_status: {status}")
        return await json_object(request)

    @property
    def lookup(self) -> Lookup:
        """What checks may ask of the account."""
        return Lookup(self.account, self._uploaded)

    def admit(self, order: Order, *, short_of_credits: str) -> None:
        """Raise the 403, 402 or 429 that an order deserves."""
        for shot in order.shots:
            self._check_plan(shot)
        self.check_credits(order.credits, short_of_credits=short_of_credits)
        if order.kind in POOLED_KINDS:
            self.limiter.check_jobs(len(self.account.active_jobs()))

    def check_credits(self, price: float, *, short_of_credits: str) -> None:
        """Raise the 402 if what is not reserved for others does not suffice."""
        reserved = self.account.reserved
        if self.account.credits_left - reserved < price:
            raise refuse(
                402,
                short_of_credits,
                required_credits=price,
                in_progress_credits=reserved,
                user_credits=self.account.credits_left,
            )

    async def accept(self, request: web.Request, job: Job, body: JsonObject) -> web.Response:
        """Answer for a job that runs already."""
        try:
            if self.faults.submit_delay:
                self.faults.happened("submit_delay")
                await asyncio.sleep(self.faults.submit_delay)
            if self.faults.take("submit_lost"):
                return connections.reset(request)
            return json_answer(body, status=202)
        finally:
            if job.answered is None:
                job.answered = time.monotonic()

    def _uploaded(self, upload: Upload) -> bool:
        return self.storage.spool.find(upload.object_key) is not None

    def _check_plan(self, shot: Shot) -> None:
        if shot.size > self.plan.max_size:
            raise refuse(403, f"Output size {shot.size} exceeds your plan's policy")
        if shot.custom_size is not None and not self.plan.custom_dimensions:
            raise refuse(403, "Custom dimensions are not part of your plan")
