"""Notifications to jobs, feeds and acknowledgements.

Theory of operation
-------------------
Every notification, from the stream or a webhook, goes through `receive` once per arrival. What
comes of it is drained by the shell: `changed()` jobs to wake, `ended()` ones, `deliveries()` to
feeds, `acks()` to delete at the service, `stale()` jobs whose status must be read. A drain hands
each thing out once.

Streams come through `take`, a chunk at a time. Nearly every event is a new one, of a job that is
followed, while no feed is open: that is settled on the parsed text, and nothing is built of it.
Whatever is not so plain goes through `receive`.

Ownership: a notification belongs to this session if its job was adopted. Others are never
deleted. They are kept for a while in the backlog, since the answer to a submission may come
after the first events of its job (`adopt` then takes them out), and since a feed that is opened
later begins with what nobody has handled.

Each notification that was seen has a state. The service replays on each connection what was not
deleted, so an arrival that is not the first changes nothing; but a replay of one that was
handled means that our DELETE was lost, so it is acknowledged again.

    HELD      nobody has handled it; it is in the backlog
    LENT      feeds have it and have not all come back for the next; `loans` counts them
    HANDLED   taken in by its job, and by all its feeds; to be deleted
    KEPT      taken in, but not ours to delete: foreign, or acks are manual or off

Bounds: of more than `backlog_limit` held notifications the oldest is forgotten, and is new when it
is replayed (unless its job has had it); so is the oldest tenth of more than `seen_limit` states. Of
more than `CLOSED_LIMIT` ended jobs the oldest is foreign from then on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakValueDictionary

import attrs
import orjson

from piktid_async.errors import ResponseFormatError
from piktid_async.models.jobs import TERMINAL
from piktid_async.models.notifications import AckMode, WireNotification
from piktid_async.protocol.feed import Arrival, Synced, read_arrival
from piktid_async.protocol.loans import Loans, Outcome
from piktid_async.protocol.parsing import LIST, SHORT, is_modest
from piktid_async.protocol.progress import Patience, Tracker, TrackerKey
from piktid_async.protocol.seen import States
from piktid_async.types import NoteId

HANDLED: Final = 0
HELD: Final = 1
LENT: Final = 2
KEPT: Final = 3

SEEN_LIMIT = 65_536
BACKLOG_LIMIT = 4_096
CLOSED_LIMIT = 16_384


@attrs.frozen(eq=False)
class Subscription:
    """What one feed wants to see; None means all."""

    names: frozenset[str] | None = None
    jobs: frozenset[str] | None = None
    ack_foreign: bool = False

    def wants(self, wire: WireNotification) -> bool:
        """Whether the notification passes the filters."""
        return (self.names is None or wire.name in self.names) and (
            self.jobs is None or wire.job_id in self.jobs
        )


class Dispatcher:
    """Route notifications, and know what was done with each."""

    def __init__(
        self,
        *,
        ack: AckMode = "handled",
        patience: Patience | None = None,
        seen_limit: int = SEEN_LIMIT,
        backlog_limit: int = BACKLOG_LIMIT,
    ) -> None:
        self.patience: Patience = patience or Patience()
        self._ack = ack
        self._seen_limit = seen_limit
        self._backlog_limit = backlog_limit
        self._open: dict[TrackerKey, Tracker] = {}
        self._ended_held: WeakValueDictionary[TrackerKey, Tracker] = WeakValueDictionary()
        self._closed: OrderedDict[TrackerKey, None] = OrderedDict()
        # What most of them end in.
        self._done = HANDLED if ack == "handled" else KEPT
        self._seen: States = States(self._done)
        self._loans = Loans()
        self._backlog: OrderedDict[NoteId, WireNotification] = OrderedDict()
        self._feeds: list[Subscription] = []
        self._changed: dict[Tracker, None] = {}
        self._ended: list[Tracker] = []
        self._deliveries: list[tuple[Subscription, WireNotification]] = []
        self._acks: list[NoteId] = []
        self._strangers_ended = False
        self._synced = False
        self._conversing = False

    # What goes in

    def take(self, arrivals: Iterable[Arrival], now: float) -> list[str]:
        """Take in what a stream has told; return why some of it was left out."""
        left_out: list[str] = []
        fresh: list[int] = []
        highest, due = self._seen.highest, now + self.patience.first
        # Of a conversation, more than the job's id tells whose an image is.
        images = not self._conversing
        jobs: dict[Any, Tracker] = {} if self._feeds else self._open
        changed = self._changed
        loads: Callable[[Any], Any] = orjson.loads
        text: Any
        for text in arrivals:
            # All in one piece: a call, or a look at what need not be known, would double its cost.
            try:
                value = loads(text)
                name, number, data = value["name"], value["id"], value["data"]
                tracker = jobs[data["id_task"]]
            except (KeyError, TypeError, ValueError):
                pass  # it is read with more care below, as is what is no text
            else:
                if (
                    (name == "batch_edit" or (name == "image_result" and images))
                    and type(number) is int
                    and number > highest
                    and ((len(text) <= SHORT and LIST not in text) or is_modest(text))
                ):
                    fresh.append(number)
                    highest = number
                    if tracker.kept is None:
                        tracker.kept = [text]
                    else:
                        tracker.kept.append(text)
                    tracker.checks, tracker.check_at = 0, due
                    changed[tracker] = None
                    if name == "batch_edit" and tracker.counted(data):
                        self._touch(tracker)
                    continue
            self._settle_fresh(fresh)
            try:
                self._take_one(read_arrival(text), now)
            except ResponseFormatError as error:
                left_out.append(error.reason)
            highest = self._seen.highest
        self._settle_fresh(fresh)
        return left_out

    def _take_one(self, item: WireNotification | Synced, now: float) -> None:
        if isinstance(item, Synced):
            self._synced = True
            self.resync(now)
        else:
            self.receive(item, now)

    def _settle_fresh(self, numbers: list[int]) -> None:
        """Settle notifications of open jobs that no feed has asked for; empty the list."""
        self._seen.extend(numbers)
        if self._done == HANDLED:
            self._acks += numbers
        numbers.clear()
        self._forget()

    def receive(self, wire: WireNotification, now: float) -> None:
        """Take in one arrival of a notification."""
        state = self._seen.get(wire.id)
        if state is not None:
            if state == HANDLED:
                self._acks.append(wire.id)
            return
        tracker = self._find(wire)
        if tracker is not None:
            tracker.notified(wire)
            tracker.check_at = now + self.patience.first
            self._touch(tracker)
        takers = [feed for feed in self._feeds if feed.wants(wire)] if self._feeds else ()
        owned = tracker is not None or self._owns(wire)
        if not owned:
            self._strangers_ended |= _ends_its_job(wire)
            self._hold(wire)
        if takers:
            self._seen[wire.id] = LENT
            self._loans.lend(wire.id, len(takers))
            self._deliveries += [(feed, wire) for feed in takers]
        else:
            self._settle(wire, owned=owned, otherwise=HELD)
        self._forget()

    def adopt(self, tracker: Tracker, now: float) -> Tracker:
        """Follow a job from now on; return the tracker that counts, an older one if there is."""
        known = self._tracker(tracker.key)
        # One that could not be followed may be tried again.
        if known is not None and known.failure is None:
            return known
        tracker.check_at = now + self.patience.first
        self._seat(tracker)
        self._touch(tracker)
        return tracker

    def touched(self, tracker: Tracker) -> None:
        """Note that the shell has merged an answer into the tracker."""
        if tracker.place != tracker.key and self._open.get(tracker.key) is tracker:
            self._move(tracker)
        self._touch(tracker)

    def resync(self, now: float) -> None:
        """Make every open job stale: events may have been missed."""
        for tracker in self._open.values():
            tracker.check_at = now

    def suspect(self, tracker: Tracker, now: float) -> None:
        """Make one job stale."""
        tracker.check_at = now

    def subscribe(self, feed: Subscription) -> None:
        """Open a feed; it begins with what matches and nobody has handled."""
        self._feeds.append(feed)
        for note_id, wire in list(self._backlog.items()):
            if feed.wants(wire) and self._lend(note_id):
                self._deliveries.append((feed, wire))

    def unsubscribe(
        self,
        feed: Subscription,
        unhandled: Iterable[WireNotification],
        *,
        unread: Iterable[WireNotification] = (),
    ) -> None:
        """Close a feed; what it has not handled goes back to the backlog, unacknowledged.

        What it has not even read is left to the others: to its job, which has had it, to the
        feeds that have it, too, or to the next one.
        """
        self._feeds.remove(feed)
        for wire in unhandled:
            self.returned(wire)
        for wire in unread:
            self.passed(wire)

    def returned(self, wire: WireNotification) -> None:
        """Take back what a feed will not handle; it is not acknowledged."""
        if wire.id in self._loans:
            # At once, though others still work on it: the next feed may be opened before them.
            self._hold(wire)
            self._came_back(wire, self._loans.back(wire.id, "given back"))

    def passed(self, wire: WireNotification) -> None:
        """Take back what a feed did not want after all."""
        self._came_back(wire, self._loans.back(wire.id, "passed"))

    def handled(self, feed: Subscription, wire: WireNotification) -> None:
        """Note that a feed's loop has come back for the next notification."""
        outcome = self._loans.back(wire.id, "handled", ours=feed.ack_foreign)
        self._came_back(wire, outcome)

    def acknowledged(self, note_id: NoteId) -> None:
        """Note that the user has deleted a notification; a replay is deleted again."""
        if note_id in self._seen:
            self._seen[note_id] = HANDLED
        self._loans.forget(note_id)

    # What comes out

    def changed(self) -> Iterable[Tracker]:
        """Drain the jobs about which something new is known."""
        out, self._changed = self._changed, {}
        return out

    def ended(self) -> list[Tracker]:
        """Drain the jobs that have just ended."""
        out, self._ended = self._ended, []
        return out

    def deliveries(self) -> list[tuple[Subscription, WireNotification]]:
        """Drain what feeds must show."""
        out, self._deliveries = self._deliveries, []
        return out

    def acks(self) -> list[NoteId]:
        """Drain the notifications to delete at the service."""
        out, self._acks = self._acks, []
        return out

    def strangers_ended(self) -> bool:
        """Tell, once, whether a job of somebody else on the account has ended."""
        out, self._strangers_ended = self._strangers_ended, False
        return out

    def synced(self) -> bool:
        """Tell, once, whether the backfill is over, and every open job stale."""
        out, self._synced = self._synced, False
        return out

    def stale(self, now: float) -> list[Tracker]:
        """Hand out the open jobs whose status must be read; each once until it was."""
        due = [tracker for tracker in self._open.values() if tracker.check_at <= now]
        for tracker in due:
            tracker.check_at = now + self.patience.longest
        return due

    @property
    def open_jobs(self) -> int:
        """Jobs that have not ended."""
        return len(self._open)

    @property
    def open_ids(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        return list(dict.fromkeys(tracker.job_id for tracker in self._open.values()))

    @property
    def following(self) -> bool:
        """Whether anybody needs news."""
        return bool(self._open or self._feeds)

    def knows(self, job_id: str) -> bool:
        """Whether the job is, or was, one of this session."""
        return job_id in self._open or job_id in self._closed or bool(self._generations(job_id))

    def follows(self, key: TrackerKey) -> bool:
        """Whether this very job, or generation of a conversation, is or was one of this session."""
        return key in self._open or key in self._closed

    def next_generation(self, job_id: str) -> int:
        """Return the first index of a conversation that this session has not heard of."""
        keys = (_generation_key(wire) for wire in self._backlog.values())
        heard = [key[1] for key in keys if isinstance(key, tuple) and key[0] == job_id]
        return max([-1, *heard, *self._generations(job_id)]) + 1

    def unknown_jobs(self) -> list[str]:
        """Job ids of notifications that belong to nobody here, oldest first."""
        ids = (wire.job_id for wire in self._backlog.values())
        return list(dict.fromkeys(each for each in ids if each and not self.knows(each)))

    # Within

    def _tracker(self, key: TrackerKey | None) -> Tracker | None:
        if key is None:
            return None
        return self._open.get(key) or self._ended_held.get(key)

    def _find(self, wire: WireNotification) -> Tracker | None:
        return self._tracker(_generation_key(wire)) or self._tracker(wire.job_id)

    def _owns(self, wire: WireNotification) -> bool:
        for key in (wire.job_id, _generation_key(wire)):
            if key is not None and (key in self._open or key in self._closed):
                return True
        return False

    def _generations(self, job_id: str) -> list[int]:
        keys = (key for keys in (self._open, self._closed) for key in keys)
        return [key[1] for key in keys if isinstance(key, tuple) and key[0] == job_id]

    def _seat(self, tracker: Tracker) -> None:
        """Let a tracker have the notifications of its key, with those that came early."""
        self._open[tracker.key] = tracker
        self._conversing |= isinstance(tracker.key, tuple)
        self._closed.pop(tracker.key, None)
        early = [wire for wire in self._backlog.values() if self._find(wire) is tracker]
        for wire in early:
            tracker.notified(wire)
            state = self._seen.get(wire.id)
            if state != LENT:
                del self._backlog[wire.id]
            if state not in (LENT, HANDLED):
                self._settle(wire, owned=True, otherwise=KEPT)

    def _move(self, tracker: Tracker) -> None:
        """Give a tracker the key that it has turned out to have.

        If another has it already, events go there: this one lives on results alone.
        """
        if tracker.place not in self._open:
            del self._open[tracker.key]
            tracker.moved()
            self._seat(tracker)

    def _touch(self, tracker: Tracker) -> None:
        self._changed[tracker] = None
        if tracker.ended and self._open.pop(tracker.key, None) is not None:
            self._ended.append(tracker)
            self._ended_held[tracker.key] = tracker
            # The id outlives the job, so that its late and replayed events are still ours.
            self._closed[tracker.key] = None
            if len(self._closed) > CLOSED_LIMIT:
                self._closed.popitem(last=False)

    def _lend(self, note_id: NoteId) -> bool:
        """Give one of the backlog to a feed, unless somebody has handled it or still may."""
        if self._seen.get(note_id) != HELD:
            return self._loans.lend_again(note_id)
        self._seen[note_id] = LENT
        self._loans.lend(note_id, 1)
        return True

    def _came_back(self, wire: WireNotification, outcome: Outcome | None) -> None:
        if outcome == "unhandled" or (outcome == "passed" and not self._owns(wire)):
            self._seen[wire.id] = HELD
            self._hold(wire)
        elif outcome is not None:
            self._settle(
                wire,
                owned=self._owns(wire),
                otherwise=KEPT,
                delete=outcome == "handled as ours",
            )

    def _settle(
        self, wire: WireNotification, *, owned: bool, otherwise: int, delete: bool = False
    ) -> None:
        """Everyone who wanted it has had it: delete it if it is ours to delete."""
        if self._ack == "handled" and (owned or delete):
            self._seen[wire.id] = HANDLED
            self._acks.append(wire.id)
            # A foreign one stays: its job may only be about to become known.
            if owned:
                self._backlog.pop(wire.id, None)
        else:
            self._seen[wire.id] = KEPT if owned else otherwise

    def _hold(self, wire: WireNotification) -> None:
        self._backlog[wire.id] = wire
        if len(self._backlog) > self._backlog_limit:
            _, dropped = self._backlog.popitem(last=False)
            if self._seen.get(dropped.id) != HELD:
                return
            if self._owns(dropped):
                # A feed gave it back. Its job has had it and must not get it twice.
                self._seen[dropped.id] = KEPT
            else:
                # Nobody has had it: when it is replayed, it is new.
                del self._seen[dropped.id]

    def _forget(self) -> None:
        """Of too many, forget the oldest tenth, except what feeds still work on."""
        while (count := len(self._seen)) > self._seen_limit:
            self._seen.forget(held=self._backlog, never=LENT)
            if len(self._seen) == count:
                break


def _ends_its_job(wire: WireNotification) -> bool:
    status = wire.data.get("status")
    return wire.name == "batch_edit" and isinstance(status, str) and status in TERMINAL


def _generation_key(wire: WireNotification) -> TrackerKey | None:
    """Return the key of the conversation's generation that an image belongs to."""
    index = wire.data.get("image_index")
    if wire.name != "image_result" or wire.job_id is None or not isinstance(index, int):
        return None
    return wire.job_id, index
