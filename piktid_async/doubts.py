"""Submissions of which it is not known whether they made a job, and the search for it.

A doubt begins before the first byte of a submission leaves, and ends with its answer. When there is
no answer it stays in `runtime.doubts`, whoever has stopped waiting for it, until its job is found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from piktid_async.coordination.base import Turn
from piktid_async.errors import NotFoundError, SubmissionUnknownError
from piktid_async.jobs import Job
from piktid_async.models.requests import JobRequest
from piktid_async.protocol import endpoints
from piktid_async.protocol.endpoints import GalleryJob
from piktid_async.protocol.generation import candidates
from piktid_async.protocol.messages import Probe
from piktid_async.runtime import Connections, Runtime
from piktid_async.types import Link

CLOCK_SKEW = timedelta(minutes=5)


class Doubt:
    """One submission, from before its first byte until it is known whether it made a job."""

    def __init__(
        self,
        runtime: Runtime,
        request: JobRequest,
        index: int,
        follow: Callable[[str], Job],
        turn: Turn,
    ) -> None:
        self.request = request
        self.since = datetime.now(UTC)
        self.index = index
        """The generation's index, for a conversation."""
        self.probe = Probe()
        self.reason: str | None = None
        """Why there is no answer; None while it may still come."""
        self._runtime = runtime
        self._follow = follow
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._job: Job | None = None
        runtime.doubts.append(self)

    def settle(self) -> None:
        """Note that there is no doubt: the answer was plain, or the job is found."""
        if self in self._runtime.doubts:
            self._runtime.doubts.remove(self)
        self._over.set()

    def stay(self, reason: str) -> None:
        """Note that there will be no answer."""
        self.reason = reason
        self._turn.doubtful()
        self._over.set()

    def error(self, reason: str | None = None) -> SubmissionUnknownError:
        """Return a new error that can find the job."""
        return SubmissionUnknownError(
            self.request, reason or self.reason or "", Link(self.reconcile)
        )

    async def reconcile(self) -> Job | None:
        """Look for the job; what was found once stays found."""
        if self._job is None:
            job_id = await self._find()
            # Somebody else who looked may have found it meanwhile.
            if self._job is None and job_id is not None:
                self._job = self._follow(job_id)
                self.settle()
            # A job that has ended holds no slot, and none will tell its end again.
            self._turn.settled(None if self._job is None or self._job.done else self._job.id)
        return self._job

    async def _find(self) -> str | None:
        runtime, request = self._runtime, self.request
        connections = runtime.connect()
        if request.conversation_id is not None:
            return await self._find_generation(connections, request.conversation_id)
        if not request.input_ids:
            # A prompt alone leaves no mark by which the job would be known for ours.
            return None
        heard = runtime.dispatcher.unknown_jobs()
        listed = await _listed(connections, request, self.since - CLOCK_SKEW)
        await self._neighbours_answered()
        knows = runtime.dispatcher.knows
        strangers = [job for job in listed if not knows(job.job_id)]
        wanted = frozenset(request.input_ids)
        fitting = [job for job in strangers if job.may_hold(wanted)]
        if fitting:
            rivals = [each for each in self._rivals() if any(map(each.may_have_made, fitting))]
            return self._only({job.job_id for job in fitting}, rivals)
        # A job may be listed before its images are, or known by its events alone.
        with_inputs = {job.job_id for job in listed if job.input_ids}
        candidates = {job.job_id for job in strangers} | {each for each in heard if not knows(each)}
        found = {
            job_id
            for job_id in candidates - with_inputs
            if await _fits(connections, request, job_id)
        }
        # Between here and the new `Job` nothing is awaited, so none is found for two.
        return self._only({each for each in found if not knows(each)}, self._rivals())

    def may_have_made(self, job: GalleryJob) -> bool:
        """Whether the job's inputs are some of this submission's."""
        # None at all are some of everything: such a job lists no inputs, and this one does.
        inputs = frozenset(self.request.input_ids)
        return bool(inputs) and job.may_hold(inputs)

    def _only(self, found: set[str], rivals: list[Doubt]) -> str | None:
        """Return the one job that fits, if it fits no other submission; never guess."""
        named = ", ".join(sorted(found))
        if len(found) > 1:
            raise self.error(f"{len(found)} jobs fit this submission ({named})")
        if found and rivals:
            raise self.error(f"the job {named} fits {1 + len(rivals)} submissions in doubt")
        return next(iter(found), None)

    async def _find_generation(self, connections: Connections, job_id: str) -> str | None:
        result = await connections.caller.execute(endpoints.job_results(job_id))
        made = {output.image_index for output in result.outputs}
        fitting = candidates(result.outputs, first=self.index, total=self.request.total_outputs)
        if not made.intersection(fitting):
            return None
        if fitting != (self.index,):
            named = ", ".join(map(str, fitting))
            raise self.error(f"another program adds to the conversation, too: look at {named}")
        await self._neighbours_answered()
        if self._runtime.dispatcher.follows((job_id, self.index)):
            # A later submission made it; this one made none.
            return None
        return self._only({job_id}, self._rivals_of_generation())

    async def _neighbours_answered(self) -> None:
        """Wait for the answers under way: what is listed may be about to become theirs."""
        loop = asyncio.get_running_loop()
        for doubt in list(self._runtime.doubts):
            if doubt is not self and doubt.probe.sent and doubt._loop is loop:
                await doubt._over.wait()

    def _rivals(self) -> list[Doubt]:
        """Return the others that look for a job of this kind; a twin's job is as good as ours."""
        request = self.request
        return [
            doubt
            for doubt in self._runtime.doubts
            if doubt is not self
            and doubt.probe.sent
            and doubt.request.conversation_id is None  # looked for by its index, in its own job
            and doubt.request != request
            and doubt.request.kind == request.kind
            and doubt.request.project_id == request.project_id
        ]

    def _rivals_of_generation(self) -> list[Doubt]:
        """Return the others that would have made the same generation."""
        place = self.request.conversation_id, self.index
        return [
            doubt
            for doubt in self._runtime.doubts
            if doubt is not self
            and doubt.probe.sent
            and doubt.request != self.request
            and (doubt.request.conversation_id, doubt.index) == place
        ]


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
