"""Turns within one process."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs

from piktid_async.coordination.base import Place
from piktid_async.errors import ActiveJobLimitError, RateLimitError
from piktid_async.models.limits import AccountLimits
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.quota import Grant, Quota

# After a 429 that names no time. Slots of others free when their jobs end, minutes later.
REFUSED = Backoff(base=2.0, cap=60.0)
LONGEST_ASKED_FOR = 300.0
"""Seconds of a Retry-After that are waited at most before the service is asked again."""


@attrs.frozen(order=True)
class LocalPlace:
    """Ordered by arrival."""

    number: int
    path: str
    pooled: bool


@attrs.define(eq=False)
class LocalTurn:
    """One grant, until its answer is known."""

    grant: Grant
    job_id: str | None = None
    refusal: RateLimitError | None = None
    sent: bool = True

    def started(self, job_id: str) -> None:
        """Pass the slot to the job that was made."""
        self.job_id = job_id

    def refused(self, error: RateLimitError) -> None:
        """Remember the 429 until the turn is over."""
        self.refusal = error

    def unsent(self) -> None:
        """Remember that the service knows nothing of it."""
        self.sent = False


class LocalCoordinator:
    """Keep one account's limits for one process; its clock can be given."""

    def __init__(self, limits: AccountLimits, clock: Callable[[], float]) -> None:
        self._quota = Quota(limits)
        self._clock = clock
        self._numbers = itertools.count()
        self._lanes: dict[str, list[tuple[LocalPlace, asyncio.Future[Grant]]]] = {}
        # By path: how many in a row, and until when the last one holds.
        self._refusals: dict[str, tuple[int, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pid = os.getpid()

    def place(self, path: str, *, pooled: bool) -> LocalPlace:
        """Queue up for an endpoint."""
        return LocalPlace(next(self._numbers), path, pooled)

    @asynccontextmanager
    async def turn(self, place: Place) -> AsyncIterator[LocalTurn]:
        """Wait for the turn. Cancelling gives it back."""
        assert isinstance(place, LocalPlace)
        turn = LocalTurn(await self._wait(place))
        try:
            yield turn
        finally:
            # What was not sent leaves its place in the window: dated before any window.
            answered = self._clock() if turn.sent else -math.inf
            self._quota.answered(turn.grant, answered, turn.job_id)
            self._learn(place.path, turn)
            self._pump()

    def ended(self, job_id: str) -> None:
        """Free the slot of a job that has ended."""
        self._after_fork()
        self._quota.ended(job_id)
        self._pump()

    def _after_fork(self) -> None:
        """Leave those who wait, and what is under way, to the parent process."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._lanes.clear()
        self._timer = None
        self._quota.abandoned(self._clock())

    async def _wait(self, place: LocalPlace) -> Grant:
        self._after_fork()
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        entry = (place, future)
        heapq.heappush(self._lanes.setdefault(place.path, []), entry)
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(entry)
            raise

    def _leave(self, entry: tuple[LocalPlace, asyncio.Future[Grant]]) -> None:
        place, future = entry
        if future.done() and not future.cancelled():
            # The grant came in the same turn of the loop as the cancellation. Nothing was sent,
            # so its place in the window is free as well: dated before any window.
            self._quota.answered(future.result(), -math.inf, None)
        else:
            lane = self._lanes[place.path]
            lane.remove(entry)
            heapq.heapify(lane)
        self._pump()

    def _pump(self) -> None:
        """Let everyone go whose turn it is, in order of arrival; come back for the next."""
        now = self._clock()
        blocked: set[str] = set()
        wake = math.inf
        while (lane := self._first_lane(blocked)) is not None:
            place, future = lane[0]
            ready = self._quota.ready_at(place.path, place.pooled, now)
            if ready <= now:
                heapq.heappop(lane)
                future.set_result(self._quota.take(place.path, place.pooled, now))
            else:
                blocked.add(place.path)
                wake = min(wake, ready)
        self._schedule(wake, now)

    def _first_lane(
        self, blocked: set[str]
    ) -> list[tuple[LocalPlace, asyncio.Future[Grant]]] | None:
        # Places left behind by a loop that is gone have cancelled futures.
        for lane in self._lanes.values():
            while lane and lane[0][1].done():
                heapq.heappop(lane)
        open_lanes = [lane for path, lane in self._lanes.items() if lane and path not in blocked]
        return min(open_lanes, key=lambda lane: lane[0][0].number, default=None)

    def _schedule(self, wake: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wake < math.inf:
            self._timer = asyncio.get_running_loop().call_later(wake - now, self._pump)

    def _learn(self, path: str, turn: LocalTurn) -> None:
        error = turn.refusal
        if error is None:
            if turn.job_id is not None:
                self._refusals.pop(path, None)
            return
        now = self._clock()
        count, until = self._refusals.get(path, (0, -math.inf))
        if now >= until:
            count += 1  # those that were under way together are refused once
        pause = min(error.retry_after or REFUSED.ceiling(count), LONGEST_ASKED_FOR)
        until = max(until, now + pause)
        self._refusals[path] = count, until
        if isinstance(error, ActiveJobLimitError):
            self._quota.full(until)
        else:
            self._quota.slow_down(path, until)
