"""Whose turn it is: the queue of submissions before the account's limits.

Within an endpoint it is first come, first served; a submission that was refused keeps its rank.
Between endpoints that compete for slots it goes round, so that one packshot does not wait behind
a thousand recolors. `now` comes from outside; nothing here waits.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator

import attrs

from piktid_async.models.limits import (
    AccountLimits,
    LimitsReport,
    WaitingSubmission,
    WaitsFor,
    WindowUse,
)
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.forecast import forecast
from piktid_async.protocol.quota import Grant, Quota

LONGEST_ASKED_FOR = 300.0
"""Seconds of a Retry-After that are waited at most before the service is asked again."""
SHARE_OF_THE_LATEST = 0.2
"""Weight of the job that ended last in the mean of how long jobs run."""


def after_refusals(window: float) -> Backoff:
    """Return the pauses after 429s that name no time: of 2 to 60 seconds for a minute's window."""
    return Backoff(base=window / 30, cap=window)


@attrs.define(eq=False)
class Place:
    """A place in the queue, and the grant once its turn has come."""

    number: int
    path: str
    pooled: bool
    since: float
    grant: Grant | None = None


class Governor:
    """One account's queue, windows and slots."""

    def __init__(self, limits: AccountLimits) -> None:
        self.quota: Quota = Quota(limits)
        self._numbers = itertools.count()
        self._lanes: dict[str, list[Place]] = {}
        # By path: the round in which it was served last.
        self._served: dict[str, int] = {}
        self._rounds = itertools.count(1)
        # By path: how many refusals in a row, and until when the last one holds.
        self._refusals: dict[str, tuple[int, float]] = {}
        self._began: dict[str, float] = {}
        self._seconds_per_job: float | None = None

    # Queueing

    def place(self, path: str, *, pooled: bool, now: float) -> Place:
        """Make a place; it ranks by its number, whenever it joins."""
        return Place(next(self._numbers), path, pooled, now)

    def join(self, place: Place) -> None:
        """Queue up, for the first time or again after a refusal."""
        place.grant = None
        bisect.insort(self._lanes.setdefault(place.path, []), place, key=_rank)

    def leave(self, place: Place) -> None:
        """Leave the queue; a grant that was not used is given back whole."""
        if place.grant is None:
            self._lanes[place.path].remove(place)
        else:
            # Nothing was sent, so its place in the window is free as well: older than any window.
            self.quota.answered(place.grant, -math.inf, None)
            place.grant = None

    def abandoned(self, now: float) -> None:
        """Forget who waits and what is under way: the answers will come to another process."""
        self._lanes.clear()
        self.quota.abandoned(now)

    def due(self, now: float) -> Iterator[Place]:
        """Grant and yield every place whose turn it is."""
        shut: set[str] = set()
        while (place := self._next(shut)) is not None:
            if self.quota.ready_at(place.path, place.pooled, now) > now:
                shut.add(place.path)
                continue
            place.grant = self.quota.take(place.path, place.pooled, now)
            self._lanes[place.path].pop(0)
            self._served[place.path] = next(self._rounds)
            yield place

    def wake_at(self, now: float) -> float:
        """Return when the next turn comes by time alone; infinite if by none."""
        fronts = (lane[0] for lane in self._lanes.values() if lane)
        times = (self.quota.ready_at(front.path, front.pooled, now) for front in fronts)
        return min(times, default=math.inf)

    # What became of a turn

    def started(self, place: Place, job_id: str, now: float) -> None:
        """Pass the slot to the job that was made."""
        self.quota.answered(_granted(place), now, job_id)
        self._refusals.pop(place.path, None)
        if place.pooled:
            self._began[job_id] = now

    def failed(self, place: Place, now: float) -> None:
        """Free the slot: certainly no job was made. The window has counted the request."""
        self.quota.answered(_granted(place), now, None)

    def doubtful(self, place: Place, now: float) -> None:
        """Hold the slot for a job that may have been made."""
        self.quota.in_doubt(_granted(place), now)

    def settled(self, place: Place, job_id: str | None) -> None:
        """End the doubt: the job was found, or is taken not to exist."""
        self.quota.settled(_granted(place), job_id)

    def refused(
        self, place: Place, now: float, *, retry_after: float | None, active_jobs: bool
    ) -> None:
        """Learn from a 429, of the request rate or of the active jobs; it slows every caller."""
        grant = _granted(place)
        count, until = self._refusals.get(place.path, (0, -math.inf))
        if now >= until:
            count += 1  # those that were under way together are refused once
        unasked = after_refusals(self.quota.limits.window).ceiling(count)
        pause = min(retry_after or unasked, LONGEST_ASKED_FOR)
        until = max(until, now + pause)
        self._refusals[place.path] = count, until
        if active_jobs:
            self.quota.full(until)
        else:
            self.quota.refused(grant, now)
            self.quota.slow_down(place.path, until)
        self.quota.answered(grant, now, None)
        self._served.pop(place.path, None)  # a turn that was refused was none

    # What becomes of jobs

    def occupied(self, job_id: str) -> None:
        """Count a running job that was made elsewhere, or before."""
        self.quota.occupied(job_id)

    def ended(self, job_id: str, now: float) -> None:
        """Free the slot of a job that has ended."""
        self.quota.ended(job_id)
        began = self._began.pop(job_id, None)
        if began is not None:
            took, mean = now - began, self._seconds_per_job
            share = SHARE_OF_THE_LATEST
            self._seconds_per_job = took if mean is None else share * took + (1 - share) * mean

    def report(self, now: float) -> LimitsReport:
        """Tell what is waiting for what, and until when."""
        quota = self.quota
        waiting = list(self._in_order())
        etas = forecast(
            quota,
            [(place.path, place.pooled) for place in waiting],
            now,
            seconds_per_job=self._seconds_per_job,
        )
        fronts = {id(lane[0]) for lane in self._lanes.values() if lane}
        taken = quota.slots_taken(now)
        return LimitsReport(
            account=quota.limits,
            windows=tuple(self._window(path, now) for path in sorted(quota.limits.per_minute)),
            jobs=quota.jobs,
            under_way=taken - len(quota.jobs) - quota.doubts,
            in_doubt=quota.doubts,
            full_for=max(0.0, quota.full_until - now),
            seconds_per_job=self._seconds_per_job,
            waiting=tuple(
                WaitingSubmission(
                    path=place.path,
                    waits_for=self._waits_for(place, now) if id(place) in fronts else "turn",
                    waited=now - place.since,
                    eta=eta,
                )
                for place, eta in zip(waiting, etas, strict=True)
            ),
        )

    def _next(self, shut: Iterable[str]) -> Place | None:
        fronts = [lane[0] for path, lane in self._lanes.items() if lane and path not in shut]
        return min(fronts, key=lambda front: self._turn(front, self._served), default=None)

    def _in_order(self) -> Iterator[Place]:
        """Yield all who wait in the order they would leave in if every window were open."""
        left = {path: iter(lane) for path, lane in self._lanes.items() if lane}
        fronts = {path: next(lane) for path, lane in left.items()}
        served, rounds = dict(self._served), itertools.count(1 << 62)
        while fronts:
            place = min(fronts.values(), key=lambda front: self._turn(front, served))
            yield place
            served[place.path] = next(rounds)
            following = next(left[place.path], None)
            if following is None:
                del fronts[place.path]
            else:
                fronts[place.path] = following

    @staticmethod
    def _turn(place: Place, served: dict[str, int]) -> tuple[int, int]:
        return served.get(place.path, 0) if place.pooled else 0, place.number

    def _waits_for(self, place: Place, now: float) -> WaitsFor:
        reasons: dict[WaitsFor, float] = {
            "pause": self.quota.held_until(place.path),
            "window": self.quota.window_opens(place.path, now),
            "slot": self.quota.slot_opens(now) if place.pooled else -math.inf,
        }
        latest = max(reasons, key=lambda reason: reasons[reason])
        return latest if reasons[latest] > now else "turn"

    def _window(self, path: str, now: float) -> WindowUse:
        opens = max(self.quota.window_opens(path, now), self.quota.held_until(path))
        allowed = self.quota.allowed(path, now)
        return WindowUse(
            path=path,
            limit=None if allowed == math.inf else int(allowed),
            used=len(self.quota.used(path, now)),
            opens_in=None if opens == math.inf else max(0.0, opens - now),
        )


def _rank(place: Place) -> int:
    return place.number


def _granted(place: Place) -> Grant:
    assert place.grant is not None, "its turn has not come"
    return place.grant
