"""What a test of your own program needs beside the sandbox; the pytest plugin builds on it."""

from __future__ import annotations

import asyncio
import math
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar
from unittest import mock

__all__ = ["ManualClock"]

T = TypeVar("T")

TURNS = 25
"""Turns of the loop after each step: enough for a call and its answer on loopback."""
STEP = 0.25
"""Seconds that `until` puts the clock forward at a time."""
STANDING = 5.0
"""Real seconds after which a clock that nobody puts forward is told."""
MOMENT = 0.002
"""Real seconds that `until` leaves to threads and other processes at each step."""


class ManualClock:
    """A monotonic clock that stands still until it is put forward.

    In a `with` block it takes the place of `time.monotonic`, by which asyncio's own loops, the
    session and a sandbox in this process wait: pauses before retries and reconnects, the windows
    of the limits, time-outs, keepalives, the seconds that a picture takes. A session that is to
    go by it is built inside the block. Raises `RuntimeError` when it is entered twice.

    Where nobody puts it forward for five real seconds, it says so once on standard error.

    It does not drive `time.time`, by which signed URLs and tokens expire; nor a database, other
    processes, uvloop, or code that took `time.monotonic` under a name of its own before.
    """

    def __init__(self) -> None:
        self._real: Callable[[], float] = time.monotonic
        # A whole number, so that sums of seconds are exact.
        self._now = float(math.ceil(self._real()))
        self._runs_since: float | None = None
        self._in_place = mock.patch.object(time, "monotonic", self)
        self._entered = False
        self._told = False
        self._alarm = threading.Timer(0, self._tell)

    def __call__(self) -> float:
        """Return what the clock shows, in seconds; only differences mean something."""
        running = 0.0 if self._runs_since is None else self._real() - self._runs_since
        return self._now + running

    async def advance(self, seconds: float, *, step: float = 1.0) -> None:
        """Put the clock forward; what falls due on the way runs, and what that starts, too.

        It goes by `step` seconds at a time, and answers over loopback arrive in between; what is
        done in threads, such as reading files and drawing pictures, goes on in real time. So let
        what was begun come to its wait first. Raises `ValueError` for a time that is no time.
        """
        if not (0 <= seconds < math.inf and step > 0):
            raise ValueError(f"advance takes seconds from 0 and a step above 0, not {seconds!r}")
        end = self._now + seconds
        self._alarm.cancel()
        await self._settle()
        while self._now < end:
            self._now = min(self._now + step, end)
            await self._settle()
        self._watch()

    async def until(self, awaitable: Awaitable[T], *, at_most: float = 600.0) -> T:
        """Let time pass, a few hundred times as fast as it does, until something is done.

        Returns its value or raises its error. After `at_most` seconds of the clock it is
        cancelled, and `TimeoutError` says so.
        """
        task = asyncio.ensure_future(awaitable)
        end = self._now + at_most
        self._alarm.cancel()
        try:
            await self._settle()
            while not task.done() and self._now < end:
                await asyncio.to_thread(time.sleep, MOMENT)
                self._now += STEP
                await self._settle()
            if not task.done():
                raise TimeoutError(f"not done within {at_most:g} seconds of the clock")
            return await task
        finally:
            task.cancel()
            self._watch()

    def release(self) -> None:
        """Let it run on by itself, so that what is closed afterwards can wait."""
        self._alarm.cancel()
        if self._runs_since is None:
            self._runs_since = self._real()

    def _watch(self) -> None:
        """Wait for the next move, in real time and in a thread: the loop may wait for the clock."""
        if self._entered and not self._told and self._runs_since is None:
            self._alarm = threading.Timer(STANDING, self._tell)
            self._alarm.daemon = True
            self._alarm.start()

    def _tell(self) -> None:
        self._told = True
        sys.stderr.write(
            f"the clock has stood still for {STANDING:g} s: if the test waits for it, "
            "await piktid_clock.advance(...)\n"
        )

    async def _settle(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def __enter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a ManualClock is entered once; make a new one")
        self._entered = True
        self._in_place.start()
        self._watch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._alarm.cancel()
        if self._alarm.ident is not None:
            self._alarm.join()
        self._in_place.stop()
