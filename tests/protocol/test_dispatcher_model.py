"""Dispatcher and progress against a plain model: a service that replays what was not deleted."""

from __future__ import annotations

from collections import Counter

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from piktid_async.models.jobs import TERMINAL
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.dispatcher import Dispatcher, Subscription
from piktid_async.protocol.progress import Tracker
from piktid_async.types import NoteId
from tests.protocol.support import note, text_of

JOBS = ["a", "b", "c"]
NAMES = ["batch_edit", "image_result"]
STATUSES = ["pending", "processing", "processing", "completed", "failed"]

each_job = st.sampled_from([*JOBS, "foreign", None])


@attrs.define(eq=False)
class Fact:
    """What the model knows of one notification."""

    wire: WireNotification
    at_service: bool = True
    arrived: bool = False
    acked: int = 0
    holders: list[Subscription] = attrs.Factory(list)
    """Feeds that have it and have not come back."""
    unhandled: bool = False
    """A feed gave it back, and no feed or new job has taken it since."""
    claimed: bool = False
    """A feed that may acknowledge foreign ones has handled it."""
    by_hand: bool = False
    """The user has deleted it."""
    shown: bool = False


@attrs.define(eq=False)
class Feed:
    subscription: Subscription
    waiting: list[NoteId] = attrs.Factory(list)
    got: list[NoteId] = attrs.Factory(list)


class DispatcherAgainstAModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.dispatcher = Dispatcher()
        self.facts: dict[NoteId, Fact] = {}
        self.jobs: dict[str, Tracker] = {}
        self.feeds: list[Feed] = []
        self.ended: Counter[str] = Counter()
        self.now = 0.0

    # What the service does

    @rule(job=each_job, name=st.sampled_from(NAMES), status=st.sampled_from(STATUSES))
    def the_service_has_news(self, job: str | None, name: str, status: str) -> None:
        note_id = len(self.facts)
        wire = note(
            note_id, job, name, status=status, image_index=note_id, processed_images=note_id
        )
        self.facts[note_id] = Fact(wire)

    @precondition(lambda self: self.facts)
    @rule(data=st.data(), as_text=st.booleans())
    def one_arrives_in_any_order(self, data: st.DataObject, as_text: bool) -> None:
        note_id = data.draw(st.sampled_from(sorted(self.facts)), label="notification")
        self.arrive(self.facts[note_id], as_text=as_text)

    @rule(as_text=st.booleans())
    def the_service_replays_what_it_still_has(self, as_text: bool) -> None:
        for fact in list(self.facts.values()):
            if fact.at_service:
                self.arrive(fact, as_text=as_text)

    def arrive(self, fact: Fact, *, as_text: bool) -> None:
        """`as_text`: on the stream, and else as a webhook."""
        before = fact.acked
        first = not fact.arrived
        fact.arrived = True
        if first:
            fact.holders = [
                feed.subscription for feed in self.feeds if feed.subscription.wants(fact.wire)
            ]
            fact.shown = bool(fact.holders)
        if as_text:
            assert self.dispatcher.take([text_of(fact.wire)], self.now) == []
        else:
            self.dispatcher.receive(fact.wire, self.now)
        self.drain(deletes=True)
        if before:
            assert fact.acked > before, "a replay of what was acknowledged is acknowledged again"

    # What the session does

    @rule(job=st.sampled_from(JOBS))
    def a_job_is_made(self, job: str) -> None:
        made = Tracker(job, "garment_recolor", total=None, status="pending", invisible_until=0.0)
        counts = self.dispatcher.adopt(made, self.now)
        if job in self.jobs:
            assert counts is self.jobs[job]
        else:
            self.jobs[job] = counts
            for fact in self.of_job(job):
                fact.unhandled &= bool(fact.holders)
        self.drain(deletes=True)

    @rule(
        names=st.sampled_from([None, *NAMES]),
        job=st.sampled_from([None, None, *JOBS, "foreign"]),
        ack_foreign=st.booleans(),
    )
    def a_feed_is_opened(self, names: str | None, job: str | None, ack_foreign: bool) -> None:
        feed = Feed(
            Subscription(names and frozenset({names}), job and frozenset({job}), ack_foreign)
        )
        expected = []
        for note_id, fact in self.facts.items():
            fresh = fact.arrived and not fact.shown and fact.wire.job_id not in self.jobs
            waits = (fresh and not fact.acked) or fact.unhandled
            if waits and not fact.by_hand and feed.subscription.wants(fact.wire):
                expected.append(note_id)
                fact.holders.append(feed.subscription)
                fact.unhandled, fact.shown = False, True
        self.feeds.append(feed)
        self.dispatcher.subscribe(feed.subscription)
        self.drain(deletes=True)
        assert sorted(feed.waiting) == expected

    @precondition(lambda self: any(feed.waiting for feed in self.feeds))
    @rule(data=st.data(), lost=st.booleans())
    def a_feed_handles_one(self, data: st.DataObject, lost: bool) -> None:
        """`lost`: the DELETE that follows does not reach the service."""
        feed = data.draw(st.sampled_from([each for each in self.feeds if each.waiting]))
        fact = self.facts[feed.waiting.pop(0)]
        self.come_back(feed, fact, handled=True)
        self.dispatcher.handled(feed.subscription, fact.wire)
        self.drain(deletes=not lost)

    @precondition(lambda self: self.feeds)
    @rule(data=st.data())
    def a_feed_crashes_or_closes_with_some_unhandled(self, data: st.DataObject) -> None:
        feed = data.draw(st.sampled_from(self.feeds))
        self.feeds.remove(feed)
        left = [self.facts[note_id] for note_id in feed.waiting]
        for fact in left:
            self.come_back(feed, fact, handled=False)
        self.dispatcher.unsubscribe(feed.subscription, [fact.wire for fact in left])
        self.drain(deletes=True)

    @precondition(lambda self: any(fact.arrived for fact in self.facts.values()))
    @rule(data=st.data())
    def the_user_deletes_one_by_hand(self, data: st.DataObject) -> None:
        arrived = [note_id for note_id, fact in self.facts.items() if fact.arrived]
        fact = self.facts[data.draw(st.sampled_from(arrived), label="notification")]
        fact.by_hand, fact.at_service, fact.unhandled = True, False, False
        fact.acked += 1
        fact.holders.clear()
        self.dispatcher.acknowledged(fact.wire.id)
        self.drain(deletes=True)

    @rule()
    def the_stream_is_opened_again(self) -> None:
        self.now += 1
        self.dispatcher.resync(self.now)
        stale = self.dispatcher.stale(self.now)
        assert {tracker.job_id for tracker in stale} == {
            job for job, tracker in self.jobs.items() if not tracker.ended
        }
        assert self.dispatcher.stale(self.now) == []

    # What must hold

    @invariant()
    def each_job_has_had_its_own_exactly_once(self) -> None:
        for job, tracker in self.jobs.items():
            logged = Counter(wire.id for wire in tracker.log())
            assert logged == Counter(fact.wire.id for fact in self.of_job(job) if fact.arrived)

    @invariant()
    def a_job_has_ended_when_it_was_told_so_and_ends_once(self) -> None:
        for job, tracker in self.jobs.items():
            told = [
                fact
                for fact in self.of_job(job)
                if fact.arrived
                and fact.wire.name == "batch_edit"
                and fact.wire.data["status"] in TERMINAL
            ]
            assert tracker.ended == bool(told) == (self.ended[job] == 1)
            assert self.ended[job] <= 1

    @invariant()
    def what_everybody_has_handled_is_acknowledged(self) -> None:
        for fact in self.facts.values():
            done = fact.arrived and not fact.holders and not fact.unhandled
            if done and (fact.wire.job_id in self.jobs or fact.claimed):
                assert fact.acked or fact.by_hand

    @invariant()
    def feeds_show_each_notification_once_and_only_what_they_want(self) -> None:
        for feed in self.feeds:
            assert max(Counter(feed.got).values(), default=1) == 1
            assert all(feed.subscription.wants(self.facts[note_id].wire) for note_id in feed.got)

    def drain(self, *, deletes: bool) -> None:
        for note_id in self.dispatcher.acks():
            fact = self.facts[note_id]
            assert fact.arrived
            ours = fact.wire.job_id in self.jobs or fact.claimed or fact.by_hand
            assert ours, "foreign ones are never deleted"
            assert not fact.holders, "a feed has not come back yet"
            assert not fact.unhandled, "a feed that crashed on it gets it again"
            fact.acked += 1
            fact.at_service &= not deletes
        for subscription, wire in self.dispatcher.deliveries():
            (feed,) = [each for each in self.feeds if each.subscription is subscription]
            feed.waiting.append(wire.id)
            feed.got.append(wire.id)
        self.ended.update(tracker.job_id for tracker in self.dispatcher.ended())

    def come_back(self, feed: Feed, fact: Fact, *, handled: bool) -> None:
        if feed.subscription in fact.holders:
            fact.holders.remove(feed.subscription)
            fact.unhandled |= not handled
            fact.claimed |= handled and feed.subscription.ack_foreign
            fact.claimed &= bool(fact.holders) or not fact.unhandled

    def of_job(self, job: str) -> list[Fact]:
        return [fact for fact in self.facts.values() if fact.wire.job_id == job]


DispatcherAgainstAModel.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=150, stateful_step_count=40
)
TestDispatcherAgainstAModel = DispatcherAgainstAModel.TestCase
