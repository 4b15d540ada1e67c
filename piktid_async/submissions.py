"""Submissions: paid, so sent once, in turn, and looked for when their fate is unknown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from piktid_async.coordination.base import Turn
from piktid_async.errors import (
    IdentityLimitError,
    NotFoundError,
    PiktidError,
    RateLimitError,
    SubmissionUnknownError,
)
from piktid_async.jobs import Job, follow_job
from piktid_async.models.jobs import JobTicket
from piktid_async.models.requests import JobRequest, checked_request
from piktid_async.protocol import endpoints, generation
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.protocol.endpoints import GalleryJob
from piktid_async.protocol.generation import Generation
from piktid_async.protocol.messages import Call
from piktid_async.protocol.progress import Tracker
from piktid_async.runtime import Connections, Runtime
from piktid_async.types import Link

_log = logging.getLogger("piktid_async.jobs")

VISIBLE_WITHIN = 300.0
"""Seconds after a 202 in which a 404 only means "not yet"."""

CLOCK_SKEW = timedelta(minutes=5)


async def submit(
    runtime: Runtime,
    request: JobRequest,
    *,
    wait_for_post_processing: bool = False,
    receipt: SubmissionReceipt | None = None,
) -> Job:
    """Submit one job, waiting for its turn."""
    call = endpoints.submit(checked_request("request", request))
    connections = runtime.connect()
    runtime.budget.reserve(request.credits)
    attempt = _Attempt(runtime, connections, request, receipt)
    try:
        await connections.follow().ready()
        async with _alone(connections, request.conversation_id):
            index = await _next_index(runtime, connections, request)
            attempt.index = index
            ticket = await attempt.run(call)
            tracker = tracker_for(runtime, request, ticket, index)
            return follow_job(
                runtime, tracker, request, wait_for_post_processing=wait_for_post_processing
            )
    except BaseException:
        if not attempt.in_doubt:
            runtime.budget.release(request.credits)
        raise


def tracker_for(runtime: Runtime, request: JobRequest, ticket: JobTicket, index: int) -> Tracker:
    """Make the picture of a job that has just been made."""
    until = runtime.clock() + VISIBLE_WITHIN
    total = ticket.total_outputs or request.total_outputs
    if request.kind == generation.KIND:
        return Generation(ticket.job_id, index=index, total=total, invisible_until=until)
    return Tracker(
        ticket.job_id, request.kind, total=total, status=ticket.status, invisible_until=until
    )


@asynccontextmanager
async def _alone(connections: Connections, conversation_id: str | None) -> AsyncIterator[None]:
    # The answer does not tell which generation was begun: of two at once, nobody would know.
    if conversation_id is None:
        yield
        return
    async with connections.conversations.setdefault(conversation_id, asyncio.Lock()):
        yield


async def _next_index(runtime: Runtime, connections: Connections, request: JobRequest) -> int:
    """Return the index that the service will give to the next generation."""
    if request.conversation_id is None:
        return 0
    result = await connections.caller.execute(endpoints.job_results(request.conversation_id))
    listed = max((output.image_index for output in result.outputs), default=-1)
    return max(listed + 1, runtime.dispatcher.next_generation(request.conversation_id))


class SubmissionReceipt(Protocol):
    """Hears of a submission what a journal must know before, not after."""

    async def sending(self) -> None:
        """Hear that its turn has come: it leaves when this returns; an error keeps it here."""

    async def refused(self) -> None:
        """Hear that the service has certainly not taken it; it queues up again."""


class _Attempt:
    """One submission, from its place in the queue to its ticket."""

    def __init__(
        self,
        runtime: Runtime,
        connections: Connections,
        request: JobRequest,
        receipt: SubmissionReceipt | None,
    ) -> None:
        self._runtime = runtime
        self._connections = connections
        self._request = request
        self._receipt = receipt
        self.index = 0
        """The generation's index, for a conversation."""
        self.in_doubt = False
        """Whether the job may exist without our knowing it."""

    async def run(self, call: Call[JobTicket]) -> JobTicket:
        coordinator = self._runtime.coordinator
        place = coordinator.place(call.request.path, pooled=self._request.pooled)
        while True:
            async with coordinator.turn(place) as turn:
                try:
                    ticket = await self._send(call, turn)
                except IdentityLimitError:
                    raise
                except RateLimitError as error:
                    # Refused, so certainly not taken: wait, and queue again at the same place.
                    _log.info("submission refused for now: %s", error)
                    turn.refused(error)
                    if self._receipt is not None:
                        await self._receipt.refused()
                    continue
                turn.started(ticket.job_id)
                return ticket

    async def _send(self, call: Call[JobTicket], turn: Turn) -> JobTicket:
        if self._receipt is not None:
            await self._receipt.sending()
        since = datetime.now(UTC)
        # Until the answer says otherwise; a cancellation leaves it so.
        self.in_doubt = True
        try:
            ticket = await self._connections.caller.execute(call)
        except asyncio.CancelledError:
            _log.warning("cancelled while the submission was under way: the job may exist")
            turn.doubtful()
            raise
        except PiktidError as error:
            if certainly_not_taken(error):
                self.in_doubt = False
                raise

            turn.doubtful()
            search = _Search(self._runtime, self._request, since, self.index, turn)
            raise SubmissionUnknownError(self._request, str(error), Link(search.run)) from error
        except Exception:
            # Not one of ours: the token source failed, so no request left with its answer open.
            self.in_doubt = False
            raise
        self.in_doubt = False
        return ticket


class _Search:
    """The search for one lost job; what it has found once stays found."""

    def __init__(
        self, runtime: Runtime, request: JobRequest, since: datetime, index: int, turn: Turn
    ) -> None:
        self._wanted = (runtime, request, since, index)
        self._turn = turn
        self._one_at_a_time = asyncio.Lock()
        self._job: Job | None = None

    async def run(self) -> Job | None:
        async with self._one_at_a_time:
            if self._job is None:
                job = self._job = await find_lost(*self._wanted)
                # One that has ended already tells so no more: its slot is free.
                self._turn.settled(job.id if job is not None and not job.done else None)
            return self._job


async def find_lost(
    runtime: Runtime, request: JobRequest, since: datetime, index: int
) -> Job | None:
    """Look for the one job that fits a request; raise `SubmissionUnknownError` if several do."""
    connections = runtime.connect()
    if request.conversation_id is not None:
        result = await connections.caller.execute(endpoints.job_results(request.conversation_id))
        if not any(output.image_index == index for output in result.outputs):
            return None
        return _found(runtime, request, request.conversation_id, index)
    if not request.input_ids:
        # A prompt alone leaves no mark by which the job would be known for ours.
        return None
    listed = await _listed(connections, request, since - CLOCK_SKEW)
    strangers = [job for job in listed if not runtime.dispatcher.knows(job.job_id)]
    wanted = frozenset(request.input_ids)
    found = {job.job_id for job in strangers if job.may_hold(wanted)}
    if not found:
        # A job may be listed before its images are, or known by its events alone.
        others = {job.job_id for job in listed if job.input_ids}
        unlisted = {job.job_id for job in strangers if not job.input_ids}
        found = {
            job_id
            for job_id in unlisted | set(runtime.dispatcher.unknown_jobs())
            if job_id not in others and await _fits(connections, request, job_id)
        }
    if len(found) > 1:
        raise SubmissionUnknownError(
            request, f"{len(found)} jobs fit this submission ({', '.join(sorted(found))})"
        )
    for job_id in found:
        return _found(runtime, request, job_id, index)
    return None


def _found(runtime: Runtime, request: JobRequest, job_id: str, index: int) -> Job:
    tracker = tracker_for(runtime, request, JobTicket(job_id=job_id), index)
    return follow_job(runtime, tracker, request, look=True)


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
        if not (answer.has_next and jobs and all(job.not_before(since) for job in jobs)):
            return found
        page += 1


async def _fits(connections: Connections, request: JobRequest, job_id: str) -> bool:
    try:
        status = await connections.caller.execute(endpoints.job_status(job_id))
    except NotFoundError:
        return False
    return status.job_type == request.kind and status.project_key == request.project_id
