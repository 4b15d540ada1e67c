"""Pauses that grow, with full jitter."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.frozen(kw_only=True)
class Backoff:
    """Exponential, capped, with full jitter: a crowd of clients comes back spread out."""

    base: float = 0.5
    """Seconds; the upper end of the first pause."""
    cap: float = 30.0
    """Seconds; no pause is longer."""

    def ceiling(self, failures: int) -> float:
        """Return the longest pause after so many failures in a row."""
        if failures <= 0:
            return 0.0
        return float(min(self.cap, self.base * 2 ** min(failures - 1, 32)))

    def pause(self, failures: int, jitter: Callable[[], float]) -> float:
        """Return a pause; `jitter` gives a number from 0 to 1."""
        return self.ceiling(failures) * jitter()
