"""What a session shares over its life, and the connections of the event loop it is used in.

A session may be built outside a loop and used in one `asyncio.run` after another. So what is
known (jobs, notifications, budget, limits) lives in `Runtime`, and what belongs to a loop
(connections, tasks, semaphores) in `Connections`, which is made on first use in each loop and
closes itself when the loop cancels its tasks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import attrs

from piktid_async.acks import Acknowledger
from piktid_async.connections import LoopConnections, in_running_loop
from piktid_async.coordination.base import Coordinator
from piktid_async.errors import PiktidError, SessionClosedError
from piktid_async.follow import Follower, StreamState
from piktid_async.models.notifications import AckMode, WireNotification
from piktid_async.models.settings import StreamSettings
from piktid_async.protocol.budget import Budget
from piktid_async.protocol.dispatcher import Dispatcher, Subscription
from piktid_async.protocol.progress import ENDS_BY_STATUS, Tracker
from piktid_async.transport.base import Transport
from piktid_async.waiters import Waiters

if TYPE_CHECKING:
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
    ) -> None:
        self.config = config
        self.open_transport = open_transport
        self.settings: StreamSettings = config.stream
        self.coordinator = coordinator
        self.budget: Budget = Budget(config.max_credits)
        self.waiters: Waiters = Waiters()
        self.dispatcher: Dispatcher = Dispatcher(ack=config.ack)
        self.feeds: dict[Subscription, NotificationFeed] = {}
        # The same in every loop, unlike the loops' own.
        self.clock: Callable[[], float] = time.monotonic
        self.closed: bool = False
        self._connections: Connections | None = None

    @property
    def stream_state(self) -> StreamState:
        """What the event stream is doing."""
        if self.closed:
            return "closed"
        found = self._connections
        if found is None or found.loop.is_closed() or found.follower is None:
            return "idle"
        return found.follower.state

    def connect(self) -> Connections:
        """Return the running loop's connections, making them on first use."""
        if self.closed:
            raise SessionClosedError
        self._connections = in_running_loop(self._connections, lambda loop: Connections(self, loop))
        return self._connections

    def pump(self) -> None:
        """Carry everything that the dispatcher has decided to where it goes."""
        dispatcher = self.dispatcher
        for tracker in dispatcher.changed():
            self.waiters.wake(tracker)
        for tracker in dispatcher.ended():
            self.coordinator.ended(tracker.job_id)
        if dispatcher.strangers_ended():
            self.coordinator.room()
        for subscription, wire in dispatcher.deliveries():
            self._deliver(subscription, wire)
        if (acks := dispatcher.acks()) and self._connections is not None:
            self._connections.acks.add(acks)

    def adopt(self, tracker: Tracker, *, look: bool) -> Tracker:
        """Follow a job from now on; `look` has its status read as soon as there is a loop."""
        tracker = self.dispatcher.adopt(tracker, self.clock())
        if look:
            self.dispatcher.suspect(tracker, self.clock())
        self.pump()
        found = self._connections
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

    def fail_feeds(self, error: PiktidError) -> None:
        """End every feed with an error."""
        for feed in list(self.feeds.values()):
            feed.end(error)

    async def aclose(self) -> None:
        """Close; jobs go on at the service. Pending acknowledgements are waited for, bounded."""
        if self.closed:
            return
        self.closed = True
        self.waiters.fail_all(SessionClosedError())
        for feed in list(self.feeds.values()):
            feed.end(None)
        found, self._connections = self._connections, None
        if found is not None and found.loop is asyncio.get_running_loop():
            if found.follower is not None:
                found.follower.stop()
            await found.aclose(flush=self.settings.close_wait)

    def reopen(self) -> None:
        """Allow use again after a close."""
        self.closed = False

    def _deliver(self, subscription: Subscription, wire: WireNotification) -> None:
        feed = self.feeds.get(subscription)
        if feed is None or not feed.put(wire):
            self.dispatcher.returned(wire)


class Connections(LoopConnections):
    """What belongs to one event loop."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop) -> None:
        config = runtime.config
        super().__init__(
            loop,
            runtime.open_transport(),
            max_retries=config.max_retries,
            download_concurrency=config.download_concurrency,
        )
        self.runtime = runtime
        self.acks: Acknowledger = Acknowledger(self.caller)
        self.uploads: asyncio.Semaphore = asyncio.Semaphore(config.upload_concurrency)
        self.conversations: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One continuation of a conversation at a time."""
        self.follower: Follower | None = None

    def follow(self) -> Follower:
        """Return the follower, starting it on first need."""
        if self.follower is None:
            self.follower = Follower(self.runtime, self)
        return self.follower

    async def aclose(self, *, flush: float = 0.0) -> None:
        """Stop the tasks, deliver pending acknowledgements for `flush` seconds, disconnect."""
        if self.closing:
            return
        self.closing = True
        try:
            await self._stop_tasks()
            if flush:
                await self.acks.flush(flush)
        finally:
            await self.acks.aclose()
            await self._disconnect()
