"""How many submissions may leave, and when: sliding windows and active-job slots.

A grant is recorded before its request is sent and dated when the answer came: the server counted
it somewhere between, so a window reckoned from the answer is never too short. A slot belongs to
the remote job: it is taken with the grant, passes to the job, and is free when the job has ended
or was never made. Where nobody knows whether one was made, the slot is held for a while: until
somebody has looked, or for `DOUBT_HELD` seconds. `now` comes from outside.

What the service refuses teaches: an endpoint that was refused within its limit is given the rate
that went through, and one more a window from then on, until it is back at the limit.
"""

from __future__ import annotations

import math
import operator

import attrs

from piktid_async.models.limits import AccountLimits

DOUBT_HELD = 600.0
"""Seconds that a job of unknown fate holds a slot: as long as the service tells its events."""


@attrs.define(eq=False)
class Grant:
    """Leave to submit once."""

    path: str
    pooled: bool
    at: float = math.inf
    """When the answer came; infinite while the request is under way."""
    refused: bool = False


_DATE = operator.attrgetter("at")


@attrs.frozen
class Lesson:
    """A rate that went through while a higher one was refused."""

    allowed: int
    since: float


class Quota:
    """Windows and slots of one account."""

    def __init__(self, limits: AccountLimits) -> None:
        self.limits: AccountLimits = limits
        """The limits in force; they may be replaced at any time."""
        self._grants: dict[str, list[Grant]] = {}
        self._under_way: set[Grant] = set()
        self._doubts: dict[Grant, float] = {}
        self._jobs: dict[str, None] = {}
        self._not_before: dict[str, float] = {}
        self._lessons: dict[str, Lesson] = {}
        self._full_until = -math.inf

    def ready_at(self, path: str, pooled: bool, now: float) -> float:
        """Return when a submission may leave; infinite if that depends on an answer or a job."""
        slot = self.slot_opens(now) if pooled else -math.inf
        if slot == math.inf:
            return slot
        return max(slot, self.window_opens(path, now), self.held_until(path))

    def take(self, path: str, pooled: bool, now: float) -> Grant:
        """Take a place in the window and a slot; only when `ready_at` is not later than now."""
        if self.ready_at(path, pooled, now) > now:
            raise RuntimeError("nothing is free: ask ready_at first")
        grant = Grant(path, pooled)
        if path in self.limits.per_minute:
            self._grants.setdefault(path, []).append(grant)
        if pooled:
            self._under_way.add(grant)
        return grant

    def answered(self, grant: Grant, now: float, job_id: str | None) -> None:
        """Date the grant; its slot passes to the job, or is free when there is none."""
        grant.at = now
        self._under_way.discard(grant)
        if job_id is not None and grant.pooled:
            self._jobs[job_id] = None

    def abandoned(self, now: float) -> None:
        """Date what is under way: whoever waits for its answer is in another process."""
        for grant in (each for grants in self._grants.values() for each in grants):
            grant.at = min(grant.at, now)
        self._under_way.clear()

    def in_doubt(self, grant: Grant, now: float) -> None:
        """Date the grant, and hold its slot for the job that may have been made."""
        grant.at = now
        self._under_way.discard(grant)
        if grant.pooled:
            self._doubts[grant] = now + DOUBT_HELD

    def settled(self, grant: Grant, job_id: str | None) -> None:
        """End a doubt: the slot passes to the job that was found, or is free."""
        if self._doubts.pop(grant, None) is not None and job_id is not None:
            self._jobs[job_id] = None

    def found(self, job_id: str) -> None:
        """Pass the slot of the oldest doubt to a job of some doubt, unless it has one."""
        if self._doubts and job_id not in self._jobs:
            self.settled(next(iter(self._doubts)), job_id)

    def occupied(self, job_id: str) -> None:
        """Count a running job that was made elsewhere, or before."""
        self._jobs[job_id] = None

    def ended(self, job_id: str) -> bool:
        """Free the slot of a job that is known to have ended; return whether it held one."""
        held = job_id in self._jobs
        self._jobs.pop(job_id, None)
        if held:
            self.room()
        return held

    def slow_down(self, path: str, until: float) -> None:
        """Hold an endpoint back: the service has said that we are too fast."""
        self._not_before[path] = max(until, self._not_before.get(path, -math.inf))

    def refused(self, grant: Grant, now: float) -> None:
        """Take a refusal as a lesson: only what else was sent within the window is allowed."""
        grant.refused = True
        if grant.path in self.limits.per_minute:
            went_through = sum(not each.refused for each in self._recent(grant.path, now))
            self._lessons[grant.path] = Lesson(max(1, went_through), now)

    def full(self, until: float) -> None:
        """Hold all pooled submissions back: jobs that are not ours fill the account."""
        self._full_until = max(until, self._full_until)

    def room(self) -> None:
        """Take back `full`: a job has ended."""
        self._full_until = -math.inf

    def stranger_ended(self) -> None:
        """Hear of the end of a job that nobody here knows: it may be the oldest one in doubt.

        Unless a request is under way: it may be that one's, whose answer is lost or late.
        """
        self.room()
        if self._doubts and not self._under_way:
            del self._doubts[next(iter(self._doubts))]

    # What stands where: for whoever waits, and for reports.

    def allowed(self, path: str, now: float) -> float:
        """Return how many a window may hold; infinite without a limit."""
        limit = float(self.limits.per_minute.get(path, math.inf))
        lesson = self._lessons.get(path)
        if lesson is None:
            return limit
        allowed = lesson.allowed + int((now - lesson.since) / self.limits.window)
        if allowed >= limit:
            del self._lessons[path]
            return limit
        return allowed

    def used(self, path: str, now: float) -> list[float]:
        """Return the times of the grants within the window, sorted; infinite ones are under way."""
        return sorted(grant.at for grant in self._recent(path, now))

    def window_opens(self, path: str, now: float) -> float:
        """Return when the window of an endpoint has room."""
        allowed = self.allowed(path, now)
        if len(self._grants.get(path, ())) < allowed:
            return -math.inf  # asked for at every change: what has left the window may stay so long
        recent = self._recent(path, now)
        if len(recent) < allowed:
            return -math.inf
        return sorted(recent, key=_DATE)[-int(allowed)].at + self.limits.window

    def held_until(self, path: str) -> float:
        """Return until when a refusal holds an endpoint back."""
        return self._not_before.get(path, -math.inf)

    def slot_opens(self, now: float) -> float:
        """Return when a slot is free."""
        limit = self.limits.active_jobs
        if limit is not None and self.slots_taken(now) >= limit:
            known = limit > len(self._jobs) + len(self._under_way)
            return min(self._doubts.values()) if known else math.inf
        return self._full_until

    def slots_taken(self, now: float) -> int:
        """Return how many slots are taken by jobs, requests under way, and doubts."""
        self._doubts = {grant: until for grant, until in self._doubts.items() if until > now}
        return len(self._jobs) + len(self._under_way) + len(self._doubts)

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs that hold a slot, oldest first."""
        return tuple(self._jobs)

    @property
    def full_until(self) -> float:
        """Until when jobs of others are taken to fill the account."""
        return self._full_until

    @property
    def doubts(self) -> int:
        """Slots that are held for jobs of unknown fate."""
        return len(self._doubts)

    def _recent(self, path: str, now: float) -> list[Grant]:
        window = self.limits.window
        recent = [grant for grant in self._grants.get(path, ()) if grant.at + window > now]
        self._grants[path] = recent
        return recent
