from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.protocol.backoff import Backoff


def test_the_ceiling_doubles_up_to_the_cap():
    backoff = Backoff(base=0.5, cap=3.0)
    assert [backoff.ceiling(failures) for failures in range(6)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_without_a_failure_there_is_no_pause():
    assert Backoff().pause(0, lambda: 1.0) == 0.0
    assert Backoff().ceiling(-1) == 0.0


def test_a_cap_below_the_base_still_caps():
    assert Backoff(base=5.0, cap=1.0).ceiling(1) == 1.0


def test_a_million_failures_are_no_overflow():
    assert Backoff(base=0.5, cap=30.0).ceiling(1_000_000) == 30.0


def test_jitter_is_full_from_nothing_to_the_ceiling():
    backoff = Backoff(base=2.0, cap=30.0)
    pauses = [backoff.pause(2, lambda jitter=jitter: jitter) for jitter in (0.0, 0.25, 1.0)]
    assert pauses == [0.0, 1.0, 4.0]


@settings(derandomize=True, deadline=None)
@given(
    base=st.floats(0.001, 100),
    cap=st.floats(0.001, 1000),
    failures=st.integers(0, 10_000),
    jitter=st.floats(0, 1),
)
def test_no_pause_is_negative_or_longer_than_the_cap(base, cap, failures, jitter):
    backoff = Backoff(base=base, cap=cap)
    assert 0 <= backoff.pause(failures, lambda: jitter) <= backoff.ceiling(failures) <= cap
    assert backoff.ceiling(failures) <= backoff.ceiling(failures + 1)
