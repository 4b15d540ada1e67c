from __future__ import annotations

import gc
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import ResponseFormatError
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol import dispatcher as module
from piktid_async.protocol.dispatcher import Dispatcher, Subscription
from piktid_async.protocol.feed import SYNCED, read_arrival
from piktid_async.protocol.generation import Generation
from piktid_async.protocol.progress import Patience, Tracker
from piktid_async.types import NoteId
from tests.protocol.support import note, text_of


def tracker(job_id: str = "j", *, status: str = "pending") -> Tracker:
    return Tracker(job_id, "garment_recolor", total=2, status=status, invisible_until=0.0)


def following(*job_ids: str, **options: Any) -> tuple[Dispatcher, list[Tracker]]:
    """Make a dispatcher that follows these jobs, with everything drained."""
    made = Dispatcher(**options)
    trackers = [made.adopt(tracker(job_id), 0.0) for job_id in job_ids]
    drain(made)
    return made, trackers


def receive(into: Dispatcher, *wires: WireNotification) -> None:
    for wire in wires:
        into.receive(wire, 0.0)


def drain(of: Dispatcher) -> None:
    assert (of.changed(), of.ended(), of.deliveries(), of.acks()) is not None


def shown(of: Dispatcher, feed: Subscription) -> list[NoteId]:
    return [wire.id for taker, wire in of.deliveries() if taker is feed]


def logged(of: Tracker) -> list[NoteId]:
    return [wire.id for wire in of.log()]


def open_feed(on: Dispatcher, **filters: Any) -> Subscription:
    feed = Subscription(**filters)
    on.subscribe(feed)
    return feed


# Jobs


def test_a_notification_reaches_its_job_is_acknowledged_and_wakes_it():
    dispatcher, (job, other) = following("j", "k")
    receive(dispatcher, note(1, "j", status="processing"))
    assert (logged(job), logged(other)) == ([1], [])
    assert list(dispatcher.changed()) == [job]
    assert dispatcher.acks() == [1]
    assert job.status == "processing"


def test_a_drain_hands_each_thing_out_once():
    dispatcher, _ = following("j")
    feed = open_feed(dispatcher)
    receive(dispatcher, note(1, "j", status="completed"))
    dispatcher.handled(feed, dispatcher.deliveries()[0][1])
    assert dispatcher.acks() == [1]
    assert len(list(dispatcher.changed())) == 1
    assert len(dispatcher.ended()) == 1
    assert (dispatcher.acks(), dispatcher.deliveries(), dispatcher.ended()) == ([], [], [])
    assert list(dispatcher.changed()) == []


def test_many_notifications_wake_a_job_once():
    dispatcher, (job,) = following("j")
    receive(dispatcher, *(note(n) for n in range(5)))
    assert list(dispatcher.changed()) == [job]


def test_a_notification_without_a_job_is_nobody_s():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1, None))
    assert (logged(job), dispatcher.acks()) == ([], [])


def test_a_job_is_reported_as_ended_once():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1, status="completed"), note(2, status="completed"))
    dispatcher.touched(job)
    assert dispatcher.ended() == [job]
    assert (dispatcher.open_jobs, dispatcher.following) == (0, False)


def test_a_job_that_ended_by_its_status_answer_is_reported_too():
    dispatcher, (job,) = following("j")
    job.status = "aborted"
    dispatcher.touched(job)
    assert (dispatcher.ended(), list(dispatcher.changed())) == ([job], [job])
    assert dispatcher.open_jobs == 0


def test_a_job_that_had_ended_when_it_was_adopted_ends_at_once():
    dispatcher = Dispatcher()
    job = dispatcher.adopt(tracker(status="completed"), 0.0)
    assert dispatcher.ended() == [job]
    assert dispatcher.knows("j")


def test_adopting_a_job_twice_keeps_the_first_picture():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1, status="processing"))
    assert dispatcher.adopt(tracker(), 0.0) is job
    assert (dispatcher.open_jobs, logged(job)) == (1, [1])


def test_adopting_an_ended_job_whose_handle_is_alive_gives_that_handle():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1, status="completed"))
    drain(dispatcher)
    assert dispatcher.adopt(tracker(), 0.0) is job
    assert dispatcher.open_jobs == 0
    assert dispatcher.ended() == []


def test_late_events_of_an_ended_job_reach_its_handle_and_are_acknowledged():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1, status="completed"), note(2, name="image_result"))
    assert logged(job) == [1, 2]
    assert dispatcher.acks() == [1, 2]


def test_late_events_of_a_job_whose_handle_is_gone_are_acknowledged_all_the_same():
    dispatcher, trackers = following("j")
    receive(dispatcher, note(1, status="completed"))
    drain(dispatcher)
    trackers.clear()
    gc.collect()
    receive(dispatcher, note(2, name="image_result"))
    assert dispatcher.acks() == [2]
    assert dispatcher.unknown_jobs() == []
    assert dispatcher.knows("j")


def test_an_open_job_is_followed_though_nobody_holds_its_handle():
    dispatcher, trackers = following("j")
    trackers.clear()
    gc.collect()
    receive(dispatcher, note(1, status="completed"))
    assert [job.job_id for job in dispatcher.ended()] == ["j"]


def test_an_ended_job_is_not_kept_alive():
    dispatcher, trackers = following("j")
    receive(dispatcher, note(1, status="completed"))
    drain(dispatcher)
    trackers.clear()
    gc.collect()
    assert dispatcher.adopt(again := tracker(), 0.0) is again


# Early arrivals


def test_events_that_outrun_the_answer_of_their_post_are_kept_and_not_acknowledged():
    dispatcher = Dispatcher()
    receive(dispatcher, note(1, status="processing"), note(2, "k"), note(3, status="completed"))
    assert dispatcher.acks() == []
    job = dispatcher.adopt(tracker(), 0.0)
    assert logged(job) == [1, 3]
    assert dispatcher.acks() == [1, 3]
    assert dispatcher.ended() == [job]


def test_an_early_arrival_is_taken_out_once():
    dispatcher = Dispatcher()
    receive(dispatcher, note(1))
    job = dispatcher.adopt(tracker(), 0.0)
    drain(dispatcher)
    assert dispatcher.adopt(tracker(), 0.0) is job
    assert (logged(job), dispatcher.acks()) == ([1], [])


@pytest.mark.parametrize("mode", ["handled", "manual"])
def test_an_early_arrival_that_was_deleted_by_hand_still_reaches_its_job(mode):
    dispatcher = Dispatcher(ack=mode)
    feed = open_feed(dispatcher)
    receive(dispatcher, note(1, status="completed"))
    dispatcher.acknowledged(1)
    dispatcher.handled(feed, note(1))
    job = dispatcher.adopt(tracker(), 0.0)
    assert (logged(job), job.ended, dispatcher.acks()) == ([1], True, [])
    receive(dispatcher, note(1))
    assert (logged(job), dispatcher.acks()) == ([1], [1])


def test_an_early_arrival_that_a_feed_had_deleted_still_reaches_its_job():
    dispatcher = Dispatcher()
    feed = open_feed(dispatcher, ack_foreign=True)
    wire = note(1, status="completed")
    receive(dispatcher, wire)
    dispatcher.handled(feed, wire)
    assert dispatcher.acks() == [1]
    job = dispatcher.adopt(tracker(), 0.0)
    assert (logged(job), job.ended, dispatcher.acks()) == ([1], True, [])


def test_an_early_arrival_that_is_replayed_before_its_job_is_known_counts_once():
    dispatcher = Dispatcher()
    receive(dispatcher, note(1), note(1), note(1))
    job = dispatcher.adopt(tracker(), 0.0)
    assert (logged(job), dispatcher.acks()) == ([1], [1])


# Ownership


def test_a_foreign_notification_is_neither_delivered_nor_deleted():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1, "foreign", status="completed"))
    receive(dispatcher, note(1, "foreign", status="completed"))
    assert (logged(job), dispatcher.acks(), list(dispatcher.changed())) == ([], [], [])
    assert not dispatcher.knows("foreign")


def test_unknown_jobs_are_named_once_oldest_first():
    dispatcher, _ = following("j")
    receive(dispatcher, note(1, "b"), note(2, "a"), note(3, "b"), note(4, "j"), note(5, None))
    assert dispatcher.unknown_jobs() == ["b", "a"]
    dispatcher.adopt(tracker("b"), 0.0)
    assert dispatcher.unknown_jobs() == ["a"]


# Replays


def test_a_duplicate_is_not_delivered_again_but_acknowledged_again():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1))
    drain(dispatcher)
    receive(dispatcher, note(1))
    assert logged(job) == [1]
    assert list(dispatcher.changed()) == []
    assert dispatcher.acks() == [1]


def test_a_replay_is_known_by_its_id_whatever_else_it_says():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1, status="processing"), note(1, "k", status="completed"))
    assert (logged(job), job.status) == ([1], "processing")


def test_numbers_and_texts_are_different_ids():
    dispatcher, (job,) = following("j")
    receive(dispatcher, note(1), note("1"))
    assert logged(job) == [1, "1"]


# Feeds


def test_a_feed_gets_what_it_wants():
    dispatcher, _ = following("j")
    everything = open_feed(dispatcher)
    images = open_feed(dispatcher, names=frozenset({"image_result"}))
    of_k = open_feed(dispatcher, jobs=frozenset({"k"}))
    both = open_feed(dispatcher, names=frozenset({"image_result"}), jobs=frozenset({"k"}))
    receive(dispatcher, note(1, "j"), note(2, "k"), note(3, "k", "image_result"), note(4, None))
    delivered = [(feed, wire.id) for feed, wire in dispatcher.deliveries()]
    found = [
        [note_id for taker, note_id in delivered if taker is feed]
        for feed in (everything, images, of_k, both)
    ]
    assert found == [[1, 2, 3, 4], [3], [2, 3], [3]]


def test_what_a_feed_has_is_acknowledged_only_once_its_loop_comes_back():
    dispatcher, (job,) = following("j")
    feed = open_feed(dispatcher)
    wire = note(1)
    receive(dispatcher, wire)
    assert (logged(job), dispatcher.acks()) == ([1], [])
    receive(dispatcher, wire)
    assert dispatcher.acks() == []
    dispatcher.handled(feed, wire)
    assert dispatcher.acks() == [1]


def test_all_feeds_must_have_come_back():
    dispatcher, _ = following("j")
    feeds = [open_feed(dispatcher) for _ in range(3)]
    wire = note(1)
    receive(dispatcher, wire)
    dispatcher.handled(feeds[0], wire)
    dispatcher.handled(feeds[1], wire)
    assert dispatcher.acks() == []
    dispatcher.handled(feeds[2], wire)
    assert dispatcher.acks() == [1]


def test_a_notification_that_a_feed_filters_out_is_acknowledged_by_its_job_alone():
    dispatcher, _ = following("j")
    open_feed(dispatcher, names=frozenset({"image_result"}))
    receive(dispatcher, note(1))
    assert (dispatcher.acks(), dispatcher.deliveries()) == ([1], [])


def test_a_feed_begins_with_what_nobody_has_handled():
    dispatcher, _ = following("j")
    receive(dispatcher, note(1, "foreign"), note(2, "j"), note(3, "other"))
    feed = open_feed(dispatcher, jobs=frozenset({"foreign", "j"}))
    assert shown(dispatcher, feed) == [1]


def test_what_one_feed_works_on_or_has_handled_is_not_shown_to_the_next():
    dispatcher = Dispatcher()
    first = open_feed(dispatcher)
    receive(dispatcher, note(1, "foreign"), note(2, "foreign"))
    dispatcher.handled(first, note(1, "foreign"))
    second = open_feed(dispatcher)
    assert shown(dispatcher, second) == []


def test_foreign_notifications_that_a_feed_has_handled_are_not_deleted():
    dispatcher = Dispatcher()
    feed = open_feed(dispatcher)
    receive(dispatcher, note(1, "foreign"))
    dispatcher.handled(feed, note(1, "foreign"))
    receive(dispatcher, note(1, "foreign"))
    assert dispatcher.acks() == []
    assert shown(dispatcher, feed) == [1]


def test_foreign_notifications_are_deleted_for_a_feed_that_says_so():
    dispatcher = Dispatcher()
    feed = open_feed(dispatcher, ack_foreign=True)
    receive(dispatcher, note(1, "foreign"))
    assert dispatcher.acks() == []
    dispatcher.handled(feed, note(1, "foreign"))
    assert dispatcher.acks() == [1]
    receive(dispatcher, note(1, "foreign"))
    assert dispatcher.acks() == [1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_feed_that_says_so_is_enough_whichever_comes_back_last(order):
    dispatcher = Dispatcher()
    feeds = [open_feed(dispatcher, ack_foreign=True), open_feed(dispatcher)]
    receive(dispatcher, note(1, "foreign"))
    dispatcher.handled(feeds[order[0]], note(1, "foreign"))
    assert dispatcher.acks() == []
    dispatcher.handled(feeds[order[1]], note(1, "foreign"))
    assert dispatcher.acks() == [1]


def test_what_a_crashed_feed_had_in_hand_is_shown_to_the_next():
    dispatcher, (job,) = following("j")
    feed = open_feed(dispatcher)
    wires = [note(1), note(2, "foreign"), note(3)]
    receive(dispatcher, *wires)
    drain(dispatcher)
    dispatcher.unsubscribe(feed, wires)
    assert dispatcher.acks() == []
    second = open_feed(dispatcher)
    assert sorted(map(str, shown(dispatcher, second))) == ["1", "2", "3"]
    assert logged(job) == [1, 3]
    dispatcher.handled(second, wires[0])
    assert dispatcher.acks() == [1]


@pytest.mark.parametrize("crash_first", [True, False])
def test_a_crash_in_one_feed_is_not_made_good_by_another_that_had_it_too(crash_first):
    dispatcher, _ = following("j")
    crashing, steady = open_feed(dispatcher), open_feed(dispatcher)
    wire = note(1)
    receive(dispatcher, wire)
    drain(dispatcher)
    if crash_first:
        dispatcher.unsubscribe(crashing, [wire])
        dispatcher.handled(steady, wire)
    else:
        dispatcher.handled(steady, wire)
        dispatcher.unsubscribe(crashing, [wire])
    assert dispatcher.acks() == []
    again = open_feed(dispatcher)
    assert shown(dispatcher, again) == [1]
    dispatcher.handled(again, wire)
    assert dispatcher.acks() == [1]


def test_a_feed_that_is_opened_after_a_crash_need_not_wait_for_the_slow_ones():
    dispatcher, _ = following("j")
    crashing, slow = open_feed(dispatcher), open_feed(dispatcher)
    wire = note(1)
    receive(dispatcher, wire)
    drain(dispatcher)
    dispatcher.unsubscribe(crashing, [wire])
    again = open_feed(dispatcher)
    assert shown(dispatcher, again) == [1]
    dispatcher.handled(again, wire)
    assert dispatcher.acks() == []
    dispatcher.handled(slow, wire)
    assert dispatcher.acks() == [1]


def test_what_a_feed_gave_back_is_not_acknowledged_by_a_replay():
    dispatcher, (job,) = following("j")
    feed = open_feed(dispatcher)
    wire = note(1)
    receive(dispatcher, wire)
    dispatcher.unsubscribe(feed, [wire])
    receive(dispatcher, wire)
    assert (dispatcher.acks(), logged(job)) == ([], [1])


def test_a_job_that_is_adopted_while_a_feed_has_its_event_waits_with_the_deleting():
    dispatcher = Dispatcher()
    feed = open_feed(dispatcher)
    wire = note(1, status="processing")
    receive(dispatcher, wire)
    job = dispatcher.adopt(tracker(), 0.0)
    assert (logged(job), dispatcher.acks()) == ([1], [])
    dispatcher.handled(feed, wire)
    assert dispatcher.acks() == [1]


def test_a_job_that_is_adopted_after_a_feed_has_handled_its_event_has_it_deleted():
    dispatcher = Dispatcher()
    feed = open_feed(dispatcher)
    receive(dispatcher, note(1))
    dispatcher.handled(feed, note(1))
    assert dispatcher.acks() == []
    job = dispatcher.adopt(tracker(), 0.0)
    assert (logged(job), dispatcher.acks()) == ([1], [1])


def test_a_feed_that_crashes_on_a_job_adopted_meanwhile_loses_nothing():
    dispatcher = Dispatcher()
    feed = open_feed(dispatcher)
    wire = note(1)
    receive(dispatcher, wire)
    job = dispatcher.adopt(tracker(), 0.0)
    dispatcher.unsubscribe(feed, [wire])
    drain(dispatcher)
    second = open_feed(dispatcher)
    assert shown(dispatcher, second) == [1]
    assert logged(job) == [1]


def test_a_feed_opened_after_a_crash_and_an_adoption_gets_what_was_given_back():
    dispatcher = Dispatcher()
    crashing, slow = open_feed(dispatcher), open_feed(dispatcher)
    wire = note(1)
    receive(dispatcher, wire)
    drain(dispatcher)
    dispatcher.unsubscribe(crashing, [wire])
    job = dispatcher.adopt(tracker(), 0.0)
    again = open_feed(dispatcher)
    assert shown(dispatcher, again) == [1]
    dispatcher.handled(again, wire)
    dispatcher.handled(slow, wire)
    assert (logged(job), dispatcher.acks()) == ([1], [1])


def test_a_closed_feed_gets_nothing_more():
    dispatcher, _ = following("j")
    feed = open_feed(dispatcher)
    assert dispatcher.following
    dispatcher.unsubscribe(feed, [])
    receive(dispatcher, note(1))
    assert (dispatcher.deliveries(), dispatcher.acks()) == ([], [1])


def test_a_feed_alone_is_reason_enough_to_follow_the_stream():
    dispatcher = Dispatcher()
    assert not dispatcher.following
    feed = open_feed(dispatcher)
    assert dispatcher.following
    dispatcher.unsubscribe(feed, [])
    assert not dispatcher.following


# Ack modes


@pytest.mark.parametrize("mode", ["manual", "never"])
def test_nothing_is_deleted_unasked_when_acks_are_manual_or_off(mode):
    dispatcher, (job,) = following("j", ack=mode)
    feed = open_feed(dispatcher, ack_foreign=True)
    wires = [note(1), note(2, "foreign"), note(3, status="completed")]
    receive(dispatcher, *wires)
    for wire in wires:
        dispatcher.handled(feed, wire)
    receive(dispatcher, *wires)
    dispatcher.adopt(tracker("foreign"), 0.0)
    assert dispatcher.acks() == []
    assert (logged(job), job.status) == ([1, 3], "completed")


def test_a_replay_of_what_was_deleted_by_hand_is_deleted_again():
    dispatcher, _ = following("j", ack="manual")
    receive(dispatcher, note(1))
    dispatcher.acknowledged(1)
    receive(dispatcher, note(1))
    assert dispatcher.acks() == [1]


def test_a_foreign_notification_deleted_by_hand_is_shown_to_nobody_else():
    dispatcher = Dispatcher(ack="manual")
    receive(dispatcher, note(1, "foreign"))
    dispatcher.acknowledged(1)
    assert shown(dispatcher, open_feed(dispatcher)) == []


@pytest.mark.parametrize("crash", [True, False])
def test_what_was_deleted_by_hand_inside_the_loop_is_settled_even_after_a_crash(crash):
    dispatcher, _ = following("j", ack="manual")
    feed = open_feed(dispatcher)
    wire = note(1)
    receive(dispatcher, wire)
    drain(dispatcher)
    dispatcher.acknowledged(1)
    if crash:
        dispatcher.unsubscribe(feed, [wire])
    else:
        dispatcher.handled(feed, wire)
    assert shown(dispatcher, open_feed(dispatcher)) == []
    receive(dispatcher, wire)
    assert dispatcher.acks() == [1]


def test_deleting_by_hand_what_was_never_seen_is_no_error():
    dispatcher = Dispatcher()
    dispatcher.acknowledged(99)
    receive(dispatcher, note(99, "foreign"))
    assert dispatcher.acks() == []


# Stale jobs


def test_a_new_job_is_asked_after_when_it_has_been_silent_for_the_first_pause():
    dispatcher = Dispatcher(patience=Patience(first=30.0, longest=300.0))
    job = dispatcher.adopt(tracker(), 100.0)
    assert dispatcher.stale(129.9) == []
    assert dispatcher.stale(130.0) == [job]


def test_a_stale_job_is_handed_out_once_until_it_was_read():
    dispatcher = Dispatcher(patience=Patience(first=30.0, longest=300.0))
    job = dispatcher.adopt(tracker(), 0.0)
    assert dispatcher.stale(30.0) == [job]
    assert dispatcher.stale(30.0) == []
    assert dispatcher.stale(329.9) == []
    assert dispatcher.stale(330.0) == [job]


def test_a_notification_puts_the_question_off():
    dispatcher = Dispatcher(patience=Patience(first=30.0, longest=300.0))
    dispatcher.adopt(tracker(), 0.0)
    dispatcher.receive(note(1), 20.0)
    assert dispatcher.stale(49.9) == []
    assert len(dispatcher.stale(50.0)) == 1


def test_a_duplicate_does_not_put_the_question_off():
    dispatcher = Dispatcher(patience=Patience(first=30.0, longest=300.0))
    dispatcher.adopt(tracker(), 0.0)
    dispatcher.receive(note(1), 1.0)
    dispatcher.receive(note(1), 20.0)
    assert len(dispatcher.stale(31.0)) == 1


def test_after_a_resync_every_open_job_is_stale_and_no_ended_one():
    dispatcher, (job, other, ended) = following("j", "k", "e")
    receive(dispatcher, note(1, "e", status="completed"))
    dispatcher.resync(5.0)
    assert dispatcher.stale(5.0) == [job, other]
    assert ended.ended


def test_one_job_can_be_suspected_alone():
    dispatcher, (_, other) = following("j", "k")
    dispatcher.suspect(other, 5.0)
    assert dispatcher.stale(5.0) == [other]


# Limits


def test_of_too_many_foreign_notifications_the_oldest_is_forgotten_and_new_when_replayed():
    dispatcher = Dispatcher(backlog_limit=2)
    receive(dispatcher, note(1, "j"), note(2, "j"), note(3, "j"))
    job = dispatcher.adopt(tracker(), 0.0)
    assert (logged(job), dispatcher.acks()) == ([2, 3], [2, 3])
    receive(dispatcher, note(1, "j"))
    assert (logged(job), dispatcher.acks()) == ([2, 3, 1], [1])


def test_a_full_backlog_does_not_forget_that_a_feed_has_handled_something():
    dispatcher = Dispatcher(backlog_limit=1)
    feed = open_feed(dispatcher)
    receive(dispatcher, note(1, "foreign"))
    dispatcher.handled(feed, note(1, "foreign"))
    receive(dispatcher, note(2, "foreign"), note(1, "foreign"))
    assert shown(dispatcher, feed) == [1, 2]


def test_a_job_gets_nothing_twice_though_the_backlog_lost_what_a_feed_gave_back():
    dispatcher, (job,) = following("j", backlog_limit=1)
    feed = open_feed(dispatcher)
    wires = [note(1), note(2)]
    receive(dispatcher, *wires)
    dispatcher.unsubscribe(feed, wires)
    drain(dispatcher)
    receive(dispatcher, *wires)
    assert logged(job) == [1, 2]
    assert shown(dispatcher, open_feed(dispatcher)) == [2]


def test_of_too_many_states_the_oldest_tenth_is_forgotten_and_new_when_replayed():
    dispatcher, (job,) = following("j", seen_limit=20)
    receive(dispatcher, *(note(n) for n in range(21)))
    drain(dispatcher)
    receive(dispatcher, note(0), note(5))
    assert logged(job) == [*range(21), 0]
    assert dispatcher.acks() == [0, 5]


def test_what_feeds_work_on_and_what_is_held_is_not_forgotten():
    dispatcher, (job,) = following("j", seen_limit=10)
    feed = open_feed(dispatcher, names=frozenset({"image_result"}))
    kept = [note(1, "j", "image_result"), note(2, "foreign")]
    receive(dispatcher, *kept)
    receive(dispatcher, *(note(n) for n in range(3, 40)))
    drain(dispatcher)
    receive(dispatcher, *kept)
    assert (dispatcher.deliveries(), dispatcher.acks()) == ([], [])
    assert logged(job)[0] == 1
    assert logged(job).count(1) == 1
    dispatcher.handled(feed, kept[0])
    assert dispatcher.acks() == [1]


def test_what_a_feed_has_handled_is_not_forgotten_while_its_job_may_become_known():
    dispatcher, _ = following("j", seen_limit=10)
    feed = open_feed(dispatcher, jobs=frozenset({"foreign"}))
    receive(dispatcher, note(1, "foreign"))
    dispatcher.handled(feed, note(1, "foreign"))
    receive(dispatcher, *(note(n) for n in range(2, 40)))
    drain(dispatcher)
    receive(dispatcher, note(1, "foreign"))
    assert dispatcher.deliveries() == []


def test_the_memory_of_states_is_bounded():
    dispatcher, _ = following("j", seen_limit=100, backlog_limit=10)
    receive(dispatcher, *(note(n, job) for n in range(5000) for job in ("j" if n % 2 else "f",)))
    assert len(dispatcher._seen) <= 100
    assert len(dispatcher._backlog) <= 10


def test_of_too_many_ended_jobs_the_oldest_is_foreign_from_then_on(monkeypatch):
    monkeypatch.setattr(module, "CLOSED_LIMIT", 2)
    dispatcher, trackers = following("a", "b", "c")
    receive(dispatcher, *(note(n, job, status="completed") for n, job in enumerate("abc")))
    drain(dispatcher)
    trackers.clear()
    gc.collect()
    receive(dispatcher, note(10, "a"), note(11, "b"), note(12, "c"))
    assert dispatcher.acks() == [11, 12]
    assert [dispatcher.knows(job) for job in "abc"] == [False, True, True]


def test_an_open_job_is_never_foreign_however_many_have_ended(monkeypatch):
    monkeypatch.setattr(module, "CLOSED_LIMIT", 1)
    dispatcher, _ = following("a", "b", "c")
    receive(dispatcher, note(1, "a", status="failed"), note(2, "b", status="failed"))
    assert dispatcher.knows("c")
    assert not dispatcher.knows("a")


def test_a_job_that_is_picked_up_again_after_its_end_counts_as_open():
    dispatcher, trackers = following("a")
    receive(dispatcher, note(1, "a", status="completed"))
    drain(dispatcher)
    trackers.clear()
    gc.collect()
    again = dispatcher.adopt(tracker("a"), 0.0)
    assert dispatcher.open_jobs == 1
    receive(dispatcher, note(2, "a", status="completed"))
    assert dispatcher.ended() == [again]


def test_subscriptions_are_told_apart_by_identity():
    dispatcher = Dispatcher()
    first, second = open_feed(dispatcher), open_feed(dispatcher)
    receive(dispatcher, note(1))
    takers: Iterable[Subscription] = [feed for feed, _ in dispatcher.deliveries()]
    assert list(takers) == [first, second]
    dispatcher.unsubscribe(second, [])
    receive(dispatcher, note(2))
    assert [feed for feed, _ in dispatcher.deliveries()] == [first]


# Streams, as text


def both(arrivals: list[Any], **options: Any) -> list[tuple[object, ...]]:
    """Take a chunk in at once, and read the same one by one; return what became of each."""
    found: list[tuple[object, ...]] = []
    for at_once in (True, False):
        dispatcher, (job, other) = following("j", "k", **options)
        dispatcher.adopt(Generation("c", index=0, total=2, invisible_until=0.0), 0.0)
        drain(dispatcher)
        left_out: list[str] = []
        if at_once:
            left_out = dispatcher.take(arrivals, 7.0)
        else:
            for arrival in arrivals:
                try:
                    item = read_arrival(arrival)
                except ResponseFormatError as error:
                    left_out.append(error.reason)
                else:
                    assert isinstance(item, WireNotification)
                    dispatcher.receive(item, 7.0)
        changed = {each.job_id for each in dispatcher.changed()}
        ended = [each.job_id for each in dispatcher.ended()]
        pictures = [
            (each.status, each.processed, each.total, each.error_message, each.check_at)
            for each in (job, other)
        ]
        logs = [[(wire.id, wire.name, wire.data) for wire in each.log()] for each in (job, other)]
        outputs = [[output.key for output in each.outputs()] for each in (job, other)]
        found.append(
            (
                left_out,
                changed,
                ended,
                pictures,
                logs,
                outputs,
                [dispatcher._seen.get(number) for number in range(-2, 12)],
                dispatcher.acks(),
                dispatcher.unknown_jobs(),
                dispatcher.strangers_ended(),
                dispatcher.deliveries(),
            )
        )
    return found


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


numbers = st.one_of(st.integers(-2, 12), st.sampled_from(["a", 2**63, 2**70, True, None, 1.5]))
texts = st.builds(
    lambda number, name, data: json.dumps({"id": number, "name": name, "data": data}).encode(),
    numbers,
    st.sampled_from(["batch_edit", "image_result", "identity_preprocessing", 7]),
    st.one_of(
        st.sampled_from([None, 5, []]),
        st.fixed_dictionaries(
            {},
            optional={
                "id_task": st.sampled_from(["j", "j", "k", "c", "foreign", 7, ["j"], None]),
                "job_id": st.sampled_from(["j", "foreign"]),
                "status": st.sampled_from(["pending", "processing", "completed", "failed", 3]),
                "processed_images": st.sampled_from([0, 1, 2, True, "2", -1]),
                "total_images": st.integers(0, 3),
                "error_message": st.sampled_from(["why", "", None]),
                "image_index": st.integers(0, 1),
                "group_index": st.integers(0, 1),
                "deep": st.sampled_from([0, [[[1]]], nested(70), "[" * 70]),
            },
        ),
    ),
)
oddities = st.sampled_from([b"", b"{", b"[]", b"null", b"\xff", b'{"id": 1}'])


@settings(derandomize=True, deadline=None, max_examples=400)
@given(
    st.lists(st.one_of(texts, texts, oddities), max_size=12), st.sampled_from(["handled", "never"])
)
def test_a_chunk_at_once_does_what_its_notifications_do_one_by_one(arrivals, ack):
    at_once, one_by_one = both(arrivals, ack=ack)
    assert at_once == one_by_one


def test_what_is_only_counted_is_kept_as_it_came():
    dispatcher, (job,) = following("j")
    wires = [note(n, status="pending", processed_images=n) for n in range(1, 4)]
    told = [text_of(wire) for wire in wires]
    assert dispatcher.take(told, 1.0) == []
    assert job.kept == told
    assert [(wire.id, wire.data) for wire in job.log()] == [(wire.id, wire.data) for wire in wires]
    assert [wire.id for wire in job.log(1)] == [2, 3]
    assert dispatcher.acks() == [1, 2, 3]


def test_a_text_that_is_no_utf8_is_read_all_the_same():
    dispatcher, (job,) = following("j")
    text = text_of(note(1, status="processing", error_message="?")).replace(b"?", b"\xff")
    assert dispatcher.take([text], 1.0) == []
    assert job.error_message == "\ufffd"


def test_the_end_of_the_backfill_makes_every_open_job_stale_in_its_place():
    dispatcher, (job, other) = following("j", "k")
    texts = [text_of(note(n, name, status="processing")) for n, name in ((1, "j"), (2, "k"))]
    dispatcher.take([texts[0], SYNCED, texts[1]], 5.0)
    assert dispatcher.synced()
    assert not dispatcher.synced()
    assert (job.check_at, other.check_at) == (5.0, 5.0 + dispatcher.patience.first)
    assert dispatcher.stale(5.0) == [job]
