"""Following jobs: read the stream, and ask for what it did not tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

from piktid_async import shared_stream, stream
from piktid_async.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    PiktidError,
    ResponseFormatError,
    SessionClosedError,
)
from piktid_async.logs import about
from piktid_async.models.events import Backfill
from piktid_async.protocol import endpoints
from piktid_async.protocol.feed import Arrival, replayed
from piktid_async.protocol.progress import Patience, Tracker

if TYPE_CHECKING:
    from piktid_async.runtime import Connections, Runtime

_log = logging.getLogger("piktid_async.stream")

StreamState: TypeAlias = Literal["idle", "connecting", "live", "reconnecting", "closed"]

UNREADABLE_MOST = 5
"""Answers in a row that are no status, after which whoever waits is told so and may wait on."""

STATUS_READS = 8
"""Status calls at once."""


class Follower:
    """One loop's two tasks: one reads the stream, one reads the status of silent jobs."""

    def __init__(self, runtime: Runtime, connections: Connections) -> None:
        self._runtime = runtime
        self._connections = connections
        self._clock = runtime.clock
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._synced = False
        self._replayed: int | None = None
        """Notifications of the backfill so far, while it lasts and somebody is told of it."""
        self._answered = asyncio.Event()
        self._unreadable: WeakKeyDictionary[Tracker, int] = WeakKeyDictionary()
        self.error: PiktidError | None = None
        """Why there is no stream, when the service will not serve one."""
        self.state: StreamState = "idle"
        settings = runtime.settings
        self._start(self._tend(), "piktid status")
        if runtime.inbox is not None:
            minding = shared_stream.mind_orphans(
                runtime.inbox, connections.caller, runtime.coordinator.ended
            )
            self._start(minding, "piktid orphans")
        if settings.connect:
            self.state = "connecting"
            runtime.dispatcher.patience = Patience(settings.silent_after, settings.silent_longest)
            self._start(self._read(), "piktid stream")
        else:
            self._no_stream()

    async def ready(self) -> None:
        """Wait until the stream is up, so that nothing is missed; go ahead without at last.

        Raises `AuthenticationError` when the token is refused.
        """
        try:
            async with asyncio.timeout(self._runtime.settings.open_wait):
                await self._answered.wait()
        except TimeoutError:
            _log.warning("the event stream is not up yet; jobs are followed by their status")
            self._answered.set()
        if self._runtime.closed:
            raise SessionClosedError
        if isinstance(self.error, AuthenticationError):
            raise self.error

    def stop(self) -> None:
        """Let go of those who wait for the stream: the session closes."""
        self._answered.set()

    def poke(self) -> None:
        """Look for stale jobs now."""
        self._news.set()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        # In a context of its own: what it does is not for the call that began it.
        task = self._connections.spawn(work, name, Context())
        self._tasks.append(task)
        task.add_done_callback(self._stopped)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            # A defect of ours must not leave anybody waiting for ever, now or later.
            fields = about(task=task.get_name())
            _log.error("%s ended unexpectedly", task.get_name(), exc_info=error, extra=fields)
            for sibling in self._tasks:
                sibling.cancel()
            if self._connections.follower is self:
                self._connections.follower = None
            self._runtime.waiters.fail_all(error)

    async def _read(self) -> None:
        runtime = self._runtime
        try:
            async with aclosing(self._signals()) as signals:
                async for signal in signals:
                    self._take(signal)
                    runtime.pump()
        except PiktidError as error:
            _log.warning("no event stream, jobs are followed by their status: %s", error)
            self.error = error
            self._no_stream()
            runtime.fail_feeds(error)

    def _signals(self) -> AsyncGenerator[stream.Signal, None]:
        runtime, transport = self._runtime, self._connections.transport
        if runtime.inbox is None:
            return stream.signals(transport, runtime.settings, runtime.tell)
        return shared_stream.signals(runtime.inbox, transport, runtime.settings, runtime.tell)

    def _take(self, signal: stream.Signal) -> None:
        match signal:
            case stream.Batch(items):
                dispatcher = self._runtime.dispatcher
                if self._replayed is not None:
                    self._count_replayed(items)
                for reason in dispatcher.take(items, self._clock()):
                    _log.warning("an event was left out: %s", reason, extra=about(reason=reason))
                if dispatcher.synced():
                    self._synced = True
                    self._news.set()
            case stream.Opened():
                self.state = "live"
                self._synced = False
                self._replayed = None if self._runtime.tell is None else 0
                self._answered.set()
            case stream.Lost(error):
                reason = str(error or "closed by the server")
                text = "the event stream was lost: %s"
                _log.info(text, reason, extra=about(reason=reason))
                self.state = "reconnecting"
                if not self._synced:
                    self._resync()

    def _count_replayed(self, items: Sequence[Arrival]) -> None:
        tell, before = self._runtime.tell, self._replayed
        if tell is None or before is None:
            return
        count, over = replayed(items)
        self._replayed = None if over else before + count
        if over:
            tell(Backfill(notifications=before + count))

    def _resync(self) -> None:
        # What was deleted by others, or is older than the retention, is not replayed: after
        # each connection the status is the truth.
        self._synced = True
        self._runtime.dispatcher.resync(self._clock())
        self._news.set()

    def _no_stream(self) -> None:
        self.state = "idle"
        often = self._runtime.settings.poll_every
        self._runtime.dispatcher.patience = Patience(often, 3 * often)
        self._runtime.dispatcher.resync(self._clock())
        self._answered.set()
        self._news.set()

    async def _tend(self) -> None:
        dispatcher = self._runtime.dispatcher
        while True:
            stale = dispatcher.stale(self._clock())
            if stale:
                await self._read_statuses(stale)
            self._news.clear()
            try:
                async with asyncio.timeout(self._tick() if dispatcher.open_jobs else None):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _tick(self) -> float:
        settings = self._runtime.settings
        return max(0.02, min(0.5, settings.silent_after / 10, settings.poll_every / 10))

    async def _read_statuses(self, stale: list[Tracker]) -> None:
        queue = iter(stale)

        async def work() -> None:
            for tracker in queue:
                await self._read_status(tracker)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(STATUS_READS, len(stale))):
                group.create_task(work())

    async def _read_status(self, tracker: Tracker) -> None:
        runtime = self._runtime
        if tracker.ended:
            return
        try:
            await self._ask(tracker)
            self._unreadable.pop(tracker, None)
        except NotFoundError as error:
            tracker.not_found(error, self._clock())
        except Exception as error:  # a token source may raise anything
            fields = about(job_id=tracker.job_id, error=type(error).__name__)
            _log.warning(
                "the status of job %s could not be read: %r", tracker.job_id, error, extra=fields
            )
            tracker.checks += 1
            tracker.check_at = self._clock() + runtime.dispatcher.patience.after(tracker.checks)
            if isinstance(error, AuthenticationError | PermissionDeniedError) or (
                self._lasting(tracker, error)
            ):
                runtime.waiters.fail(tracker, error)
        else:
            runtime.answered(tracker)
            return
        runtime.touched(tracker)

    def _lasting(self, tracker: Tracker, error: Exception) -> bool:
        """Whether it has answered nonsense for so long that waiting on needs somebody's word."""
        if not isinstance(error, ResponseFormatError):
            return False
        count = self._unreadable[tracker] = self._unreadable.get(tracker, 0) + 1
        return count >= UNREADABLE_MOST

    async def _ask(self, tracker: Tracker) -> None:
        caller, patience = self._connections.caller, self._runtime.dispatcher.patience
        if tracker.asks_results:
            result = await caller.execute(endpoints.job_results(tracker.job_id))
            before = tracker.processed
            tracker.results_read(result.status, result.outputs, result.kind)
            tracker.checked(self._clock(), patience, news=tracker.processed > before)
        else:
            status = await caller.execute(endpoints.job_status(tracker.job_id))
            tracker.status_read(status, self._clock(), patience)
