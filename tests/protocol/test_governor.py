"""The queue before the limits, with a clock that is given."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from piktid_async.models.limits import AccountLimits
from piktid_async.protocol.governor import Governor, Place, after_refusals
from piktid_async.protocol.quota import DOUBT_HELD

RECOLOR, PACKSHOT, CHAT = "/garment-recolor", "/create-packshot", "/edit-chat"


@attrs.define
class Bench:
    """A governor whose turns are named."""

    governor: Governor
    now: float = 0.0
    names: dict[Place, str] = attrs.field(factory=dict)
    places: dict[str, Place] = attrs.field(factory=dict)

    def join(self, names: str, path: str = RECOLOR, *, pooled: bool = True) -> None:
        for name in names:
            place = self.governor.place(path, pooled=pooled, now=self.now)
            self.names[place], self.places[name] = name, place
            self.governor.join(place)

    def due(self) -> str:
        return "".join(self.names[place] for place in self.governor.due(self.now))

    def started(self, names: str) -> None:
        for name in names:
            self.governor.started(self.places[name], f"job-{name}", self.now)

    def ended(self, names: str) -> None:
        for name in names:
            self.governor.ended(f"job-{name}", self.now)


def bench(active: int | None = None, window: float = 60.0, **per_minute: int) -> Bench:
    paths = {"recolor": RECOLOR, "packshot": PACKSHOT, "chat": CHAT}
    limits = {paths[name]: most for name, most in per_minute.items()}
    return Bench(Governor(AccountLimits(active, limits, window)))


def played(queue: Bench, jobs: int, paths: tuple[str, ...], seconds: float) -> list[float]:
    """Submit all at once to a service that answers at once; return when each has left."""
    for number in range(jobs):
        queue.join(chr(ord("A") + number), paths[number % len(paths)])
    left: list[float] = []
    running: list[tuple[float, str]] = []
    while len(left) < jobs or running:
        for name in queue.due():
            queue.started(name)
            left.append(queue.now)
            running.append((queue.now + seconds, name))
        queue.now = min([queue.governor.wake_at(queue.now), *(ends for ends, _ in running)])
        for ends, name in [each for each in running if each[0] <= queue.now]:
            queue.ended(name)
            running.remove((ends, name))
    return left


@pytest.mark.parametrize(
    ("paths", "seconds", "pause"),
    [
        ((RECOLOR,), 6.0, 60.0),  # five a window, and each has ended when the next may leave
        ((RECOLOR,), 72.0, 72.0),  # five at once, whose windows have long passed
        ((RECOLOR, PACKSHOT), 36.0, 36.0),  # five at once, of two endpoints by turns
    ],
)
def test_sixty_submissions_leave_as_early_as_the_limits_allow(paths, seconds, pause):
    """In virtual time nothing is lost: each five leave at the first moment at which five may."""
    left = played(bench(5, recolor=5, packshot=5), 60, paths, seconds)
    assert left == [pause * (number // 5) for number in range(60)]


def test_a_doubt_holds_its_slot_until_it_is_settled():
    queue = bench(1)
    queue.join("ab")
    assert queue.due() == "a"
    queue.governor.doubtful(queue.places["a"], 5.0)
    assert queue.due() == ""
    assert queue.governor.report(5.0).in_doubt == 1
    queue.governor.settled(queue.places["a"], None)
    assert queue.due() == "b"


def test_the_slot_of_a_doubt_passes_to_the_job_that_is_found():
    queue = bench(1)
    queue.join("ab")
    assert queue.due() == "a"
    queue.governor.doubtful(queue.places["a"], 0.0)
    queue.governor.settled(queue.places["a"], "found")
    assert queue.governor.report(0.0).jobs == ("found",)
    assert queue.due() == ""
    queue.governor.ended("found", 3.0)
    assert queue.due() == "b"


def test_the_slot_of_a_doubt_passes_to_a_job_that_was_looked_for():
    queue = bench(1)
    queue.join("ab")
    assert queue.due() == "a"
    queue.governor.doubtful(queue.places["a"], 0.0)
    for _ in range(2):
        queue.governor.quota.found("found")
    assert queue.governor.report(0.0).jobs == ("found",)
    assert queue.governor.report(0.0).in_doubt == 0
    assert queue.due() == ""
    queue.governor.ended("found", 3.0)
    assert queue.due() == "b"
    queue.governor.quota.found("of-no-doubt")
    assert queue.governor.report(3.0).jobs == ()


def test_a_doubt_that_nobody_settles_lets_go_of_its_slot_in_the_end():
    queue = bench(1)
    queue.join("ab")
    queue.due()
    queue.governor.doubtful(queue.places["a"], 10.0)
    assert queue.governor.wake_at(10.0) == 10.0 + DOUBT_HELD
    queue.now = 10.0 + DOUBT_HELD
    assert queue.due() == "b"
    # Found too late to hold a slot of its own; its status will tell that it runs.
    queue.governor.settled(queue.places["a"], "late")
    assert queue.governor.report(queue.now).jobs == ()


def test_a_job_that_nobody_knows_and_that_ends_may_be_the_one_in_doubt():
    queue = bench(2)
    queue.join("abcd")
    assert queue.due() == "ab"
    queue.governor.doubtful(queue.places["a"], 1.0)
    queue.governor.doubtful(queue.places["b"], 2.0)
    queue.governor.quota.stranger_ended()
    assert queue.due() == "c"
    queue.governor.settled(queue.places["a"], "found too late")
    assert queue.governor.report(3.0).in_doubt == 1
    assert queue.due() == ""


def test_a_job_that_nobody_knows_may_be_that_of_a_request_under_way():
    """Its answer may be on its way: to free the slot of the doubt would send one too many."""
    queue = bench(2)
    queue.join("abc")
    assert queue.due() == "ab"
    queue.governor.doubtful(queue.places["a"], 0.0)
    queue.governor.quota.stranger_ended()
    assert queue.due() == ""
    queue.governor.failed(queue.places["b"], 1.0)
    assert queue.due() == "c"


def test_a_doubt_counts_in_the_window_as_well():
    queue = bench(recolor=1)
    queue.join("ab")
    queue.due()
    queue.governor.doubtful(queue.places["a"], 7.0)
    queue.governor.settled(queue.places["a"], None)
    assert queue.governor.wake_at(7.0) == 67.0


def test_jobs_made_elsewhere_take_slots_once_they_are_known():
    queue = bench(2)
    queue.governor.occupied("other")
    queue.governor.occupied("other")
    queue.join("ab")
    assert queue.due() == "a"
    queue.governor.ended("other", 1.0)
    assert queue.due() == "b"


@pytest.mark.parametrize("lift", ["ended", "room"])
def test_a_full_account_is_tried_again_as_soon_as_any_job_ends(lift):
    queue = bench(5)
    queue.join("ab")
    assert queue.due() == "ab"
    queue.started("a")
    queue.governor.refused(queue.places["b"], 0.0, retry_after=None, active_jobs=True)
    queue.governor.join(queue.places["b"])
    assert queue.due() == ""
    assert queue.governor.report(0.0).full_for == after_refusals(60.0).ceiling(1)
    if lift == "ended":
        queue.ended("a")
    else:
        queue.governor.quota.stranger_ended()
    assert queue.due() == "b"


def test_a_refusal_within_the_limit_teaches_a_lower_one_that_is_forgotten_slowly():
    queue = bench(recolor=5)
    queue.join("abcdefgh")
    assert queue.due() == "abcde"
    queue.started("abc")
    for name in "de":
        queue.governor.refused(queue.places[name], 0.0, retry_after=None, active_jobs=False)
        queue.governor.join(queue.places[name])
    # Three went through, so three are allowed now; the window holds the refused ones, too.
    (window,) = queue.governor.report(0.0).windows
    assert (window.limit, window.used) == (3, 5)
    queue.now = 60.0  # one more with each window
    assert queue.governor.report(60.0).windows[0].limit == 4
    assert queue.due() == "defg"
    queue.started("defg")
    queue.now = 120.0
    assert queue.governor.report(120.0).windows[0].limit == 5
    assert queue.due() == "h"


def test_submissions_that_compete_for_slots_take_turns_by_endpoint():
    queue = bench(1)
    queue.join("abcd", RECOLOR)
    queue.join("xy", PACKSHOT)
    order = queue.due()
    while len(order) < 6:
        queue.started(order[-1])
        queue.ended(order[-1])
        order += queue.due()
    assert order == "axbycd"


def test_what_waits_is_told_with_its_reason_and_its_time():
    queue = bench(3, recolor=2, chat=1)
    queue.join("abc", RECOLOR)
    queue.join("x", PACKSHOT)
    queue.join("pq", CHAT, pooled=False)
    assert set(queue.due()) == {"a", "b", "x", "p"}
    queue.started("abxp")
    queue.join("d", RECOLOR)
    told = {(each.path, each.waits_for): each.eta for each in queue.governor.report(10.0).waiting}
    assert told == {(RECOLOR, "slot"): None, (RECOLOR, "turn"): None, (CHAT, "window"): 50.0}
    queue.now = 20.0
    queue.ended("a")  # so jobs are known to run for 20 s
    told = [(each.waits_for, each.eta) for each in queue.governor.report(20.0).waiting]
    assert told == [("window", 40.0), ("window", 40.0), ("turn", 40.0)]


def test_what_was_refused_is_told_to_pause():
    queue = bench()
    queue.join("a")
    queue.due()
    queue.governor.refused(queue.places["a"], 0.0, retry_after=9.0, active_jobs=False)
    queue.governor.join(queue.places["a"])
    (waiting,) = queue.governor.report(4.0).waiting
    assert (waiting.waits_for, waiting.eta, waiting.waited) == ("pause", 5.0, 4.0)


def test_the_forecast_is_what_happens():
    """Windows and slots, with jobs that all run for 17 s: each leaves when it was told."""
    queue = bench(3, recolor=4, packshot=2)
    queue.join("z")
    queue.due()
    queue.started("z")
    queue.now = 17.0
    queue.ended("z")
    queue.join("abcdefghij", RECOLOR)
    queue.join("uvw", PACKSHOT)
    foretold = [each.eta for each in queue.governor.report(queue.now).waiting]
    began, left = queue.now, []
    running: list[tuple[float, str]] = []
    while len(left) < len(foretold):
        for name in queue.due():
            queue.started(name)
            left.append(queue.now - began)
            running.append((queue.now + 17.0, name))
        queue.now = min([queue.governor.wake_at(queue.now), *(end for end, _ in running)])
        for end, name in [each for each in running if each[0] <= queue.now]:
            running.remove((end, name))
            queue.ended(name)
    assert sorted(foretold) == pytest.approx(left)


class GovernorAgainstAService(RuleBasedStateMachine):
    """Any order of arrivals, answers, doubts, ends and leavers, against what a service counts."""

    WINDOW, RATE, SLOTS = 10.0, 3, 2

    def __init__(self) -> None:
        super().__init__()
        limits = AccountLimits(self.SLOTS, {RECOLOR: self.RATE, PACKSHOT: self.RATE}, self.WINDOW)
        self.governor = Governor(limits)
        self.now = 0.0
        self.waiting: list[Place] = []
        self.sent: list[Place] = []
        self.doubts: list[tuple[Place, float]] = []
        self.running: list[str] = []
        self.times: dict[str, list[float]] = {RECOLOR: [], PACKSHOT: []}
        self.order: dict[str, list[int]] = {RECOLOR: [], PACKSHOT: []}
        self.names = 0

    @rule(path=st.sampled_from([RECOLOR, PACKSHOT]))
    def arrive(self, path: str) -> None:
        place = self.governor.place(path, pooled=True, now=self.now)
        self.governor.join(place)
        self.waiting.append(place)

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 10.0, DOUBT_HELD]))
    def go(self, seconds: float) -> None:
        self.now += seconds
        for place in self.governor.due(self.now):
            self.waiting.remove(place)
            self.sent.append(place)
            self.times[place.path].append(self.now)
            self.order[place.path].append(place.number)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(place)
        self.governor.leave(place)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), how=st.sampled_from(["made", "failed", "doubt", "rate", "full"]))
    def answer(self, data: st.DataObject, how: str) -> None:
        place = data.draw(st.sampled_from(self.sent))
        self.sent.remove(place)
        # The service counted it at the latest possible time: when it answered.
        self.times[place.path].append(self.now)
        self.names += 1
        name = f"job{self.names}"
        if how == "made":
            self.governor.started(place, name, self.now)
            self.running.append(name)
        elif how == "failed":
            self.governor.failed(place, self.now)
        elif how == "doubt":
            self.governor.doubtful(place, self.now)
            self.doubts.append((place, self.now + DOUBT_HELD))
        else:
            self.governor.refused(place, self.now, retry_after=None, active_jobs=how == "full")
            self.governor.join(place)
            self.waiting.append(place)

    @precondition(lambda self: self.doubts)
    @rule(data=st.data(), found=st.booleans())
    def settle(self, data: st.DataObject, found: bool) -> None:
        place, until = data.draw(st.sampled_from(self.doubts))
        self.doubts.remove((place, until))
        self.names += 1
        self.governor.settled(place, f"job{self.names}" if found else None)
        if found and until > self.now:
            self.running.append(f"job{self.names}")

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.running))
        self.running.remove(name)
        self.governor.ended(name, self.now)

    @invariant()
    def slots_are_those_of_the_model(self) -> None:
        held = sum(until > self.now for _, until in self.doubts)
        taken = len(self.running) + len(self.sent) + held
        assert self.governor.quota.slots_taken(self.now) == taken
        if not held:
            assert taken <= self.SLOTS

    @invariant()
    def the_report_names_everyone_who_waits_once(self) -> None:
        report = self.governor.report(self.now)
        assert len(report.waiting) == len(self.waiting)
        assert all(each.eta is None or each.eta >= 0 for each in report.waiting)
        assert report.under_way == len(self.sent)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Whoever is kept waits for time, or for an answer, a job or a doubt that there is."""
        if self.waiting and self.governor.wake_at(self.now) == math.inf:
            assert self.sent or self.running or self.doubts


GovernorAgainstAService.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=80, stateful_step_count=40
)
TestGovernorAgainstAService = GovernorAgainstAService.TestCase
