"""Jobs in hand: wait for them, watch their outputs, fetch what they made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from os import PathLike
from pathlib import Path

import attrs

from piktid_async import results
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
from piktid_async.models.jobs import SETTLED, TERMINAL, JobProgress, JobResult, JobStatus, Output
from piktid_async.models.notifications import Notification
from piktid_async.models.requests import JobRequest
from piktid_async.protocol import endpoints
from piktid_async.protocol.progress import ENDS_BY_STATUS, Tracker
from piktid_async.runtime import Runtime
from piktid_async.types import Link
from piktid_async.waiters import News

BEHIND = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds to wait for events of outputs that are said to be done, before asking for them."""
UNSETTLED = (0.5, 1.0, 2.0, 4.0)
"""Seconds between readings of results that lag behind the end of their job."""

VISIBLE_WITHIN = 300.0
"""Seconds after a 202 in which a 404 only means "not yet"."""
FOUND_WITHIN = 30.0
"""The same for a job made elsewhere."""


class Job:
    """One job at the service; await it for its result.

    Any number of tasks may wait, iterate and download at once. A wait that is cancelled or
    timed out changes nothing: the job goes on and is still followed.
    """

    __slots__ = ("_final", "_reading", "_runtime", "_tracker", "request")

    def __init__(self, runtime: Runtime, tracker: Tracker, request: JobRequest | None) -> None:
        self._runtime = runtime
        self._tracker = tracker
        self._final: JobResult | None = None
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

    async def result(self, timeout: float | None = None) -> JobResult:
        """Wait for the end and return what was made; a completed job can hold failed images.

        Costs one results request for all who wait. `timeout` is in seconds. Raises
        `JobFailedError`, `JobAbortedError`, `JobTimeoutError` (the job goes on), `NotFoundError`
        for a job that does not exist, `AuthenticationError`, `SessionClosedError`.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._end()
                return self._judged(await self._settled())
        except TimeoutError as error:
            if isinstance(error, PiktidError):
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
            while seen < len(self._tracker.log or ()):
                assert self._tracker.log is not None
                seen += 1
                yield publish(self._runtime, self._tracker.log[seen - 1])
            if self.done:
                return
            await self._wait("change")

    async def fetch_status(self) -> JobStatus:
        """Ask the service for the status; one request.

        https://docs.piktid.com/docs/v2/jobs/get_job_status__get
        """
        caller = self._runtime.connect().caller
        status = await caller.execute(endpoints.job_status(self.id))
        self._tracker.status_read(status, self._runtime.clock(), self._runtime.dispatcher.patience)
        self._merged()
        return status

    async def fetch_results(self) -> JobResult:
        """Ask the service for the results, partial while the job runs; one request.

        https://docs.piktid.com/docs/v2/jobs/get_job_results__get
        """
        caller = self._runtime.connect().caller
        result = await caller.execute(endpoints.job_results(self.id))
        outputs = tuple(self._bound(output) for output in result.outputs)
        result = attrs.evolve(result, kind=result.kind or self.kind, outputs=outputs)
        self._tracker.results_read(result.status, outputs)
        self._merged()
        return result

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
        await self._end()
        result = await self._available()
        if not result.ok:
            self._judged(result)
        saving = _Saving(self, Path(directory), overwrite, on_progress)
        jobs = [saving.save(output, thumbnail=False) for output in result.ok]
        if thumbnails:
            jobs += [saving.save(output, thumbnail=True) for output in result.ok]
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        saved = [outcome for outcome in outcomes if isinstance(outcome, Path)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, PiktidError):
                raise outcome
        results.raise_first([each for each in outcomes if isinstance(each, PiktidError)], saved)
        return saved

    async def download_zip(self, path: str | PathLike[str]) -> Path:
        """Wait for the end, then save all images as one ZIP, whole or not at all.

        Two requests. An existing file is replaced. Raises `DownloadError`.
        https://docs.piktid.com/docs/v2/download/create_job_download_url__post
        """
        await self._end()
        ticket = await self._runtime.connect().caller.execute(endpoints.request_zip(self.id))
        label = f"ZIP of job {self.id}"
        return await results.save_zip(self._runtime, ticket.download_url, label, path)

    # Within

    async def _wait(self, news: News) -> None:
        if not self.done:
            self._runtime.connect().follow()
            await self._runtime.waiters.wait(self._tracker, news)

    async def _end(self) -> None:
        while not self.done:
            await self._wait("end")
        if self._tracker.failure is not None:
            raise self._tracker.failure

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
        except PiktidError:
            if self.status == "completed":
                raise
            return self._so_far()

    async def _settled(self) -> JobResult:
        """Return the final results, read once for all who wait."""
        if self._final is not None:
            return self._final
        connections = self._runtime.connect()
        if self._reading is None or self._reading.done():
            self._reading = connections.spawn(self._read_final(), f"piktid results {self.id}")
        try:
            # Shielded: the reading serves everybody, one impatient waiter must not end it.
            self._final = await asyncio.shield(self._reading)
        except asyncio.CancelledError:
            if self._runtime.closed and self._reading.cancelled():
                raise SessionClosedError from None
            raise
        return self._final

    async def _read_final(self) -> JobResult:
        for pause in (*UNSETTLED, None):
            result = await self.fetch_results()
            settled = {output.key for output in result.outputs if output.status in SETTLED}
            told = {output.key for output in self._tracker.outputs()}
            if pause is None or (told <= settled and len(settled) == len(result.outputs)):
                break
            await asyncio.sleep(pause)
        status = result.status if result.status in TERMINAL else self.status
        return attrs.evolve(result, status=status)

    def _judged(self, result: JobResult) -> JobResult:
        if self.status == "completed":
            return result
        message = result.error_message or self._tracker.error_message or ""
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

    def _merged(self) -> None:
        self._runtime.dispatcher.touched(self._tracker)
        self._runtime.pump()


class _Saving:
    """Save outputs of one job; links that have expired are read anew, once for all."""

    def __init__(
        self,
        job: Job,
        directory: Path,
        overwrite: bool,
        on_progress: results.OnProgress | None,
    ) -> None:
        self._job = job
        self._directory = directory
        self._overwrite = overwrite
        self._on_progress = on_progress
        self._fresh: asyncio.Future[JobResult] | None = None

    async def save(self, output: Output, *, thumbnail: bool) -> Path:
        try:
            return await self._save(output, thumbnail)
        except PiktidError as error:
            cause = error.__cause__
            if not (isinstance(cause, StatusError) and cause.status in (403, 404, 410)):
                raise
        fresh = {each.key: each for each in (await self._again()).outputs}
        return await self._save(fresh.get(output.key, output), thumbnail)

    async def _save(self, output: Output, thumbnail: bool) -> Path:
        return await results.save_into(
            self._job._runtime,
            output,
            self._directory,
            thumbnail=thumbnail,
            overwrite=self._overwrite,
            on_progress=self._on_progress,
        )

    async def _again(self) -> JobResult:
        if self._fresh is None:
            connections = self._job._runtime.connect()
            self._fresh = connections.spawn(self._job.fetch_results(), "piktid fresh links")
        # Shielded: the reading serves every file, whoever asked first.
        return await asyncio.shield(self._fresh)


def follow_job(
    runtime: Runtime,
    job_id: str,
    kind: str,
    *,
    request: JobRequest | None,
    total: int | None,
    status: str = "pending",
    look: bool = False,
) -> Job:
    """Follow a job from now on; `look` has its status read at once."""
    visible = VISIBLE_WITHIN if request is not None else FOUND_WITHIN
    until = runtime.clock() + visible
    tracker = Tracker(job_id, kind, total=total, status=status, invisible_until=until)
    return Job(runtime, runtime.adopt(tracker, look=look), request)


def pick_up(
    runtime: Runtime, job_id: object, kind: str | type[JobRequest], total: int | None
) -> Job:
    """Follow a job that was made elsewhere; its status is read at once."""
    if not isinstance(job_id, str) or not job_id.strip():
        raise InvalidRequestError("job_id", f"must be the id of a job, not {job_id!r}")
    name = kind if isinstance(kind, str) else kind.kind
    if name not in ENDS_BY_STATUS:
        known = ", ".join(sorted(ENDS_BY_STATUS))
        raise InvalidRequestError("kind", f"must be one of {known}, not {name!r}")
    if runtime.closed:
        raise SessionClosedError
    return follow_job(runtime, job_id, name, request=None, total=total, look=True)
