"""The four batch services: recolor, packshot, flat lay to model, model swap."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.checks.lookup import Lookup
from piktid_async.sandbox.checks.on_model import check_flat, check_swap
from piktid_async.sandbox.checks.packshot import check_packshot
from piktid_async.sandbox.checks.recolor import check_recolor
from piktid_async.sandbox.jobs import JobRunner
from piktid_async.sandbox.orders import Order
from piktid_async.sandbox.state import Account
from piktid_async.sandbox.submitting import Desk


@attrs.frozen
class _Service:
    """How one of them differs from the others."""

    check: Callable[[JsonObject, Lookup], Order]
    message: str = "Job created successfully"
    short_of_credits: str = "Insufficient credits to create job"
    counts_outputs: bool = True


# The guides of recolor and packshot show their own texts of the 202 and the 402; those of the
# other two show none, so they are given the packshot's.
SERVICES = {
    "/garment-recolor": _Service(
        check_recolor, "Garment recolor job created and queued", "Insufficient credits"
    ),
    "/create-packshot": _Service(check_packshot),
    "/flat-2-model": _Service(check_flat),
    "/model-swap": _Service(check_swap, counts_outputs=False),
}


@attrs.frozen(kw_only=True)
class BatchRoutes:
    """Takes jobs of the batch services."""

    account: Account
    runner: JobRunner
    desk: Desk

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [web.post(path, self.submit) for path in SERVICES]

    async def submit(self, request: web.Request) -> web.Response:
        """Check a job, book it, start it."""
        service = SERVICES[request.path]
        order = service.check(await self.desk.read(request, request.path), self.desk.lookup)
        self.desk.admit(order, short_of_credits=service.short_of_credits)
        job = self.account.add_job(order)
        self.runner.start(job)
        body: JsonObject = {
            "job_id": job.job_id,
            "status": "pending",
            "message": service.message,
        }
        if service.counts_outputs:
            body["total_outputs"] = len(job.history)
        return await self.desk.accept(request, job, body)
