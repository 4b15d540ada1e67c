from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import (
    AuthenticationError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ResponseFormatError,
    ServerError,
    StatusError,
)
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.reconnect import (
    LONGEST_ASKED_FOR,
    Connect,
    GiveUp,
    Reconnect,
    WaitUntil,
)

BACKOFF = Backoff(base=1.0, cap=30.0)
RESET = ConnectionFailedError("GET /notifications/events", "connection reset")


def machine(jitter: float = 1.0) -> Reconnect:
    return Reconnect(BACKOFF, jitter=lambda: jitter)


def pause_after(made: Reconnect, now: float, error: Exception | None = RESET) -> float:
    """Lose the connection and return how long to wait."""
    made.lost(now, error)
    action = made.next(now)
    return action.at - now if isinstance(action, WaitUntil) else 0.0


def live(made: Reconnect, since: float, until: float) -> None:
    """Be connected, with bytes at both ends."""
    made.opening()
    made.opened(since)
    made.heard(until)


def test_at_first_there_is_nothing_to_wait_for():
    assert machine().next(0.0) == Connect()
    assert machine().state == "down"


def test_the_states_follow_what_happens():
    made = machine()
    made.opening()
    opening = made.state
    made.opened(0.0)
    up = made.state
    made.lost(1.0, RESET)
    assert [opening, up, made.state] == ["opening", "up", "down"]


def test_attempts_that_fail_wait_longer_each_time_up_to_the_cap():
    made = machine()
    assert [pause_after(made, 0.0) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_time_to_wait_is_over_when_it_is_over():
    made = machine()
    made.lost(10.0, RESET)
    assert made.next(10.0) == WaitUntil(11.0)
    assert made.next(10.999) == WaitUntil(11.0)
    assert made.next(11.0) == Connect()


def test_a_server_that_accepts_and_hangs_up_at_once_does_not_reset_the_backoff():
    made = machine()
    pauses = []
    for _ in range(5):
        live(made, 0.0, 0.0)
        pauses.append(pause_after(made, 0.0, None))
    assert pauses == [1, 2, 4, 8, 16]


def test_a_connection_that_outlives_the_pause_before_it_does():
    made = machine()
    assert [pause_after(made, 0.0) for _ in range(4)] == [1, 2, 4, 8]
    live(made, 100.0, 108.0)
    assert pause_after(made, 108.0) == 1.0


def test_a_connection_that_dies_a_little_earlier_does_not():
    made = machine()
    assert [pause_after(made, 0.0) for _ in range(4)] == [1, 2, 4, 8]
    live(made, 100.0, 107.9)
    assert pause_after(made, 107.9) == 16.0


def test_a_connection_lives_as_long_as_it_is_heard_not_as_long_as_it_is_held():
    made = machine()
    assert [pause_after(made, 0.0) for _ in range(4)] == [1, 2, 4, 8]
    live(made, 100.0, 101.0)
    assert pause_after(made, 1000.0) == 16.0


def test_a_long_life_is_not_credited_to_the_next_connection():
    made = machine()
    live(made, 0.0, 1000.0)
    assert pause_after(made, 1000.0) == 1.0
    assert pause_after(made, 1001.0) == 2.0


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError(401, "GET /x"),
        PermissionDeniedError(403, "GET /x"),
        NotFoundError(404, "GET /x"),
        *(StatusError(status, "GET /x") for status in (302, 400, 402, 405, 406, 410, 422, 451)),
    ],
)
def test_what_the_service_refuses_for_good_is_given_up(error):
    made = machine()
    made.lost(0.0, error)
    assert made.next(0.0) == made.next(1e9) == GiveUp(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        RESET,
        RequestTimeoutError("GET /x", "silence"),
        ResponseFormatError("GET /x", "no event stream"),
        RateLimitError(429, "GET /x"),
        *(ServerError(status, "GET /x") for status in (500, 502, 503, 504)),
        *(StatusError(status, "GET /x") for status in (408, 425)),
    ],
)
def test_what_may_pass_is_tried_again(error):
    made = machine()
    assert pause_after(made, 0.0, error) == 1.0
    assert made.next(1.0) == Connect()


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(None, 1.0), (0.0, 1.0), (0.5, 1.0), (7.0, 7.0), (120.0, 120.0), (86_400.0, 120.0)],
)
def test_retry_after_is_honoured_up_to_a_bound(asked, pause):
    error = ServerError(503, "GET /x", "", asked)
    assert pause_after(machine(), 0.0, error) == pause
    assert LONGEST_ASKED_FOR == 120.0


def test_retry_after_holds_for_one_pause_only():
    made = machine()
    assert pause_after(made, 0.0, ServerError(503, "GET /x", "", 100.0)) == 100.0
    assert pause_after(made, 200.0) == 2.0


@settings(derandomize=True, deadline=None)
@given(
    failures=st.integers(1, 40),
    jitter=st.floats(0, 1),
    now=st.floats(0, 1e9),
    asked=st.none() | st.floats(0, 1e6),
)
def test_no_pause_is_negative_or_beyond_all_bounds(failures, jitter, now, asked):
    made = machine(jitter)
    pauses = [
        pause_after(made, now, ServerError(500, "GET /x", "", asked)) for _ in range(failures)
    ]
    assert all(0 <= pause <= LONGEST_ASKED_FOR + 1e-6 for pause in pauses)
    if asked is None:
        expected = BACKOFF.ceiling(failures) * jitter
        assert pauses[-1] == pytest.approx(expected, abs=1e-6)
