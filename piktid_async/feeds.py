"""Feeds: the notifications of the account, one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import attrs

from piktid_async.errors import ConfigurationError, InvalidRequestError, PiktidError
from piktid_async.logs import about
from piktid_async.models import rules
from piktid_async.models.notifications import Notification, WireNotification
from piktid_async.protocol import codec
from piktid_async.protocol.dispatcher import Subscription
from piktid_async.runtime import Runtime
from piktid_async.types import Link, NoteId

_log = logging.getLogger("piktid_async.stream")

LIMIT = 10_000
"""Notifications that wait for a slow loop; what comes then is left to be replayed."""


class NotificationFeed:
    """Notifications as they come; made by `session.notifications()`.

    It begins with what the service still holds and nobody has handled, then goes on live.
    With `ack="handled"` a notification is acknowledged once the loop comes back for the next
    one, or leaves the block without an error; after an error in the block it is not, so it is
    delivered again.
    """

    def __init__(self, runtime: Runtime, subscription: Subscription) -> None:
        self._runtime = runtime
        self._subscription = subscription
        self._waiting: deque[WireNotification] = deque()
        self._in_hand: WireNotification | None = None
        self._wakeup: asyncio.Future[None] | None = None
        self._entered = False
        self._ended = False
        self._error: PiktidError | None = None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ConfigurationError("a feed is opened once: ask for another")
        connections = self._runtime.connect()
        self._entered = True
        self._runtime.feeds[self._subscription] = self
        self._runtime.dispatcher.subscribe(self._subscription)
        self._runtime.pump()
        try:
            follower = connections.follow()
            await follower.ready()
            if follower.error is not None:
                raise follower.error
        except BaseException:
            self._leave(crashed=True)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(None)
        if kind is None:
            self._finish_in_hand()
        self._leave(crashed=kind is not None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notification:
        if not self._entered:
            raise ConfigurationError("open it first: `async with session.notifications() as feed`")
        self._finish_in_hand()
        while not self._waiting:
            if self._error is not None:
                raise self._error
            if self._ended or self._subscription not in self._runtime.feeds:
                raise StopAsyncIteration
            if self._wakeup is not None and not self._wakeup.done():
                raise ConfigurationError("a feed is read by one loop at a time: open another")
            self._runtime.connect().follow()  # in a later event loop, there may be no stream yet
            self._wakeup = asyncio.get_running_loop().create_future()
            await self._wakeup
        self._in_hand = self._waiting.popleft()
        return publish(self._runtime, self._in_hand)

    def put(self, wire: WireNotification) -> bool:
        """Take one in; refuse it when the loop is too far behind."""
        if len(self._waiting) >= LIMIT:
            text = "a feed is %d notifications behind; more are left out"
            _log.warning(text, LIMIT, extra=about(behind=LIMIT))
            return False
        self._waiting.append(wire)
        self._wake()
        return True

    def end(self, error: PiktidError | None) -> None:
        """Let the loop end, or raise, when it has seen what is waiting."""
        self._ended, self._error = True, error
        self._wake()

    def forget(self) -> None:
        """Drop the loop's future: the event loop that would wake it is gone."""
        self._wakeup = None

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def _leave(self, *, crashed: bool) -> None:
        if self._runtime.feeds.pop(self._subscription, None) is None:
            return
        unread = list(self._waiting)
        unhandled = [] if self._in_hand is None else [self._in_hand]
        self._waiting.clear()
        if crashed:
            unhandled, unread = unhandled + unread, []
        self._runtime.dispatcher.unsubscribe(self._subscription, unhandled, unread=unread)
        if not self._runtime.closed:
            self._runtime.pump()

    def _finish_in_hand(self) -> None:
        wire, self._in_hand = self._in_hand, None
        if wire is not None:
            self._runtime.dispatcher.handled(self._subscription, wire)
            self._runtime.pump()


def publish(runtime: Runtime, wire: WireNotification) -> Notification:
    """Build the public form of a notification, with its `ack`."""

    async def acknowledge(note_id: NoteId) -> None:
        await runtime.connect().acks.acknowledge(note_id)
        runtime.dispatcher.acknowledged(note_id)

    return attrs.evolve(codec.notification(wire), acker=Link(acknowledge))


def subscription(
    names: Iterable[str] | None, job_ids: Iterable[str] | None, *, ack_foreign: bool
) -> Subscription:
    """Check the filters of a feed."""
    return Subscription(
        None if names is None else _texts("names", names),
        None if job_ids is None else _texts("jobs", job_ids),
        ack_foreign,
    )


def _texts(field: str, values: Iterable[str]) -> frozenset[str]:
    found: tuple[str, ...] = rules.as_tuple(field, values)
    if not all(isinstance(value, str) for value in found):
        raise InvalidRequestError(field, "must hold texts")
    return frozenset(found)
