"""Uploads: a presigned URL, then the bytes, many at once and bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
)
from os import PathLike
from typing import Self, TypeAlias

from piktid_async.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    PermissionDeniedError,
    PiktidError,
    ResponseFormatError,
    SessionClosedError,
    StatusError,
    UploadError,
    UploadGroupError,
    describe_group,
)
from piktid_async.iterables import drawn
from piktid_async.models.events import UploadFinished
from piktid_async.models.images import (
    Source,
    StreamSource,
    UploadedFile,
    UploadOutcome,
    UploadProgress,
)
from piktid_async.models.projects import Project
from piktid_async.protocol import endpoints
from piktid_async.protocol.endpoints import UploadTicket
from piktid_async.protocol.storage import STORAGE_CALL, storage_error
from piktid_async.runtime import Connections, Runtime
from piktid_async.sources import Opened, describe
from piktid_async.transport.base import Put

OnProgress: TypeAlias = Callable[[UploadProgress], None]
Sources: TypeAlias = "Iterable[Source] | AsyncIterable[Source]"


async def upload(
    runtime: Runtime,
    source: Source,
    *,
    filename: str | None = None,
    project: Project | str | None = None,
    on_progress: OnProgress | None = None,
) -> UploadedFile:
    """Upload one source, waiting for a free place."""
    connections = runtime.connect()
    opened = describe(source, filename)
    # Older guides send the project's name along. Of an id it is not known, nor is it needed; sent
    # in the name's place, the id would become the name of a new project.
    name = project.project_name if isinstance(project, Project) else None
    async with connections.uploads:
        return await _Upload(connections, source, opened, name, on_progress).run()


class _Upload:
    """One source on its way, over as many attempts as it takes."""

    def __init__(
        self,
        connections: Connections,
        source: Source,
        opened: Opened,
        project_name: str | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._connections = connections
        self._source = source
        self._opened = opened
        self._project_name = project_name
        self._on_progress = on_progress
        self._ticket: UploadTicket | None = None
        self._read_from = False

    async def run(self) -> UploadedFile:
        began = time.monotonic()
        try:
            ticket = await self._connections.caller.repeat(self._attempt, again=self._again)
        except (ConnectionFailedError, StatusError, ResponseFormatError) as error:
            if self._connections.runtime.closed:
                raise SessionClosedError from error
            if error.call != STORAGE_CALL:
                raise
            raise UploadError(
                self._opened.body.label, self._explain(error), self._worth_repeating(error)
            ) from error
        if (tell := self._connections.tell) is not None:
            seconds = time.monotonic() - began
            size = self._opened.body.size
            tell(UploadFinished(file_id=ticket.file_id, size=size, seconds=seconds))
        return UploadedFile(
            file_id=ticket.file_id,
            filename=ticket.filename,
            content_type=ticket.content_type,
            download_url=ticket.download_url,
        )

    async def _attempt(self) -> UploadTicket:
        # The URL is asked for inside the semaphore and used at once: it has a limited life.
        if self._ticket is None:
            self._ticket = await self._connections.caller.execute(
                endpoints.request_upload(self._opened.filename, self._project_name)
            )
        put = Put(
            url=self._ticket.upload_url,
            content_type=self._ticket.content_type,
            body=self._opened.body,
            stall=self._connections.runtime.config.timeout,
            on_sent=self._sent,
        )
        response = await self._connections.transport.put(put)
        if not 200 <= response.status < 300:
            raise storage_error(response)
        return self._ticket

    def _again(self, error: BaseException) -> bool:
        if not isinstance(error, ConnectionFailedError | StatusError):
            return False
        if self._connections.runtime.closed:
            return False
        if error.call != STORAGE_CALL or (self._read_from and not self._opened.repeatable):
            # Asking for the URL has repeats of its own.
            return False
        if isinstance(error, PermissionDeniedError):
            # Expired, or signed by a clock that is off: a fresh URL may do.
            self._ticket = None
            return True
        return error.retryable

    def _worth_repeating(self, error: PiktidError) -> bool:
        curable = error.retryable or isinstance(error, PermissionDeniedError)
        return curable and (self._opened.repeatable or not self._read_from)

    def _sent(self, sent: int) -> None:
        self._read_from = True
        if self._on_progress is not None:
            self._on_progress(UploadProgress(self._source, sent, self._opened.body.size))

    def _explain(self, error: PiktidError) -> str:
        if self._read_from and not self._opened.repeatable:
            return f"{error.summary}; the source cannot be read again, so it was not repeated"
        return error.summary


async def upload_many(
    runtime: Runtime,
    sources: Sources,
    *,
    project: Project | str | None = None,
    on_progress: OnProgress | None = None,
) -> list[UploadedFile]:
    """Upload all; return them in the order of the sources, or raise with those that arrived."""
    async with _Many(runtime, sources, project, on_progress) as many:
        found = {number: outcome async for number, outcome in many.outcomes()}
    ordered = [found[number] for number in sorted(found)]
    errors = [outcome.error for outcome in ordered if outcome.error is not None]
    if errors:
        arrived = {each.source: each.file for each in ordered if each.file is not None}
        summary = f"{len(errors)} of {len(ordered)} uploads failed: {describe_group(errors)}"
        raise UploadGroupError(summary, errors, arrived)
    return [outcome.file for outcome in ordered if outcome.file is not None]


async def upload_each(
    runtime: Runtime,
    sources: Sources,
    *,
    project: Project | str | None = None,
    on_progress: OnProgress | None = None,
) -> AsyncGenerator[UploadOutcome, None]:
    """Yield each outcome as it comes; sources are drawn only as places get free."""
    async with _Many(runtime, sources, project, on_progress) as many:
        async for _, outcome in many.outcomes():
            yield outcome


class _Many:
    """Workers that draw a source, upload it and hand the outcome over.

    Twice as many sources as workers are in hand at most, so a slow consumer slows the drawing
    and memory does not grow with the number of sources.
    """

    def __init__(
        self,
        runtime: Runtime,
        sources: Sources,
        project: Project | str | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._runtime = runtime
        self._drawing = enumerate_sources(sources)
        self._drawn_out = False
        self._lock = asyncio.Lock()
        self._project = project
        self._on_progress = on_progress
        self._outcomes: asyncio.Queue[tuple[int, UploadOutcome] | None] = asyncio.Queue()
        self._failure: Exception | None = None
        self._tasks: list[asyncio.Task[None]] = []
        workers = runtime.config.upload_concurrency
        self._space = asyncio.Semaphore(2 * workers)
        self._working = workers

    async def __aenter__(self) -> Self:
        connections = self._runtime.connect()
        self._tasks = [
            connections.spawn(self._work(), "piktid upload") for _ in range(self._working)
        ]
        for task in self._tasks:
            # Not at the end of the task itself: one that is cancelled at once never begins.
            task.add_done_callback(self._worked)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def outcomes(self) -> AsyncIterator[tuple[int, UploadOutcome]]:
        """Yield (number of the source, outcome); raise what drawing or a callback raised."""
        while (item := await self._outcomes.get()) is not None:
            self._space.release()
            yield item
        if self._failure is not None:
            raise self._failure
        if self._runtime.closed:
            raise SessionClosedError

    async def _work(self) -> None:
        try:
            while (found := await self._draw()) is not None:
                number, source = found
                self._outcomes.put_nowait((number, await self._outcome(source)))
        except Exception as error:
            self._failure, self._drawn_out = error, True

    def _worked(self, _: asyncio.Task[None]) -> None:
        self._working -= 1
        if self._working == 0:
            self._outcomes.put_nowait(None)

    async def _draw(self) -> tuple[int, Source] | None:
        await self._space.acquire()
        async with self._lock:
            if self._drawn_out:
                return None
            found = await anext(self._drawing, None)
            self._drawn_out = found is None
            return found

    async def _outcome(self, source: Source) -> UploadOutcome:
        try:
            file = await upload(
                self._runtime, source, project=self._project, on_progress=self._on_progress
            )
        except SessionClosedError:
            raise
        except PiktidError as error:
            return UploadOutcome(source, None, error)
        return UploadOutcome(source, file)


async def enumerate_sources(sources: Sources) -> AsyncIterator[tuple[int, Source]]:
    """Give the sources of a sync or async iterable their numbers as they are drawn."""
    if isinstance(sources, str | bytes | PathLike | StreamSource) or hasattr(sources, "read"):
        # Some of these can be iterated: each letter, each line would be taken for a source.
        raise InvalidRequestError("sources", "takes several sources; for a single one use upload()")
    number = 0
    async for source in drawn("sources", sources, "sources"):
        yield number, source
        number += 1
