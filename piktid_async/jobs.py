"""Jobs in hand: wait for them, watch their outputs, fetch what they made."""

from __future__ import annotations

import asyncio
import copy
import itertools
import logging
from collections.abc import AsyncIterator, Generator
from os import PathLike
from pathlib import Path

import attrs

from piktid_async import downloads, results
from piktid_async.errors import (
    InvalidRequestError,
    JobAbortedError,
    JobFailedError,
    JobTimeoutError,
    PiktidError,
    SessionClosedError,
    StatusError,
)
from piktid_async.feeds import publish
from piktid_async.logs import about
from piktid_async.models.jobs import SETTLED, JobProgress, JobResult, JobStatus, Output
from piktid_async.models.notifications import Notification
from piktid_async.models.requests import JobRequest
from piktid_async.models.rules import checked_index, checked_seconds
from piktid_async.placing import checked_path
from piktid_async.protocol import endpoints, generation
from piktid_async.protocol.generation import Generation
from piktid_async.protocol.progress import KINDS, Tracker
from piktid_async.regeneration import Regeneration, newest, regenerate
from piktid_async.runtime import Runtime
from piktid_async.types import Link
from piktid_async.waiters import News

_log = logging.getLogger("piktid_async.jobs")

BEHIND = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds to wait for events of outputs that are said to be done, before asking for them."""
FINISHING = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between status calls while the finishing pass runs; the last repeats."""
NEVER_BEGUN = 60.0
"""Seconds after which a finishing pass that shows no status is taken for none."""
UNSETTLED = (0.5, 1.0, 2.0, 4.0)
"""Seconds between readings of results that lag behind the end of their job."""

FOUND_WITHIN = 30.0
"""Seconds in which a 404 for a job made elsewhere only means "not yet"."""


class Job:
    """One job at the service; await it for its result.

    Any number of tasks may wait, iterate and download at once. A wait that is cancelled or
    timed out changes nothing: the job goes on and is still followed.
    """

    __slots__ = ("_before", "_final", "_finishing", "_reading", "_runtime", "_tracker", "request")

    def __init__(
        self,
        runtime: Runtime,
        tracker: Tracker,
        request: JobRequest | None,
        *,
        wait_for_post_processing: bool = False,
    ) -> None:
        self._runtime = runtime
        self._tracker = tracker
        self._finishing = wait_for_post_processing
        self._final: JobResult | None = None
        self._before: JobResult | None = None
        self._reading: asyncio.Task[JobResult] | None = None
        self.request: JobRequest | None = request
        """What was asked for; None for a job that was made elsewhere."""

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.kind} {self.status}>"

    @property
    def id(self) -> str:
        """The service's id of the job."""
        return self._tracker.job_id

    @property
    def kind(self) -> str:
        """The service's `job_type`."""
        return self._tracker.kind

    @property
    def total_outputs(self) -> int | None:
        """Images that the job makes; None while unknown."""
        return self._tracker.total

    @property
    def status(self) -> str:
        """The newest status that is known, without a request."""
        return self._tracker.status

    @property
    def progress(self) -> JobProgress:
        """The newest count that is known, without a request."""
        return self._tracker.progress

    @property
    def done(self) -> bool:
        """Whether the job has ended, well or not."""
        return self._tracker.ended

    def __await__(self) -> Generator[object, None, JobResult]:
        return self.result().__await__()

    async def result(
        self, timeout: float | None = None, *, wait_for_post_processing: bool | None = None
    ) -> JobResult:
        """Wait for the end and return what was made; a completed job can hold failed images.

        Costs one results request for all who wait. `timeout` is in seconds.
        `wait_for_post_processing` waits for the finishing pass, too, by status requests; the
        service may call a job completed before it. Raises `JobFailedError`, `JobAbortedError`,
        `JobTimeoutError` (the job goes on), `NotFoundError` for a job that does not exist,
        `AuthenticationError`, `SessionClosedError`, and `ResponseFormatError` when five answers
        in a row were no status; it can be awaited again all the same. The results are read once:
        of images that others make anew, `fetch_results()` tells.
        """
        finishing = (
            self._finishing if wait_for_post_processing is None else (wait_for_post_processing)
        )
        limit = asyncio.timeout(checked_seconds("timeout", timeout))
        try:
            async with limit:
                await self._end()
                if finishing and self.status == "completed":
                    await self._finished()
                return self._judged(await self._settled())
        except TimeoutError as error:
            # Others may raise it, too: a call that took too long, a token source.
            if isinstance(error, PiktidError) or not limit.expired():
                raise
            message = f"has not ended within {timeout:g} s; it goes on and can be awaited again"
            raise JobTimeoutError(self.id, message, self._so_far()) from None

    async def outputs(self) -> AsyncIterator[Output]:
        """Yield each output once, the moment it is ready, from the first, until the job ends.

        Failed images are yielded too: see `Output.status`. How the job itself ended is told by
        `result()`. Raises what `result()` raises, except for a failed or aborted job.
        """
        given = set()
        patience = 0
        while True:
            fresh = [output for output in self._tracker.outputs() if output.key not in given]
            for output in fresh:
                given.add(output.key)
                yield self._bound(output)
            if fresh:
                # More may have come while the caller was busy with these.
                patience = 0
            elif self.done:
                break
            else:
                patience = await self._more(patience)
        for output in (await self._available()).outputs:
            if output.key not in given and output.status in SETTLED:
                yield output

    async def events(self) -> AsyncIterator[Notification]:
        """Yield the job's notifications, from the first that was seen, until the job ends."""
        seen = 0
        while True:
            fresh = self._tracker.log(seen)
            seen += len(fresh)
            for wire in fresh:
                yield publish(self._runtime, wire)
            if fresh:
                continue  # more may have come while the caller was busy with these
            if self.done:
                await self._end()
                return
            await self._wait("change")

    async def fetch_status(self) -> JobStatus:
        """Ask the service for the status; one request.

        https://docs.piktid.com/docs/v2/jobs/get_job_status__get
        """
        caller = self._runtime.connect().caller
        status = await caller.execute(endpoints.job_status(self.id))
        self._tracker.status_read(status, self._runtime.clock(), self._runtime.dispatcher.patience)
        self._runtime.answered(self._tracker)
        return status

    async def fetch_results(self) -> JobResult:
        """Ask the service for the results, partial while the job runs; one request.

        Of a conversation, the part of this job's own generation.
        https://docs.piktid.com/docs/v2/jobs/get_job_results__get
        """
        caller = self._runtime.connect().caller
        result = await caller.execute(endpoints.job_results(self.id))
        if result.unreadable:
            text, fields = "results of job %s left out: %s", about(job_id=self.id)
            _log.warning(text, self.id, "; ".join(result.unreadable), extra=fields)
        outputs = tuple(self._bound(output) for output in result.outputs)
        self._tracker.results_read(result.status, outputs, result.kind)
        self._runtime.answered(self._tracker)
        own = tuple(output for output in outputs if self._tracker.owns(output))
        if self._final is not None:
            self._final = attrs.evolve(self._final, outputs=newest(self._final.outputs, own))
        return attrs.evolve(result, kind=result.kind or self.kind, outputs=own)

    async def regenerate(self, image_index: int, group_index: int = 0) -> Regeneration:
        """Make one image anew with the same parameters; the old version is kept.

        One request, sent once: whether it costs credits is not documented. Await the answer's
        `output()` for the new image; from then on `result()` and `download()` give that one, if
        it has not failed. Raises `BadRequestError` or `ConflictError` while the job
        runs, `NotFoundError` for an image that it does not have.
        https://docs.piktid.com/docs/v2/jobs/regenerate_image__post
        """
        # Whoever waits or saves from now on is given the new version, unless that fails.
        self._before, self._final = self._final or self._before, None
        return await regenerate(
            self._runtime,
            self._tracker,
            self.fetch_results,
            image_index=image_index,
            group_index=group_index,
        )

    async def versions(self, image_index: int) -> list[Output]:
        """Return all versions of one image, of every group index, oldest first; one request.

        https://docs.piktid.com/docs/v2/jobs/get_image_versions__get
        """
        checked_index("image_index", image_index)
        caller = self._runtime.connect().caller
        found = await caller.execute(endpoints.job_versions(self.id, image_index))
        return [self._bound(output) for output in found]

    async def download(
        self,
        directory: str | PathLike[str],
        *,
        thumbnails: bool = False,
        overwrite: bool = False,
        on_progress: results.OnProgress | None = None,
    ) -> list[Path]:
        """Wait for the end, then save every image as `<image>_<group>_v<version>.<ext>`.

        Images that failed are left out; of a failed job, what it made is saved, and if that is
        nothing its error is raised. Files appear whole or not at all. A file of that name with
        other content is only replaced with `overwrite=True`. `thumbnails` adds the thumbnails,
        named `…_thumbnail.<ext>`. Raises `DownloadError`, whose `.saved` lists what is there.
        One request per file, `download_concurrency` at a time.
        """
        folder = checked_path("directory", directory)
        result = await self._available()
        if not result.ok:
            self._judged(result)
        saving = downloads.Saving(self._runtime, folder, overwrite, on_progress, self.fetch_results)
        return await saving.save_all(result.ok, thumbnails=thumbnails)

    async def download_zip(self, path: str | PathLike[str]) -> Path:
        """Wait for the end, then save all images as one ZIP, whole or not at all.

        Of a conversation, the images of all its generations: the service packs no less. Two
        requests. An existing file is replaced. Raises `DownloadError`.
        https://docs.piktid.com/docs/v2/download/create_job_download_url__post
        """
        target = checked_path("path", path)
        await self._end()
        return await downloads.save_job_zip(self._runtime, self.id, target)

    # Within

    async def _wait(self, news: News) -> None:
        if not self.done:
            self._runtime.connect().follow()
            await self._runtime.waiters.wait(self._tracker, news)

    async def _end(self) -> None:
        while not self.done:
            await self._wait("end")
        if self._tracker.failure is not None:
            # A copy: each one that is raised grows a traceback.
            raise copy.copy(self._tracker.failure)

    async def _finished(self) -> None:
        """Wait for the finishing pass, by status calls: no event tells of it."""
        silent_since = self._runtime.clock()
        for pause in itertools.chain(FINISHING, itertools.repeat(FINISHING[-1])):
            status = await self.fetch_status()
            silent = status.post_processing_status is None
            waited = self._runtime.clock() - silent_since
            if not status.post_processing or (silent and waited > NEVER_BEGUN):
                break
            await asyncio.sleep(pause)
        final = self._final
        if final is None or final.post_processing_status != status.post_processing_status:
            # What was read, or is being read, may be of before the pass.
            self._before, self._final, self._reading = final or self._before, None, None

    async def _more(self, patience: int) -> int:
        """Wait for news; ask for outputs whose events do not come. Return the new patience."""
        if not self._tracker.behind:
            await self._wait("change")
            return 0
        try:
            async with asyncio.timeout(BEHIND[min(patience, len(BEHIND) - 1)]):
                await self._wait("change")
        except TimeoutError as error:
            if isinstance(error, PiktidError):
                raise
            await self.fetch_results()
        return patience + 1

    async def _available(self) -> JobResult:
        """Return what an ended job has made; nothing is no error for one that ended badly."""
        await self._end()
        try:
            return await self._settled()
        except StatusError as error:
            # Only a plain refusal says that there is nothing: what may come yet is not left out.
            if self.status == "completed" or error.retryable:
                raise
            return self._so_far()

    async def _settled(self) -> JobResult:
        """Return the final results, read once for all who wait."""
        if self._final is not None:
            return self._final
        connections = self._runtime.connect()
        reading = self._reading
        # One that belongs to a loop that is gone will never end.
        if reading is None or reading.done() or reading.get_loop() is not connections.loop:
            reading = connections.spawn(self._read_final(), f"piktid results {self.id}")
            self._reading = reading
        try:
            # Shielded: the reading serves everybody, one impatient waiter must not end it.
            self._final = await asyncio.shield(reading)
        except asyncio.CancelledError:
            if self._runtime.closed and reading.cancelled():
                raise SessionClosedError from None
            raise
        return self._final

    async def _read_final(self) -> JobResult:
        for pause in (*UNSETTLED, None):
            result = await self.fetch_results()
            settled = {each.key[:2]: each for each in result.outputs if each.status in SETTLED}
            if self._tracker.failure is not None:
                raise copy.copy(self._tracker.failure)
            behind = any(
                (found := settled.get(told.key[:2])) is None or found.version < told.version
                for told in self._tracker.outputs()
            )
            if pause is None or (not behind and len(settled) == len(result.outputs)):
                break
            await asyncio.sleep(pause)
        if self._before is not None:
            made = newest(self._before.outputs, result.outputs)
            result = attrs.evolve(result, outputs=made)
        self._runtime.charged(self._tracker, result)
        return attrs.evolve(result, status=self.status)

    def _judged(self, result: JobResult) -> JobResult:
        if self.status == "completed":
            return result
        told = (result.error_message, self._tracker.error_message)
        each = (output.error_message for output in result.failed)
        message = next((words for words in (*told, *each) if words), "")
        if self.status == "aborted":
            raise JobAbortedError(self.id, f"aborted: {message or 'no reason given'}", result)
        raise JobFailedError(self.id, f"failed: {message or 'no reason given'}", result)

    def _so_far(self) -> JobResult:
        known = {output.key: self._bound(output) for output in self._tracker.outputs()}
        return JobResult(
            job_id=self.id,
            kind=self.kind,
            status=self.status,
            outputs=tuple(known[key] for key in sorted(known)),
            error_message=self._tracker.error_message,
        )

    def _bound(self, output: Output) -> Output:
        runtime = self._runtime

        async def save(output: Output, path: str | PathLike[str]) -> Path:
            return await results.save_output(runtime, output, path)

        return attrs.evolve(output, saver=Link(save))


def follow_job(
    runtime: Runtime,
    tracker: Tracker,
    request: JobRequest | None,
    *,
    look: bool = False,
    wait_for_post_processing: bool = False,
) -> Job:
    """Follow a job from now on; `look` has it asked for at once."""
    tracker = runtime.adopt(tracker, look=look)
    return Job(runtime, tracker, request, wait_for_post_processing=wait_for_post_processing)


async def results_of(jobs: list[Job]) -> list[JobResult]:
    """Wait for several jobs; the first error ends the wait for the others, which go on."""
    waiting = [asyncio.ensure_future(job.result()) for job in jobs]
    try:
        return await asyncio.gather(*waiting)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def pick_up(
    runtime: Runtime, job_id: object, kind: str | type[JobRequest], total: int | None
) -> Job:
    """Follow a job that was made elsewhere; it is asked for at once."""
    if not isinstance(job_id, str) or not job_id.strip():
        raise InvalidRequestError("job_id", f"must be the id of a job, not {job_id!r}")
    endpoints.job_status(job_id)  # refuses what can stand in no path
    if total is not None and (type(total) is not int or total < 1):
        raise InvalidRequestError("total_outputs", f"must be 1 or more, not {total!r}")
    name = kind if isinstance(kind, str) else getattr(kind, "kind", None)
    if name not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise InvalidRequestError("kind", f"must be one of {known}, not {name!r}")
    if runtime.closed:
        raise SessionClosedError
    until = runtime.clock() + FOUND_WITHIN
    tracker: Tracker
    if name == generation.KIND:
        tracker = Generation(job_id, index=None, total=total, invisible_until=until)
    else:
        tracker = Tracker(job_id, name, total=total, status="pending", invisible_until=until)
    return follow_job(runtime, tracker, None, look=True)
