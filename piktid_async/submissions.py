"""Submissions: paid, so sent once, in turn, and looked for when their fate is unknown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from piktid_async.coordination.base import Turn
from piktid_async.doubts import Doubt
from piktid_async.errors import (
    GenerationUnknownError,
    IdentityLimitError,
    PiktidError,
    RateLimitError,
)
from piktid_async.jobs import Job, follow_job
from piktid_async.logs import about
from piktid_async.models.events import JobSubmitted
from piktid_async.models.jobs import JobTicket
from piktid_async.models.requests import JobRequest, checked_request
from piktid_async.protocol import endpoints, generation
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.protocol.generation import Generation
from piktid_async.protocol.messages import Call
from piktid_async.protocol.progress import Tracker
from piktid_async.runtime import Connections, Runtime

_log = logging.getLogger("piktid_async.jobs")

VISIBLE_WITHIN = 300.0
"""Seconds after a 202 in which a 404 only means "not yet"."""


class SubmissionReceipt(Protocol):
    """Hears of a submission what a journal must know before, not after."""

    async def sending(self) -> None:
        """Hear that its turn has come: it leaves when this returns; an error keeps it here."""

    async def refused(self) -> None:
        """Hear that the service has certainly not taken it; it queues up again."""


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
    attempt = _Attempt(
        runtime, connections, request, patient=wait_for_post_processing, receipt=receipt
    )
    try:
        await connections.follow().ready()
        async with _alone(connections, request.conversation_id):
            return attempt.follow(await attempt.run(call))
    except BaseException:
        if not attempt.may_exist:
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


class _Attempt:
    """One submission, from its place in the queue to its ticket."""

    def __init__(
        self,
        runtime: Runtime,
        connections: Connections,
        request: JobRequest,
        *,
        patient: bool,
        receipt: SubmissionReceipt | None,
    ) -> None:
        self._runtime = runtime
        self._connections = connections
        self._request = request
        self._patient = patient
        self._receipt = receipt
        self.index = 0
        """The generation's index, for a conversation."""
        self.rivals: tuple[int, ...] = ()
        """Other indexes that it may have as well."""
        self.may_exist = False
        """Whether there is a job, or may be one without our knowing it."""

    def follow(self, ticket: JobTicket, *, look: bool = False) -> Job:
        """Follow the job that was made."""
        tracker = tracker_for(self._runtime, self._request, ticket, self.index)
        if self.rivals:
            tracker.failure = GenerationUnknownError(
                ticket.job_id,
                f"generation {self.index}, {', '.join(map(str, self.rivals))}: any of these may "
                "be this one",
            )
        return follow_job(
            self._runtime, tracker, self._request, look=look, wait_for_post_processing=self._patient
        )

    async def run(self, call: Call[JobTicket]) -> JobTicket:
        coordinator = self._runtime.coordinator
        place = coordinator.place(call.request.path, pooled=self._request.pooled)
        refusals = 0
        while True:
            async with self._connections.turn(place, refused=refusals > 0) as turn:
                try:
                    ticket = await self._send(call, turn)
                except IdentityLimitError:
                    raise
                except RateLimitError as error:
                    # Refused, so certainly not taken: wait, and queue again at the same place.
                    refusals += 1
                    level = logging.INFO if refusals == 1 else logging.WARNING
                    text = "submission refused %d times, it goes on waiting for its turn: %s"
                    fields = about(path=call.request.path, refusals=refusals, status=error.status)
                    _log.log(level, text, refusals, error.summary, extra=fields)
                    turn.refused(error)
                    if self._receipt is not None:
                        await self._receipt.refused()
                    continue
                turn.started(ticket.job_id)
                if self._runtime.tell is not None:
                    request = self._request
                    self._runtime.tell(
                        JobSubmitted(
                            kind=request.kind, job_id=ticket.job_id, credits=request.credits
                        )
                    )
                return ticket

    async def _send(self, call: Call[JobTicket], turn: Turn) -> JobTicket:
        # As late as can be: what is begun by others after this is not told from ours.
        try:
            self.index = await _next_index(self._runtime, self._connections, self._request)
            if self._receipt is not None:
                await self._receipt.sending()
        except BaseException:
            turn.unsent()
            raise
        doubt = Doubt(self._runtime, self._request, self.index, self._found, turn)
        try:
            ticket = await self._connections.caller.execute(call.probed(doubt.probe))
            await self._find_place()
        except BaseException as error:
            if not doubt.probe.sent:
                turn.unsent()
            if _certainly_not_taken(error, doubt):
                doubt.settle()
                raise
            self.may_exist = True
            if isinstance(error, Exception):
                doubt.stay(getattr(error, "summary", type(error).__name__))
                raise doubt.error() from error
            # Cancelled, or the loop has ended: nobody is told, so the session remembers it.
            doubt.stay(f"{call.request.call}: given up before the answer")
            text = "%s; the job may exist: see Session.in_doubt"
            _log.warning(text, doubt.reason, extra=about(path=call.request.path))
            raise
        self.may_exist = True
        doubt.settle()
        return ticket

    async def _find_place(self) -> None:
        """Look whether another program has begun a generation between our look and our request."""
        job_id = self._request.conversation_id
        if job_id is None:
            return
        try:
            result = await self._connections.caller.execute(endpoints.job_results(job_id))
        except Exception as error:  # a token source may raise anything
            text = "generation %d of %s is taken for ours: %s"
            fields = about(job_id=job_id, generation=self.index)
            _log.warning(text, self.index, job_id, error, extra=fields)
            return
        self.index, *rivals = generation.candidates(
            result.outputs, first=self.index, total=self._request.total_outputs
        )
        self.rivals = tuple(rivals)

    def _found(self, job_id: str) -> Job:
        return self.follow(JobTicket(job_id=job_id), look=True)


def _certainly_not_taken(error: BaseException, doubt: Doubt) -> bool:
    if not doubt.probe.sent:
        # Never left, or only with a token that was refused. The error may be the token source's.
        return True
    return isinstance(error, PiktidError) and certainly_not_taken(error)
