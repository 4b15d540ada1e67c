"""When submissions that wait may leave, as far as it can be told."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from piktid_async.protocol.quota import Quota


def forecast(
    quota: Quota,
    waiting: Iterable[tuple[str, bool]],
    now: float,
    *,
    seconds_per_job: float | None = None,
) -> list[float | None]:
    """Return the seconds until each of `(path, pooled)`, in their order, may leave.

    Windows are played through exactly; jobs are taken to run `seconds_per_job` each, from now on.
    None: it depends on the end of a job, and nothing is known of how long jobs run.
    """
    windows: dict[str, list[float]] = {}
    slots = _Slots(quota, now, seconds_per_job)
    found: list[float | None] = []
    for path, pooled in waiting:
        at = max(now, _window(quota, windows, path, now), quota.held_until(path))
        if pooled:
            at = slots.take(at)
        windows[path].append(at)
        found.append(None if at == math.inf else at - now)
    return found


def _window(quota: Quota, windows: dict[str, list[float]], path: str, now: float) -> float:
    """Return when the next submission fits into the endpoint's window."""
    used = windows.get(path)
    if used is None:
        # What is under way is answered at some time from now on.
        used = windows[path] = [min(at, now) for at in quota.used(path, now)]
    allowed = quota.allowed(path, now)
    return -math.inf if len(used) < allowed else used[-int(allowed)] + quota.limits.window


class _Slots:
    """When slots free, if every job runs as long as jobs do."""

    def __init__(self, quota: Quota, now: float, seconds_per_job: float | None) -> None:
        self._seconds = math.inf if seconds_per_job is None else seconds_per_job
        self._not_before = quota.full_until
        self._limit = quota.limits.active_jobs
        taken = quota.slots_taken(now)
        self._frees = [now + self._seconds] * taken
        heapq.heapify(self._frees)

    def take(self, at: float) -> float:
        at = max(at, self._not_before)
        if self._limit is not None and len(self._frees) >= self._limit:
            at = max(at, heapq.heappop(self._frees))
        if self._limit is not None:
            heapq.heappush(self._frees, at + self._seconds)
        return at
