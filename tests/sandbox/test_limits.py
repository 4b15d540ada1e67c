from __future__ import annotations

import pytest

from piktid_async.sandbox.answers import ApiError
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.limits import Limiter
from piktid_async.sandbox.settings import SandboxLimits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def accepted(limiter: Limiter, endpoint: str) -> bool:
    try:
        limiter.take_request(endpoint)
    except ApiError:
        return False
    return True


def test_the_window_slides_and_refused_requests_do_not_count():
    clock = Clock()
    limiter = Limiter(SandboxLimits(per_minute={"/a": 2}), Faults(), clock=clock)
    assert accepted(limiter, "/a")
    clock.now += 30
    assert accepted(limiter, "/a")
    clock.now += 29.9
    assert not accepted(limiter, "/a")
    clock.now += 0.1
    assert accepted(limiter, "/a")
    assert not accepted(limiter, "/a")
    clock.now += 30
    assert accepted(limiter, "/a")


def test_each_endpoint_has_a_window_of_its_own_and_others_have_none():
    limiter = Limiter(SandboxLimits(per_minute={"/a": 1, "/b": 1}), Faults(), clock=Clock())
    assert accepted(limiter, "/a")
    assert accepted(limiter, "/b")
    assert not accepted(limiter, "/a")
    assert all(accepted(limiter, "/c") for _ in range(100))


def test_without_limits_nothing_is_refused():
    limiter = Limiter(None, Faults(), clock=Clock())
    assert all(accepted(limiter, "/garment-recolor") for _ in range(100))
    limiter.check_jobs(100)


def test_the_cap_names_its_number():
    limiter = Limiter(SandboxLimits(active_jobs=5), Faults())
    limiter.check_jobs(4)
    with pytest.raises(ApiError, match=r"429 Concurrent job limit reached. .* at most 5 active"):
        limiter.check_jobs(5)
