"""Virtual time: what happens when, and what happens next."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Timeline:
    """A clock that jumps from one event to the next; seconds since it began."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        """Events that have happened."""
        self._numbers = itertools.count()
        self._coming: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, when: float, what: Callable[..., None], *about: Any) -> None:
        """Have something happen; what is due together happens in the order it was asked for."""
        if when < math.inf:
            heapq.heappush(self._coming, (max(when, self.now), next(self._numbers), what, about))

    def after(self, seconds: float, what: Callable[..., None], *about: Any) -> None:
        """Have something happen in so many seconds."""
        self.at(self.now + seconds, what, *about)

    def run(self, until: float, over: Callable[[], bool]) -> None:
        """Go on until nothing is left for anybody to do, or until then."""
        while self._coming and self._coming[0][0] <= until and not over():
            self.now, _, what, about = heapq.heappop(self._coming)
            self.events += 1
            what(*about)

    def date(self, fast: float = 0.0) -> datetime:
        """Return what a clock shows that is so many seconds fast."""
        return BEGAN + timedelta(seconds=self.now + fast)
