"""The two kinds of 429. They share a status; only the text tells them apart."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable

from piktid_async.sandbox.answers import ApiError, refuse
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.settings import SandboxLimits


class Limiter:
    """Says no when an endpoint is asked too often, or when too many jobs run."""

    def __init__(
        self,
        limits: SandboxLimits | None,
        faults: Faults,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._limits = limits
        self._faults = faults
        self._clock = clock or time.monotonic
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    def take_request(self, endpoint: str) -> None:
        """Count a request, or raise the 429 of the request rate.

        The window slides. Refused requests do not count, malformed ones do.
        """
        if self._limits is None or endpoint not in self._limits.per_minute:
            return
        allowed, taken, now = (
            self._limits.per_minute[endpoint],
            self._taken[endpoint],
            self._clock(),
        )
        while taken and taken[0] <= now - self._limits.window:
            taken.popleft()
        if len(taken) >= allowed:
            raise self._too_many(f"Rate limit exceeded: {allowed} per 1 minute")
        taken.append(now)

    def check_jobs(self, active: int) -> None:
        """Raise the 429 of the job cap when no slot is free."""
        if self._limits is not None and active >= self._limits.active_jobs:
            raise self._too_many(
                "Concurrent job limit reached. "
                f"You can have at most {self._limits.active_jobs} active jobs at a time."
            )

    def _too_many(self, error: str) -> ApiError:
        refused = refuse(429, error)
        if self._faults.retry_after is not None:
            self._faults.happened("retry_after")
            refused.headers = {"Retry-After": f"{self._faults.retry_after:g}"}
        return refused
