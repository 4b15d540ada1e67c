"""Notifications: kept until they are deleted or too old, and handed to whoever listens."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import attrs
import orjson

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.ledger import Ledger

Gone: TypeAlias = Literal["dropped", "deleted", "expired"]

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

    def __init__(self, *, retention: float, faults: Faults, ledger: Ledger | None = None) -> None:
        self._ledger = ledger or Ledger()
        self._ledger.keep("last_notification", lambda: self._last_id, self._go_on_from)
        self._retention = retention
        self._faults = faults
        self._kept: dict[int, Notification] = {}  # oldest first
        self._last_id = 0
        self._subscriptions: set[Subscription] = set()
        self._closed = False
        self.acknowledged: list[int] = []
        self.gone: dict[int, Gone] = {}
        """Why those are gone that were not acknowledged."""

    def restore(self) -> None:
        """Read what was kept of a former life."""
        age = time.time() - time.monotonic()
        for note in self._ledger.load("note").values():
            self._kept[note.id] = attrs.evolve(note, born=note.timestamp - age)
        self.acknowledged = [int(note_id) for note_id in self._ledger.load("acknowledged")]
        self.gone = {int(key): reason for key, reason in self._ledger.load("gone").items()}

    def emit(self, name: str, data: JsonObject) -> int:
        """Store an event and send it to every listener."""
        note = self.unlisted(name, data)
        fault = self._faults.first_of(("drop_events", "events_deleted"))
        if fault == "drop_events":
            self._note_gone(note, "dropped")
            return note.id
        self._forget_old()
        self._kept[note.id] = note
        self._ledger.save("note", note.id, note)
        for subscription in self._subscriptions:
            subscription.offer(note)
        if fault == "events_deleted":
            self._forget(note, "deleted")
        self._ledger.commit()
        return note.id

    def unlisted(self, name: str, data: JsonObject) -> Notification:
        """Make an event with an id of its own that is neither stored nor sent."""
        self._last_id += 1
        self._ledger.touch("last_notification")
        return Notification(self._last_id, name, time.time(), data, time.monotonic())

    def outstanding(self, filter_: Filter | None = None) -> list[Notification]:
        """List what is neither deleted nor too old, oldest first."""
        self._forget_old()
        return [note for note in self._kept.values() if filter_ is None or filter_.wants(note)]

    def expire(self) -> None:
        """Let everything that is outstanding be too old now."""
        for note in list(self._kept.values()):
            self._forget(note, "expired")

    def acknowledge(self, note_id: int) -> bool:
        """Delete a notification; false when there is none."""
        self._forget_old()
        if self._kept.pop(note_id, None) is None:
            return False
        self.acknowledged.append(note_id)
        self._ledger.drop("note", note_id)
        self._ledger.save("acknowledged", note_id, None)
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

    def open(self) -> None:
        """Take subscriptions again."""
        self._closed = False

    def close(self) -> None:
        """End every subscription, also those still to come."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    def _forget_old(self) -> None:
        oldest = time.monotonic() - self._retention
        for note in list(itertools.takewhile(lambda note: note.born < oldest, self._kept.values())):
            self._forget(note, "expired")

    def _forget(self, note: Notification, reason: Gone) -> None:
        del self._kept[note.id]
        self._ledger.drop("note", note.id)
        self._note_gone(note, reason)

    def _note_gone(self, note: Notification, reason: Gone) -> None:
        self.gone[note.id] = reason
        self._ledger.save("gone", note.id, reason)

    def _go_on_from(self, last_id: int) -> None:
        self._last_id = last_id
