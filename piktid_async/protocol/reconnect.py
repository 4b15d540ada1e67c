"""When to open the stream again.

States: down (waiting for its time), opening, up. The shell tells what happened (`opening`,
`opened`, `heard`, `lost`) and asks what to do (`next`). Only `lost` may change the count of
failures. A server that accepts and hangs up at once must not reset the backoff, so a connection
counts as healthy only if it has outlived the pause that came before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs

from piktid_async.errors import StatusError
from piktid_async.protocol.backoff import Backoff

# 408 and 425 are passing, as 429 and 5xx are; any other 4xx would only be repeated for ever.
PASSING = frozenset({408, 425, 429})

LONGEST_ASKED_FOR = 120.0


@attrs.frozen
class Connect:
    """Open the stream now."""


@attrs.frozen
class WaitUntil:
    """Do nothing before this time."""

    at: float


@attrs.frozen
class GiveUp:
    """The service will not serve a stream, however often it is asked."""

    error: Exception


Action: TypeAlias = Connect | WaitUntil | GiveUp
State: TypeAlias = Literal["down", "opening", "up"]


class Reconnect:
    """Decide when to connect; time and jitter come from outside."""

    def __init__(self, backoff: Backoff, *, jitter: Callable[[], float]) -> None:
        self._backoff = backoff
        self._jitter = jitter
        self._failures = 0
        self._next = 0.0
        self._up_since: float | None = None
        self._heard = 0.0
        self._refused: Exception | None = None
        self.state: State = "down"

    def next(self, now: float) -> Action:
        """Return what to do while the stream is down."""
        if self._refused is not None:
            return GiveUp(self._refused)
        return Connect() if now >= self._next else WaitUntil(self._next)

    @property
    def failures(self) -> int:
        """Connections in a row that were lost before they were healthy."""
        return self._failures

    def opening(self) -> None:
        """Note that a connection is being made."""
        self.state = "opening"

    def opened(self, now: float) -> None:
        """Note that the service has answered with a stream."""
        self.state, self._up_since, self._heard = "up", now, now

    def heard(self, now: float) -> None:
        """Note that bytes came."""
        self._heard = now

    def lost(self, now: float, error: Exception | None = None) -> None:
        """Note that the connection ended or was never made."""
        if isinstance(error, StatusError) and error.status < 500 and error.status not in PASSING:
            self._refused = error
        lived = -1.0 if self._up_since is None else self._heard - self._up_since
        healthy = lived >= self._backoff.ceiling(self._failures)
        self._failures = 1 if healthy else self._failures + 1
        pause = self._backoff.pause(self._failures, self._jitter)
        asked_for = error.retry_after if isinstance(error, StatusError) else None
        self._next = now + max(pause, min(asked_for or 0.0, LONGEST_ASKED_FOR))
        self.state, self._up_since = "down", None
