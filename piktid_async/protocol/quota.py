"""How many submissions may leave, and when: sliding windows and active-job slots.

A grant is recorded before its request is sent and dated when the answer came: the server counted
it somewhere between, so a window reckoned from the answer is never too short. A slot belongs to
the remote job: it is taken with the grant, passes to the job, and is free when the job has ended
or was never made. `now` comes from outside.
"""

from __future__ import annotations

import math

import attrs

from piktid_async.models.limits import AccountLimits


@attrs.define(eq=False)
class Grant:
    """Leave to submit once."""

    path: str
    pooled: bool
    at: float = math.inf
    """When the answer came; infinite while the request is under way."""


class Quota:
    """Windows and slots of one account."""

    def __init__(self, limits: AccountLimits) -> None:
        self._limits = limits
        self._grants: dict[str, list[Grant]] = {}
        self._under_way: set[Grant] = set()
        self._jobs: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._full_until = 0.0

    def ready_at(self, path: str, pooled: bool, now: float) -> float:
        """Return when a submission may leave; infinite if that depends on an answer or a job."""
        return max(
            self._window_opens(path, now),
            self._not_before.get(path, 0.0),
            self._slot_opens() if pooled else 0.0,
        )

    def take(self, path: str, pooled: bool, now: float) -> Grant:
        """Take a place in the window and a slot; only when `ready_at` is not later than now."""
        if self.ready_at(path, pooled, now) > now:
            raise RuntimeError("nothing is free: ask ready_at first")
        grant = Grant(path, pooled)
        if path in self._limits.per_minute:
            self._grants.setdefault(path, []).append(grant)
        if pooled:
            self._under_way.add(grant)
        return grant

    def answered(self, grant: Grant, now: float, job_id: str | None) -> None:
        """Date the grant; its slot passes to the job, or is free when there is none."""
        grant.at = now
        self._under_way.discard(grant)
        if job_id is not None and grant.pooled:
            self._jobs.add(job_id)

    def abandoned(self, now: float) -> None:
        """Date what is under way: whoever waits for its answer is in another process."""
        for grant in (each for grants in self._grants.values() for each in grants):
            grant.at = min(grant.at, now)
        self._under_way.clear()

    def ended(self, job_id: str) -> None:
        """Free the slot of a job that is known to have ended."""
        self._jobs.discard(job_id)

    def slow_down(self, path: str, until: float) -> None:
        """Hold an endpoint back: the service has said that we are too fast."""
        self._not_before[path] = max(until, self._not_before.get(path, 0.0))

    def full(self, until: float) -> None:
        """Hold all pooled submissions back: jobs that are not ours fill the account."""
        self._full_until = max(until, self._full_until)

    def _window_opens(self, path: str, now: float) -> float:
        limit = self._limits.per_minute.get(path)
        if limit is None:
            return 0.0
        recent = [
            grant for grant in self._grants.get(path, ()) if grant.at + self._limits.window > now
        ]
        self._grants[path] = recent
        if len(recent) < limit:
            return 0.0
        return sorted(grant.at for grant in recent)[-limit] + self._limits.window

    def _slot_opens(self) -> float:
        limit = self._limits.active_jobs
        if limit is not None and len(self._jobs) + len(self._under_way) >= limit:
            return math.inf
        return self._full_until
