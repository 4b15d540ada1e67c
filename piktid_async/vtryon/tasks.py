"""Tasks in hand: wait for them, fetch what they made.

All who wait for a task share one polling loop. It begins with the first waiter and ends with the
task, an error, the last waiter or the session; the next waiter begins another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from os import PathLike
from pathlib import Path

from piktid_async.errors import (
    DownloadError,
    JobFailedError,
    JobTimeoutError,
    PiktidError,
    StatusError,
)
from piktid_async.logs import about
from piktid_async.models.rules import checked_seconds
from piktid_async.placing import checked_path, replace
from piktid_async.results import LINK_EXPIRED, MAX_IMAGE, Download, fetched
from piktid_async.vtryon import endpoints
from piktid_async.vtryon.models import TaskResult
from piktid_async.vtryon.service import Service

UNREAD = "unknown"
"""The status of a task that was picked up and not yet asked after."""

_log = logging.getLogger("piktid_async.vtryon")


class Task:
    """One task at the service; await it for its result.

    Any number of asyncio tasks may wait and download at once. A wait that is cancelled or timed
    out changes nothing: the task goes on and can be awaited again.
    """

    __slots__ = ("__weakref__", "_due", "_known", "_polling", "_service", "_waiting")

    def __init__(self, service: Service, known: TaskResult, due: float) -> None:
        self._service = service
        self._known = known
        self._due = due
        self._polling: asyncio.Task[None] | None = None
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.status}>"

    @property
    def id(self) -> int:
        """The service's id of the task."""
        return self._known.id

    @property
    def status(self) -> str:
        """The newest status that is known, without a request; "unknown" before the first."""
        return self._known.status

    @property
    def done(self) -> bool:
        """Whether the task has ended, well or not."""
        return self._known.ended

    @property
    def result_url(self) -> str | None:
        """The image, once the task is known to be completed."""
        return self._known.result_url

    def __await__(self) -> Generator[object, None, TaskResult]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> TaskResult:
        """Wait for the end and return where the image is.

        One status request every `poll_interval`, however many wait. `timeout` is in seconds.
        Raises `JobFailedError`, `JobTimeoutError` (the task goes on), `NotFoundError` for a
        task that does not exist, `AuthenticationError`, `PermissionDeniedError`,
        `SessionClosedError`.
        """
        limit = asyncio.timeout(checked_seconds("timeout", timeout))
        try:
            async with limit:
                await self._end()
        except TimeoutError as error:
            if isinstance(error, PiktidError) or not limit.expired():
                raise
            message = f"has not ended within {timeout:g} s; it goes on and can be awaited again"
            raise JobTimeoutError(str(self.id), message) from None
        if self.status == "failed":
            reason = self._known.error_message or "no reason given"
            raise JobFailedError(str(self.id), f"failed: {reason}")
        return self._known

    async def fetch_status(self) -> TaskResult:
        """Ask the service for the status; one request.

        https://vtryon.legresca.ai/guide/api-integration/recolor
        """
        call = endpoints.read_task(self.id)
        told = await self._service.connect().caller.execute(call)
        self._read(told)
        return told

    async def download(self, path: str | PathLike[str]) -> Path:
        """Wait for the end, then save the image to exactly this path, whole or not at all.

        One GET without the key. An existing file is replaced. Raises `DownloadError` when the
        image cannot be fetched or is none, and what `result()` raises.
        """
        target = checked_path("path", path)
        result = await self.result()
        try:
            return await self._save(result, target)
        except DownloadError as error:
            cause = error.__cause__
            if not (isinstance(cause, StatusError) and cause.status in LINK_EXPIRED):
                raise
        # The link may have expired since it was read.
        return await self._save(await self.fetch_status(), target)

    # Within

    def _read(self, told: TaskResult) -> None:
        # An answer that was overtaken by the end changes nothing.
        if told.ended or not self.done:
            self._known = told

    async def _end(self) -> None:
        while not self.done:
            self._waiting += 1
            try:
                polling = self._shared_polling()
                # Not awaited itself: a waiter that is cancelled would take it along.
                await asyncio.wait((polling,))
            finally:
                self._waiting -= 1
                if not self._waiting and self._polling is not None:
                    self._polling.cancel()
                    self._polling = None
            if not polling.cancelled():
                polling.result()

    def _shared_polling(self) -> asyncio.Task[None]:
        connections = self._service.connect()
        found = self._polling
        if found is None or found.done() or found.get_loop() is not connections.loop:
            found = self._polling = connections.spawn(self._poll(), f"vtryon task {self.id}")
        return found

    async def _poll(self) -> None:
        while not self.done:
            await asyncio.sleep(max(0.0, self._due - self._service.clock()))
            try:
                await self.fetch_status()
            except PiktidError as error:
                if not error.retryable:
                    raise
                fields = about(task_id=self.id, error=type(error).__name__)
                _log.warning(
                    "the status of task %d could not be read: %s", self.id, error, extra=fields
                )
            finally:
                self._due = self._service.next_poll()

    async def _save(self, result: TaskResult, target: Path) -> Path:
        label = f"the image of task {self.id}"
        if result.result_url is None:
            raise DownloadError(label, "the service has given no link")
        download = Download(url=result.result_url, label=label, max_bytes=MAX_IMAGE)
        async with fetched(self._service, download, target.parent) as (part, _):
            replace(part, target)
        return target


def task_of(service: Service, told: TaskResult, *, due: float) -> Task:
    """Return the one object for a task, with what was just told of it; ask again when due."""
    service.known.add(told.id)
    task = service.tasks.get(told.id)
    if task is None:
        task = service.tasks[told.id] = Task(service, told, due)
    elif told.status != UNREAD:
        task._read(told)
    return task
