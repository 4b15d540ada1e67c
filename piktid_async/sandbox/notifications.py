"""Notifications: kept until they are deleted or too old, and handed to whoever listens."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import attrs
import orjson

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.faults import Faults

# A listener that falls this far behind is let go, as Redis pub/sub does.
MAX_BACKLOG = 100_000


@attrs.frozen(eq=False)
class Notification:
    """One event of the account."""

    id: int
    name: str
    timestamp: float
    data: JsonObject
    born: float
    """On the monotonic clock, for the retention."""
    json: bytes = attrs.field(
        init=False, default=attrs.Factory(lambda self: orjson.dumps(self.body()), takes_self=True)
    )
    """The notification on the wire; encoded once, however many listen."""

    def body(self) -> JsonObject:
        """Return the notification as the service writes it."""
        return {"id": self.id, "name": self.name, "timestamp": self.timestamp, "data": self.data}


@attrs.frozen(kw_only=True)
class Filter:
    """Which notifications a listener asked for; `None` asks for all."""

    tasks: Collection[str] | None = None
    images: Collection[str] | None = None
    names: Collection[str] | None = None

    def wants(self, note: Notification) -> bool:
        """Tell whether the listener asked for this one."""
        data = note.data
        task = data.get("id_task", data.get("job_id"))
        image = data.get("id_image", data.get("image_index"))
        return (
            (self.names is None or note.name in self.names)
            and (self.tasks is None or str(task) in self.tasks)
            and (self.images is None or str(image) in self.images)
        )


class Subscription:
    """The events one listener has not read yet."""

    def __init__(self, filter_: Filter) -> None:
        self._filter = filter_
        self._queue: asyncio.Queue[Notification | None] = asyncio.Queue()
        self._closed = False

    def offer(self, note: Notification) -> None:
        """Queue an event if it was asked for."""
        if self._closed or not self._filter.wants(note):
            return
        if self._queue.qsize() >= MAX_BACKLOG:
            self.close()
        else:
            self._queue.put_nowait(note)

    @property
    def waiting(self) -> bool:
        """Whether there is something to read."""
        return not self._queue.empty()

    def close(self) -> None:
        """Let the listener end, once it has read what is queued."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    async def next(self) -> Notification | None:
        """Wait for the next event; `None` when there will be no more."""
        return await self._queue.get()


class NotificationBoard:
    """All notifications of the account."""

    def __init__(self, *, retention: float, faults: Faults) -> None:
        self._retention = retention
        self._faults = faults
        self._kept: dict[int, Notification] = {}  # oldest first
        self._ids = itertools.count(1)
        self._subscriptions: set[Subscription] = set()
        self._closed = False
        self.acknowledged: list[int] = []

    def emit(self, name: str, data: JsonObject) -> int:
        """Store an event and send it to every listener."""
        note = self.unlisted(name, data)
        if self._faults.take("drop_events"):
            return note.id
        self._forget_old()
        self._kept[note.id] = note
        for subscription in self._subscriptions:
            subscription.offer(note)
        return note.id

    def unlisted(self, name: str, data: JsonObject) -> Notification:
        """Make an event with an id of its own that is neither stored nor sent."""
        return Notification(next(self._ids), name, time.time(), data, time.monotonic())

    def outstanding(self, filter_: Filter | None = None) -> list[Notification]:
        """List what is neither deleted nor too old, oldest first."""
        self._forget_old()
        return [note for note in self._kept.values() if filter_ is None or filter_.wants(note)]

    def acknowledge(self, note_id: int) -> bool:
        """Delete a notification; false when there is none."""
        self._forget_old()
        if self._kept.pop(note_id, None) is None:
            return False
        self.acknowledged.append(note_id)
        return True

    @contextmanager
    def subscribe(self, filter_: Filter) -> Iterator[tuple[list[Notification], Subscription]]:
        """Return the backlog and what follows it. Taken in one step, so nothing falls between."""
        subscription = Subscription(filter_)
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.close()
        try:
            yield self.outstanding(filter_), subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription, also those still to come."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    def _forget_old(self) -> None:
        oldest = time.monotonic() - self._retention
        for note in list(itertools.takewhile(lambda note: note.born < oldest, self._kept.values())):
            del self._kept[note.id]
