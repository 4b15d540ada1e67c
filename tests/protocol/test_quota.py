from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from piktid_async.models.limits import AccountLimits
from piktid_async.protocol.quota import Grant, Quota

A, B = "/garment-recolor", "/edit-chat"


def quota(active: int | None = None, **per_minute: int) -> Quota:
    return Quota(
        AccountLimits(active_jobs=active, per_minute={f"/{p}": n for p, n in per_minute.items()})
    )


def test_without_limits_everything_may_leave_at_once():
    free = Quota(AccountLimits.unlimited())
    assert [free.ready_at(A, True, 5.0) for _ in range(100) if free.take(A, True, 5.0)] == [
        -math.inf
    ] * 100


def test_an_endpoint_that_is_not_listed_has_no_window():
    limited = quota(a=1)
    limited.take("/a", False, 0.0)
    assert limited.ready_at("/b", False, 0.0) <= 0.0
    assert limited.ready_at("/a", False, 0.0) > 0.0


def test_a_window_opens_a_minute_after_the_answer_not_after_the_request():
    limited = quota(a=1)
    grant = limited.take("/a", False, 0.0)
    limited.answered(grant, 10.0, None)
    assert limited.ready_at("/a", False, 10.0) == 70.0
    assert limited.ready_at("/a", False, 69.9) == 70.0
    assert limited.ready_at("/a", False, 70.0) <= 70.0


def test_a_request_under_way_holds_its_place_however_long_it_takes():
    limited = quota(a=1)
    grant = limited.take("/a", False, 0.0)
    assert limited.ready_at("/a", False, 1e6) == math.inf
    limited.answered(grant, 1e6, None)
    assert limited.ready_at("/a", False, 1e6) == 1e6 + 60.0


def test_the_next_opening_is_that_of_the_grant_that_must_go_first():
    limited = quota(a=3)
    grants = [limited.take("/a", False, 0.0) for _ in range(3)]
    for grant, at in zip(grants, [30.0, 10.0, 20.0], strict=True):
        limited.answered(grant, at, None)
    assert limited.ready_at("/a", False, 30.0) == 70.0
    limited.answered(limited.take("/a", False, 70.0), 70.0, None)
    assert limited.ready_at("/a", False, 70.0) == 80.0
    limited.answered(limited.take("/a", False, 80.0), 80.0, None)
    assert limited.ready_at("/a", False, 80.0) == 90.0


def test_a_refused_request_counts_too():
    limited = quota(a=1)
    limited.answered(limited.take("/a", True, 0.0), 1.0, None)
    assert limited.ready_at("/a", True, 1.0) == 61.0


def test_taking_what_is_not_free_is_a_mistake_of_the_caller():
    limited = quota(a=1)
    limited.take("/a", False, 0.0)
    with pytest.raises(RuntimeError, match="ready_at"):
        limited.take("/a", False, 0.0)


def test_slots_are_shared_by_the_pooled_endpoints_and_by_no_others():
    limited = quota(active=1)
    limited.take("/a", True, 0.0)
    assert limited.ready_at("/b", True, 0.0) == math.inf
    assert limited.ready_at("/c", False, 0.0) <= 0.0


def test_a_slot_passes_to_the_job_and_is_free_when_the_job_has_ended():
    limited = quota(active=1)
    limited.answered(limited.take("/a", True, 0.0), 1.0, "j")
    assert limited.ready_at("/a", True, 1e9) == math.inf
    limited.ended("j")
    assert limited.ready_at("/a", True, 1.0) <= 1.0


def test_a_slot_is_free_when_no_job_was_made():
    limited = quota(active=1)
    limited.answered(limited.take("/a", True, 0.0), 1.0, None)
    assert limited.ready_at("/a", True, 1.0) <= 1.0


def test_a_job_that_takes_no_slot_frees_none():
    limited = quota(active=1)
    limited.answered(limited.take("/a", False, 0.0), 1.0, "free")
    limited.answered(limited.take("/a", True, 1.0), 1.0, "pooled")
    limited.ended("free")
    assert limited.ready_at("/a", True, 1.0) == math.inf


def test_the_end_of_a_job_of_somebody_else_frees_nothing():
    limited = quota(active=1)
    limited.answered(limited.take("/a", True, 0.0), 1.0, "j")
    limited.ended("foreign")
    limited.ended("foreign")
    assert limited.ready_at("/a", True, 1.0) == math.inf


def test_a_job_that_ends_twice_frees_one_slot():
    limited = quota(active=2)
    limited.answered(limited.take("/a", True, 0.0), 0.0, "j")
    limited.answered(limited.take("/a", True, 0.0), 0.0, "k")
    limited.ended("j")
    limited.ended("j")
    limited.take("/a", True, 0.0)
    assert limited.ready_at("/a", True, 0.0) == math.inf


def test_a_429_slows_its_endpoint_and_a_shorter_one_does_not_hasten_it():
    limited = quota()
    limited.slow_down("/a", 50.0)
    limited.slow_down("/a", 20.0)
    assert limited.ready_at("/a", True, 0.0) == 50.0
    assert limited.ready_at("/b", True, 0.0) <= 0.0


def test_a_full_account_holds_every_pooled_endpoint_back():
    limited = quota()
    limited.full(50.0)
    limited.full(20.0)
    assert limited.ready_at("/a", True, 0.0) == limited.ready_at("/b", True, 0.0) == 50.0
    assert limited.ready_at("/a", False, 0.0) <= 0.0


def test_the_longest_of_several_reasons_decides():
    limited = quota(active=5, a=1)
    limited.answered(limited.take("/a", True, 0.0), 0.0, None)
    limited.slow_down("/a", 30.0)
    limited.full(90.0)
    assert limited.ready_at("/a", True, 0.0) == 90.0
    limited.slow_down("/a", 100.0)
    assert limited.ready_at("/a", True, 0.0) == 100.0


def test_old_grants_are_forgotten():
    limited = quota(a=1)
    for minute in range(100):
        limited.answered(limited.take("/a", False, minute * 60.0), minute * 60.0, None)
    assert len(limited._grants["/a"]) == 1


class QuotaAgainstAServer(RuleBasedStateMachine):
    """Everyone goes as soon as `ready_at` says; the server counts at any time before the answer."""

    WINDOW = 10.0
    RATE = 3
    SLOTS = 2

    def __init__(self) -> None:
        super().__init__()
        self.quota = Quota(
            AccountLimits(active_jobs=self.SLOTS, per_minute={A: self.RATE}, window=self.WINDOW)
        )
        self.now = 0.0
        self.under_way: list[tuple[Grant, float, bool]] = []
        self.counted: list[float] = []
        self.jobs: list[str] = []
        self.names = 0

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0, 9.5, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(path=st.sampled_from([A, A, B]), pooled=st.booleans())
    def submit(self, path: str, pooled: bool) -> None:
        ready = self.quota.ready_at(path, pooled, self.now)
        if ready <= self.now:
            grant = self.quota.take(path, pooled, self.now)
            self.under_way.append((grant, self.now, pooled))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), made=st.booleans())
    def answer(self, data: st.DataObject, made: bool) -> None:
        grant, sent, pooled = self.under_way.pop(
            data.draw(st.integers(0, len(self.under_way) - 1), label="which")
        )
        share = data.draw(st.sampled_from([0.0, 0.5, 1.0]), label="when the server counted it")
        if grant.path == A:
            self.counted.append(sent + share * (self.now - sent))
        self.names += 1
        self.quota.answered(grant, self.now, f"job{self.names}" if made else None)
        if made and pooled:
            self.jobs.append(f"job{self.names}")

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def a_job_ends(self, data: st.DataObject) -> None:
        ended = data.draw(st.sampled_from(self.jobs), label="job")
        self.jobs.remove(ended)
        self.quota.ended(ended)
        self.quota.ended(ended)

    @invariant()
    def no_window_of_the_server_holds_more_than_the_limit(self) -> None:
        times = sorted(self.counted)
        spans = [last - first for first, last in zip(times, times[self.RATE :], strict=False)]
        assert all(span >= self.WINDOW - 1e-9 for span in spans)

    @invariant()
    def no_more_jobs_than_slots(self) -> None:
        assert self.taken() <= self.SLOTS

    @invariant()
    def a_slot_is_free_exactly_when_the_model_says_so(self) -> None:
        opens = self.quota.ready_at(B, True, self.now)
        assert (opens > self.now) == (self.taken() == self.SLOTS)

    @invariant()
    def the_window_opens_again_once_every_answer_is_a_window_old(self) -> None:
        if not any(grant.path == A for grant, _, _ in self.under_way):
            assert self.quota.ready_at(A, False, self.now) <= self.now + self.WINDOW

    def taken(self) -> int:
        return len(self.jobs) + sum(pooled for _, _, pooled in self.under_way)


QuotaAgainstAServer.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=60, stateful_step_count=40
)
TestQuotaAgainstAServer = QuotaAgainstAServer.TestCase


def test_a_greedy_caller_gets_the_whole_rate_and_no_more():
    """What is left to a caller that asks all the time: five a minute, not four, not six."""
    limited, now, left = quota(a=5), 0.0, []
    while now < 300.0:
        now = max(now, limited.ready_at("/a", False, now))
        limited.answered(limited.take("/a", False, now), now, None)
        left.append(now)
    assert [left.count(minute * 60.0) for minute in range(5)] == [5] * 5
    assert all(later >= earlier for earlier, later in pairwise(left))
