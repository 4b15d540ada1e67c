"""What a session shares over its life, and the connections of the event loop it is used in.

A session may be built outside a loop and used in one `asyncio.run` after another. So what is
known (jobs, notifications, budget, limits) lives in `Runtime`, and what belongs to a loop
(connections, tasks, semaphores) in `Connections`, which is made on first use in each loop and
closes itself when the loop cancels its tasks. Nobody waits any more in a loop that is gone, nor in
the copy of one that a fork has made; acknowledgements that were not sent are carried over.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary, WeakValueDictionary

import attrs

from piktid_async.acks import Acknowledger
from piktid_async.connections import InLoops, LoopConnections
from piktid_async.coordination.base import Coordinator, Inbox, Place, Turn
from piktid_async.errors import PiktidError, SessionClosedError
from piktid_async.follow import Follower, StreamState
from piktid_async.logs import Listener
from piktid_async.models.events import JobCharged, JobEnded, TurnWait
from piktid_async.models.jobs import JobResult
from piktid_async.models.notifications import AckMode, WireNotification
from piktid_async.models.settings import StreamSettings
from piktid_async.protocol.budget import Budget
from piktid_async.protocol.dispatcher import Dispatcher, Subscription
from piktid_async.protocol.progress import ENDS_BY_STATUS, Tracker
from piktid_async.transport.base import Transport
from piktid_async.types import NoteId
from piktid_async.waiters import Waiters

if TYPE_CHECKING:
    from piktid_async.doubts import Doubt
    from piktid_async.feeds import NotificationFeed


@attrs.frozen(kw_only=True)
class Config:
    """How a session was built; checked by the session."""

    base_url: str
    timeout: float
    max_retries: int
    upload_concurrency: int
    download_concurrency: int
    ack: AckMode
    stream: StreamSettings
    max_credits: float | None


class Runtime:
    """The shared state of one session."""

    def __init__(
        self,
        config: Config,
        coordinator: Coordinator,
        open_transport: Callable[[], Transport],
        tell: Listener | None = None,
    ) -> None:
        self.config = config
        self.open_transport = open_transport
        self.tell = tell
        """Hears of what happens; None: nobody does."""
        self.settings: StreamSettings = config.stream
        self.coordinator = coordinator
        self.inbox: Inbox | None = coordinator.inbox()
        self.budget: Budget = Budget(config.max_credits)
        self.waiters: Waiters = Waiters()
        self.dispatcher: Dispatcher = Dispatcher(ack=config.ack)
        self.feeds: dict[Subscription, NotificationFeed] = {}
        self.doubts: list[Doubt] = []
        """Submissions under way, and those whose answer was lost."""
        # The same in every loop, unlike the loops' own.
        self.clock: Callable[[], float] = time.monotonic
        self.closed: bool = False
        self._since: WeakKeyDictionary[Tracker, float] = WeakKeyDictionary()
        """When jobs were begun to be followed; only for who is told of it."""
        self._unsent: list[NoteId] = []
        self._loops: InLoops[Connections] = InLoops(
            lambda loop: Connections(self, loop), left=self._left
        )

    @property
    def stream_state(self) -> StreamState:
        """What the event stream is doing."""
        if self.closed:
            return "closed"
        found = self._loops.newest
        if found is None or found.closing or found.loop.is_closed() or found.follower is None:
            return "idle"
        return found.follower.state

    def connect(self) -> Connections:
        """Return the running loop's connections, making them on first use."""
        if self.closed:
            raise SessionClosedError
        connections = self._loops.open()
        if self._unsent:
            unsent, self._unsent = self._unsent, []
            connections.acks.add(unsent)
        return connections

    def pump(self) -> None:
        """Carry everything that the dispatcher has decided to where it goes."""
        dispatcher, found = self.dispatcher, self._loops.here()
        self.waiters.wake(dispatcher.changed())
        for tracker in dispatcher.ended():
            self.waiters.end(tracker)
            if self.tell is not None:
                self._tell_end(self.tell, tracker)
            self.coordinator.ended(tracker.job_id)
        if dispatcher.strangers_ended():
            self.coordinator.room()
        for subscription, wire in dispatcher.deliveries():
            self._deliver(subscription, wire)
        if (acks := dispatcher.acks()) and found is not None:
            found.acks.add(acks)
        else:
            self._unsent += acks

    def adopt(self, tracker: Tracker, *, look: bool) -> Tracker:
        """Follow a job from now on; `look` has its status read as soon as there is a loop."""
        found = self._loops.here()
        tracker = self.dispatcher.adopt(tracker, self.clock())
        if self.tell is not None:
            self._since.setdefault(tracker, self.clock())
        if look:
            self.dispatcher.suspect(tracker, self.clock())
        self.pump()
        if found is not None and found.follower is not None:
            found.follower.poke()
        return tracker

    def answered(self, tracker: Tracker) -> None:
        """Carry on what an answer of the service has told of a job."""
        if tracker.kind in ENDS_BY_STATUS and not tracker.ended:
            # It may have been made elsewhere, or have been found again.
            self.coordinator.occupied(tracker.job_id)
        self.touched(tracker)

    def touched(self, tracker: Tracker) -> None:
        """Carry on what else has changed in a job's picture."""
        self.dispatcher.touched(tracker)
        self.pump()

    def charged(self, tracker: Tracker, result: JobResult) -> None:
        """Tell, once, what the results of an ended job say of its price."""
        if self.tell is None or self._since.pop(tracker, None) is None:
            return
        self.tell(
            JobCharged(
                kind=tracker.kind,
                job_id=tracker.job_id,
                credits=result.credits_used,
                completed=len(result.ok),
                failed=len(result.failed),
            )
        )

    def fail_feeds(self, error: PiktidError) -> None:
        """End every feed with an error."""
        for feed in list(self.feeds.values()):
            feed.end(error)

    async def aclose(self) -> None:
        """Close; jobs go on at the service. Pending acknowledgements are waited for, bounded."""
        found = self._loops.here()
        if not self.closed:
            self.closed = True
            self.waiters.fail_all(SessionClosedError())
            for feed in list(self.feeds.values()):
                feed.end(None)
            if found is not None:
                found.last_words()
        if found is not None:
            await found.aclose()

    def enter(self) -> None:
        """Begin a block that uses the session; allow use again after a close."""
        self._loops.enter()
        self.closed = False

    async def leave(self) -> None:
        """End a block; the last one closes the session."""
        if self._loops.leave():
            await self.aclose()

    def _left(self, connections: Connections) -> None:
        """Nobody waits in the loop, or the process, that these connections were made in."""
        if connections.pid == os.getpid():
            self._unsent += connections.acks.unsent
        if not connections.closing:
            self.waiters.forget()
            for feed in self.feeds.values():
                feed.forget()

    def _tell_end(self, tell: Listener, tracker: Tracker) -> None:
        now = self.clock()
        failure = tracker.failure
        tell(
            JobEnded(
                kind=tracker.kind,
                job_id=tracker.job_id,
                status=tracker.status,
                seconds=now - self._since.get(tracker, now),
                error=None if failure is None else type(failure).__name__,
            )
        )

    def _deliver(self, subscription: Subscription, wire: WireNotification) -> None:
        feed = self.feeds.get(subscription)
        if feed is None or not feed.put(wire):
            self.dispatcher.returned(wire)


class Connections(LoopConnections):
    """What belongs to one event loop."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop) -> None:
        config = runtime.config
        runtime.coordinator.join()
        super().__init__(
            loop,
            runtime.open_transport(),
            max_retries=config.max_retries,
            download_concurrency=config.download_concurrency,
            tell=runtime.tell,
        )
        self.runtime = runtime
        self.acks: Acknowledger = Acknowledger(self.caller, runtime.tell)
        self.uploads: asyncio.Semaphore = asyncio.Semaphore(config.upload_concurrency)
        self.conversations: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One continuation of a conversation at a time."""
        self.follower: Follower | None = None
        self._queueing: set[asyncio.Timeout] = set()
        self._flush = 0.0
        self._ending.push_async_callback(self._leave)
        self._ending.push_async_callback(self.acks.aclose)
        self._ending.push_async_callback(self._flush_acks)

    def follow(self) -> Follower:
        """Return the follower, starting it on first need."""
        if self.follower is None:
            self.follower = Follower(self.runtime, self)
        return self.follower

    @asynccontextmanager
    async def turn(self, place: Place, *, refused: bool = False) -> AsyncIterator[Turn]:
        """Wait for a turn to submit; raises `SessionClosedError` if the session closes before.

        `refused`: the service has refused the turn before.
        """
        began = self.runtime.clock()
        async with AsyncExitStack() as held:
            limit = asyncio.timeout(None)
            self._queueing.add(limit)
            try:
                async with limit:
                    turn = await held.enter_async_context(self.runtime.coordinator.turn(place))
            except TimeoutError:
                if limit.expired():
                    raise SessionClosedError from None
                raise
            finally:
                self._queueing.discard(limit)
            if self.tell is not None:
                seconds = self.runtime.clock() - began
                reason: Literal["limits", "refused"] = "refused" if refused else "limits"
                self.tell(TurnWait(path=place.path, seconds=seconds, reason=reason))
            yield turn

    def last_words(self) -> None:
        """Let go of those who wait to submit; have acknowledgements delivered at the end."""
        self._flush = self.runtime.settings.close_wait
        if self.follower is not None:
            self.follower.stop()
        for limit in self._queueing:
            limit.reschedule(self.loop.time())

    async def _leave(self) -> None:
        runtime = self.runtime
        await runtime.coordinator.leave(runtime.dispatcher.open_ids, runtime.settings.close_wait)

    async def _flush_acks(self) -> None:
        if self._flush:
            await self.acks.flush(self._flush)
