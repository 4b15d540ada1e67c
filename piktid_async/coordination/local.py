"""Turns within one process."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import attrs

from piktid_async.coordination.base import Place
from piktid_async.errors import ActiveJobLimitError, RateLimitError
from piktid_async.models.limits import AccountLimits, LimitsReport
from piktid_async.protocol import governor
from piktid_async.protocol.governor import Governor


@attrs.define(eq=False)
class LocalTurn:
    """One turn; until something else is said, certainly no job was made."""

    _coordinator: LocalCoordinator
    _place: governor.Place
    _over: bool = False

    def started(self, job_id: str) -> None:
        """Pass the slot to the job that was made."""
        self._end(lambda queue, now: queue.started(self._place, job_id, now))

    def refused(self, error: RateLimitError) -> None:
        """Learn from a 429: it slows every caller."""
        self._end(
            lambda queue, now: queue.refused(
                self._place,
                now,
                retry_after=error.retry_after,
                active_jobs=isinstance(error, ActiveJobLimitError),
            )
        )

    def unsent(self) -> None:
        """Give it back whole: not a byte has left."""
        self._end(lambda queue, _: queue.leave(self._place))

    def doubtful(self) -> None:
        """Hold the slot for a job that may have been made."""
        self._end(lambda queue, now: queue.doubtful(self._place, now))

    def settled(self, job_id: str | None) -> None:
        """End the doubt: the job was found, or is taken not to exist."""
        self._coordinator.change(lambda queue, _: queue.settled(self._place, job_id))

    def failed(self) -> None:
        """Free the slot, unless something else was said."""
        if not self._over:
            self._end(lambda queue, now: queue.failed(self._place, now))

    def _end(self, what: Callable[[Governor, float], None]) -> None:
        self._over = True
        self._coordinator.change(what)


class LocalCoordinator:
    """Keep one account's limits for one process; its clock can be given."""

    def __init__(self, limits: AccountLimits, clock: Callable[[], float]) -> None:
        self._governor = Governor(limits)
        self._clock = clock
        self._waiting: dict[governor.Place, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pid = os.getpid()

    def bind(self, account: str | None, limits: AccountLimits | None) -> None:  # noqa: ARG002
        """Keep the limits that were given; there is but one account."""
        if limits is not None:
            self.set_limits(limits)

    def inbox(self) -> None:
        """Share no inbox: each session has a stream of its own."""

    def join(self) -> None:
        """Hear that a session uses it: nothing belongs to a loop."""

    async def leave(self, job_ids: Iterable[str], timeout: float) -> None:
        """Hear that a session does so no more: its jobs hold their slots as long as they run."""

    def place(self, path: str, *, pooled: bool) -> governor.Place:
        """Queue up for an endpoint."""
        return self._governor.place(path, pooled=pooled, now=self._clock())

    @asynccontextmanager
    async def turn(self, place: Place) -> AsyncIterator[LocalTurn]:
        """Wait for the turn. Cancelling gives it back."""
        assert isinstance(place, governor.Place)
        await self._wait(place)
        turn = LocalTurn(self, place)
        try:
            yield turn
        finally:
            turn.failed()

    def occupied(self, job_id: str) -> None:
        """Count a running job that was made elsewhere, or before."""
        self._governor.occupied(job_id)

    def ended(self, job_id: str) -> None:
        """Free the slot of a job that has ended."""
        self.change(lambda queue, now: queue.ended(job_id, now))

    def found(self, job_id: str) -> None:
        """Pass the slot of a doubt to its job, which was found otherwise than by the turn."""
        self.change(lambda queue, _: queue.quota.found(job_id))

    def room(self) -> None:
        """Hear that a job of somebody else has ended."""
        self.change(lambda queue, _: queue.quota.stranger_ended())

    def set_limits(self, limits: AccountLimits) -> None:
        """Keep other limits from now on."""
        self._governor.quota.limits = limits
        self.change(lambda *_: None)

    def report(self) -> LimitsReport:
        """Tell what is waiting for what, and until when."""
        return self._governor.report(self._clock())

    def change(self, what: Callable[[Governor, float], None]) -> None:
        """Let something change in the queue, and everyone go whose turn has come by it."""
        self._after_fork()
        what(self._governor, self._clock())
        self._pump()

    async def _wait(self, place: governor.Place) -> None:
        self._after_fork()
        future = self._waiting[place] = asyncio.get_running_loop().create_future()
        self._governor.join(place)
        self._pump()
        try:
            await future
        except asyncio.CancelledError:
            if self._waiting.pop(place, None) is not None or place.grant is not None:
                self.change(lambda queue, _: queue.leave(place))
            raise

    def _after_fork(self) -> None:
        """Leave those who wait, and what is under way, to the parent process."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._waiting.clear()
            self._timer = None
            self._governor.abandoned(self._clock())

    def _pump(self) -> None:
        now = self._clock()
        for place in self._governor.due(now):
            future = self._waiting.pop(place)
            if future.done() or future.get_loop().is_closed():
                # Cancelled in this turn of the loop, or left behind by a loop that is gone.
                self._governor.leave(place)
            else:
                future.set_result(None)
        self._schedule(self._governor.wake_at(now), now)

    def _schedule(self, wake: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wake < math.inf and (loop := _running_loop()) is not None:
            self._timer = loop.call_later(wake - now, self._pump)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running loop; outside of one nobody waits."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
