"""Time limits of many requests by one timer: a timer for each would cost a tenth of the request."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """The limits of one event loop that are running."""

    def __init__(self) -> None:
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> Deadline:
        """Return a block that raises `TimeoutError` when nothing has moved for so long."""
        return Deadline(self, seconds)

    def close(self) -> None:
        """Let go of the loop, if nothing runs; what does stays limited."""
        if not self._running:
            self._rest()

    def begin(self, deadline: Deadline) -> None:
        """Watch one; there is nothing to do as a rule, for an older one is looked at before."""
        self._running[deadline] = None
        over = deadline.over()
        if self._timer is None or over < self._timer.when():
            self._rest()
            self._timer = asyncio.get_running_loop().call_at(over, self._look)

    def end(self, deadline: Deadline) -> None:
        """Watch one no more."""
        self._running.pop(deadline, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        for deadline in [each for each in self._running if each.over() <= now]:
            self.end(deadline)
            deadline.expire(now)
        if self._running:
            first = min(each.over() for each in self._running)
            self._timer = loop.call_at(first, self._look)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Deadline:
    """One limit, which begins anew whenever something moves."""

    __slots__ = ("_among", "_limit", "_moved", "_seconds", "_time")

    def __init__(self, among: Deadlines, seconds: float) -> None:
        self._among = among
        self._seconds = seconds
        self._time = asyncio.get_running_loop().time
        self._limit = asyncio.timeout(None)
        self._moved = 0.0

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self.moved()
        self._among.begin(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._among.end(self)
        await self._limit.__aexit__(kind, error, trace)

    def moved(self) -> None:
        """Begin anew."""
        self._moved = self._time()

    def over(self) -> float:
        """Return when it ends, by the loop's clock, if nothing moves."""
        return self._moved + self._seconds

    def expire(self, now: float) -> None:
        """End it."""
        self._limit.reschedule(now)
