"""Submissions: paid, so sent once, in turn, and looked for when their fate is unknown."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from piktid_async.errors import (
    ConnectionFailedError,
    IdentityLimitError,
    InvalidRequestError,
    NotFoundError,
    PiktidError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StatusError,
    SubmissionUnknownError,
)
from piktid_async.jobs import Job, follow_job
from piktid_async.models.jobs import JobTicket
from piktid_async.models.requests import JobRequest
from piktid_async.protocol import endpoints
from piktid_async.protocol.endpoints import GalleryJob
from piktid_async.protocol.messages import Call
from piktid_async.runtime import Connections, Runtime
from piktid_async.types import Link

_log = logging.getLogger("piktid_async.jobs")

# The server may have acted before it answered so. Every other 4xx is a plain refusal.
AMBIGUOUS = frozenset({408, 409})

CLOCK_SKEW = timedelta(minutes=5)


async def submit(runtime: Runtime, request: JobRequest) -> Job:
    """Submit one job, waiting for its turn."""
    if not isinstance(request, JobRequest):
        raise InvalidRequestError(
            "request", f"takes a job request such as GarmentRecolor, not {type(request).__name__}"
        )
    call = endpoints.submit(request)
    connections = runtime.connect()
    runtime.budget.reserve(request.credits)
    attempt = _Attempt(runtime, connections, request)
    try:
        await connections.follow().ready()
        ticket = await attempt.run(call)
    except BaseException:
        if not attempt.in_doubt:
            runtime.budget.release(request.credits)
        raise
    return follow_job(
        runtime,
        ticket.job_id,
        request.kind,
        request=request,
        total=ticket.total_outputs or request.total_outputs,
        status=ticket.status,
    )


class _Attempt:
    """One submission, from its place in the queue to its ticket."""

    def __init__(self, runtime: Runtime, connections: Connections, request: JobRequest) -> None:
        self._runtime = runtime
        self._connections = connections
        self._request = request
        self.in_doubt = False
        """Whether the job may exist without our knowing it."""

    async def run(self, call: Call[JobTicket]) -> JobTicket:
        coordinator = self._runtime.coordinator
        place = coordinator.place(call.request.path, pooled=self._request.pooled)
        while True:
            async with coordinator.turn(place) as turn:
                try:
                    ticket = await self._send(call)
                except IdentityLimitError:
                    raise
                except RateLimitError as error:
                    # Refused, so certainly not taken: wait, and queue again at the same place.
                    _log.info("submission refused for now: %s", error)
                    turn.refused(error)
                    continue
                turn.started(ticket.job_id)
                return ticket

    async def _send(self, call: Call[JobTicket]) -> JobTicket:
        since = datetime.now(UTC)
        # Until the answer says otherwise; a cancellation leaves it so.
        self.in_doubt = True
        try:
            ticket = await self._connections.caller.execute(call)
        except asyncio.CancelledError:
            _log.warning("cancelled while the submission was under way: the job may exist")
            raise
        except PiktidError as error:
            if _certainly_not_taken(error):
                self.in_doubt = False
                raise

            async def reconcile() -> Job | None:
                return await find_lost(self._runtime, self._request, since)

            raise SubmissionUnknownError(self._request, str(error), Link(reconcile)) from error
        self.in_doubt = False
        return ticket


def _certainly_not_taken(error: PiktidError) -> bool:
    match error:
        case ConnectionFailedError():
            return not error.sent
        case ServerError() | ResponseFormatError():
            return False
        case StatusError():
            return error.status not in AMBIGUOUS
        case _:
            return True


async def find_lost(runtime: Runtime, request: JobRequest, since: datetime) -> Job | None:
    """Look for the one job that fits a request; raise `SubmissionUnknownError` if several do."""
    connections = runtime.connect()
    listed = await _listed(connections, request, since - CLOCK_SKEW)
    strangers = [job for job in listed if not runtime.dispatcher.knows(job.job_id)]
    wanted = frozenset(request.input_ids)
    found = {job.job_id for job in strangers if job.input_ids == wanted}
    if not found:
        others = {job.job_id for job in listed}
        found = {
            job_id
            for job_id in runtime.dispatcher.unknown_jobs()
            if job_id not in others and await _fits(connections, request, job_id)
        }
    if len(found) > 1:
        raise SubmissionUnknownError(
            request, f"{len(found)} jobs fit this submission ({', '.join(sorted(found))})"
        )
    for job_id in found:
        return follow_job(
            runtime,
            job_id,
            request.kind,
            request=request,
            total=request.total_outputs,
            look=True,
        )
    return None


async def _listed(
    connections: Connections, request: JobRequest, since: datetime
) -> list[GalleryJob]:
    """Return the project's jobs of this kind since then, as the gallery lists them."""
    found: list[GalleryJob] = []
    page = 1
    while True:
        answer = await connections.caller.execute(endpoints.gallery_jobs(request.project_id, page))
        jobs = [endpoints.gallery_job_of_row(row) for row in answer.rows]
        found += [job for job in jobs if job.job_type == request.kind and job.not_before(since)]
        # Newest first: the first that is too old ends the search.
        if not answer.has_next or not all(job.not_before(since) for job in jobs):
            return found
        page += 1


async def _fits(connections: Connections, request: JobRequest, job_id: str) -> bool:
    try:
        status = await connections.caller.execute(endpoints.job_status(job_id))
    except NotFoundError:
        return False
    return status.job_type == request.kind and status.project_key == request.project_id
