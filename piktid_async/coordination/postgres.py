"""Turns, slots and one event stream that the processes of an account share in PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4
from weakref import WeakSet

import attrs

from piktid_async.coordination.base import Place
from piktid_async.coordination.postgres_lanes import Lanes, Look
from piktid_async.coordination.postgres_lanes import Place as Waiting
from piktid_async.errors import ActiveJobLimitError, ConfigurationError, RateLimitError
from piktid_async.models.limits import (
    AccountLimits,
    LimitsReport,
    WaitingSubmission,
    WindowUse,
    checked_limits,
)
from piktid_async.protocol.governor import LONGEST_ASKED_FOR, SHARE_OF_THE_LATEST
from piktid_async.protocol.quota import DOUBT_HELD

if TYPE_CHECKING:
    from piktid_async.coordination.postgres_desk import Command, Desk
    from piktid_async.coordination.postgres_inbox import PostgresInbox

ABANDONED = 120.0
"""Seconds for which a request of a process that died may still reach the service."""
CLOSE_WAIT = 5.0
LOOK_AGAIN = 1.0
"""Seconds after which those who wait ask although nothing has rung: a bell may be lost."""


@attrs.define(eq=False)
class PostgresTurn:
    """One turn; until something else is said, certainly no job was made."""

    _coordinator: PostgresCoordinator
    _place: Waiting
    _over: bool = False

    def started(self, job_id: str) -> None:
        """Pass the slot to the job that was made."""
        self._over = True
        self._coordinator.answered(self._place, job_id)

    def refused(self, error: RateLimitError) -> None:
        """Learn from a 429: it slows every caller, in every process."""
        self._over = True
        self._coordinator.refused(self._place, error)

    def unsent(self) -> None:
        """Give it back whole: not a byte has left."""
        self._over = True
        self._coordinator.give_back(self._place)

    def doubtful(self) -> None:
        """Hold the slot for a job that may have been made."""
        self._over = True
        self._coordinator.doubtful(self._place)

    def settled(self, job_id: str | None) -> None:
        """End the doubt: the job was found, or is taken not to exist."""
        self._coordinator.settled(self._place, job_id)

    def failed(self) -> None:
        """Free the slot, unless something else was said."""
        if not self._over:
            self._coordinator.answered(self._place, None)


class PostgresCoordinator:
    """Share an account's limits and its event stream between processes, through PostgreSQL.

    `Session(coordinator=PostgresCoordinator("postgresql://host/name"))` in each process; no
    queue is needed. Windows and active-job slots are counted in the database, by its clock. One
    process holds the event stream for all and writes what it tells into an inbox, so that a job
    is awaited where it was submitted; when that process dies or freezes, another takes over.
    A slot belongs to the remote job: when its process dies, another asks until the job has ended.

    - `limits`: what the account allows; `Session(limits=...)` replaces it. All processes should
      be given the same.
    - `account`: a name for whose limits these are, the same in all processes. Absent: a hash of
      `base_url` and token; so it is needed where the token comes from a function, and where
      processes have tokens of their own. One database serves several accounts.
    - `lease`: seconds after which a process without a sign of life is taken for dead.
    - `doubt_held`: seconds for which a submission without an answer keeps its slot.

    Makes its tables in schema `piktid` on first use, which needs the right to; two connections
    per event loop. The inbox holds notifications for eleven minutes, links included; no token is
    stored. While the database is away submissions wait, with a warning in the log, and jobs are
    followed by status calls; a database that this process has never reached in 30 seconds ends
    the wait with `ConnectionFailedError`. In each process it is first come, first served; between
    processes the database is asked in no order. `session.limits` tells what this process knows.

    Connections are made in the loop they are needed in and closed with the last session that
    uses them, or by `close()`, or by `async with`. Raises `ConfigurationError` for a URL that
    cannot work, and without the extra `postgres`.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: AccountLimits | None = None,
        account: str | None = None,
        lease: float = 15.0,
        doubt_held: float = DOUBT_HELD,
    ) -> None:
        self._database = _checked_database(url)
        self._limits = AccountLimits() if limits is None else checked_limits(limits)
        self._lease = _checked_seconds("lease", lease)
        self._doubt_held = _checked_seconds("doubt_held", doubt_held)
        self._named = account is not None
        self._account = None if account is None else _hash(_checked_name(account))
        self._clock = time.monotonic
        self._pid = os.getpid()
        self._left_by_a_fork: Desk | None = None
        self._desk: Desk | None = None
        self._inboxes: WeakSet[PostgresInbox] = WeakSet()
        self._lanes = Lanes()
        self._waiting: dict[Waiting, asyncio.Future[None]] = {}
        self._looks: dict[str, Look] = {}
        self._asking: Waiting | None = None
        """Who has asked for a turn and has no answer yet; it may have come and been lost."""
        self._under_way: set[Waiting] = set()
        self._doubts: dict[Waiting, float] = {}
        self._jobs: dict[str, float | None] = {}
        self._seconds_per_job: float | None = None
        self.commands: deque[Command] = deque()
        """What is to be written, in that order."""

    def __repr__(self) -> str:
        return f"<PostgresCoordinator account {(self._account or 'unknown')[:8]}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what is left, for five seconds at most, and disconnect."""
        desk = self._desk
        if desk is not None and not desk.closing and desk.loop is asyncio.get_running_loop():
            self._desk = None
            await desk.close(CLOSE_WAIT)

    # What a session says

    def bind(self, account: str | None, limits: AccountLimits | None) -> None:
        """Hear whose limits they are, as a hash, where that is known, and which, where given."""
        if not self._named:
            if account is None:
                raise ConfigurationError(
                    "the token comes from a function: name the account, "
                    "PostgresCoordinator(url, account=...), the same in all processes"
                )
            account = _hash(account)
            if self._account not in (None, account):
                raise ConfigurationError(
                    "the coordinator is in use for another account: give each its own, "
                    "or name the account, PostgresCoordinator(url, account=...)"
                )
            self._account = account
        if limits is not None:
            self.set_limits(limits)

    def inbox(self) -> PostgresInbox:
        """Return a new view of the shared inbox."""
        from piktid_async.coordination.postgres_inbox import PostgresInbox

        made = PostgresInbox(self._key, self._lease, self.desk)
        self._inboxes.add(made)
        return made

    def join(self) -> None:
        """Hear that a session uses it in the running loop."""
        self.desk().users += 1

    async def leave(self, job_ids: Iterable[str], timeout: float) -> None:
        """Hear that a session does so no more, and leaves these jobs running."""
        if left := [job_id for job_id in job_ids if job_id in self._jobs]:
            for job_id in left:
                del self._jobs[job_id]
            self._write("SELECT piktid.disown(%s, %s)", self._key, left)
        desk = self._desk
        if desk is None or desk.closing or desk.loop is not asyncio.get_running_loop():
            return
        desk.users -= 1
        if desk.users <= 0:
            self._desk = None
            await desk.close(timeout)

    def place(self, path: str, *, pooled: bool) -> Waiting:
        """Queue up for an endpoint."""
        return self._lanes.place(path, pooled=pooled, now=self._clock())

    @asynccontextmanager
    async def turn(self, place: Place) -> AsyncIterator[PostgresTurn]:
        """Wait for the turn. Cancelling gives it back."""
        assert isinstance(place, Waiting)
        await self._wait(place)
        turn = PostgresTurn(self, place)
        try:
            yield turn
        finally:
            turn.failed()

    def occupied(self, job_id: str) -> None:
        """Count a running job that was made elsewhere, or before."""
        if job_id not in self._jobs:
            self._jobs[job_id] = None
            self._write_as_owner("SELECT piktid.occupied(%s, %s, %s)", self._key, job_id)

    def ended(self, job_id: str) -> None:
        """Free the slot of a job that has ended, whoever made it."""
        began = self._jobs.pop(job_id, None)
        if began is not None:
            took, mean = self._clock() - began, self._seconds_per_job
            share = SHARE_OF_THE_LATEST
            self._seconds_per_job = took if mean is None else share * took + (1 - share) * mean
        self._write("SELECT piktid.ended(%s, %s)", self._key, job_id)

    def found(self, job_id: str) -> None:
        """Pass the slot of a doubt, whoever's it is, to its job."""
        self._write_as_owner("SELECT piktid.found(%s, %s, %s)", self._key, job_id)

    def room(self) -> None:
        """Hear that a job of somebody else has ended; news only to those who wait for that."""
        now = self._clock()
        if any(look.full_until > now for look in self._looks.values()):
            self._write("SELECT piktid.room(%s)", self._key)

    def set_limits(self, limits: AccountLimits) -> None:
        """Keep other limits from now on, in this process."""
        self._limits = limits
        self._looks.clear()
        self._ring()

    def report(self) -> LimitsReport:
        """Tell what is waiting for what here, and until when, as the database said last."""
        now = self._clock()
        paths = sorted(self._limits.per_minute)
        self._doubts = {place: until for place, until in self._doubts.items() if until > now}
        full_until = max((look.full_until for look in self._looks.values()), default=0.0)
        return LimitsReport(
            account=self._limits,
            windows=tuple(self._window(path, now) for path in paths),
            jobs=tuple(self._jobs),
            under_way=sum(place.pooled for place in self._under_way),
            in_doubt=len(self._doubts),
            full_for=max(0.0, full_until - now),
            seconds_per_job=self._seconds_per_job,
            waiting=tuple(self._told(place, ahead, now) for place, ahead in self._lanes),
        )

    # What becomes of turns

    def answered(self, place: Waiting, job_id: str | None) -> None:
        """Date the grant; its slot passes to the job, or is free when there is none."""
        self._under_way.discard(place)
        if job_id is not None and place.pooled:
            self._jobs[job_id] = self._clock()
        self._write_as_owner(
            "SELECT piktid.answered(%s, %s, %s, %s, %s, %s)",
            *(self._key, place.token, place.path, place.pooled, job_id),
        )

    def refused(self, place: Waiting, error: RateLimitError) -> None:
        """Write down what a 429 teaches."""
        self._under_way.discard(place)
        self._write(
            "SELECT piktid.refused(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            *(self._key, place.token, place.path, isinstance(error, ActiveJobLimitError)),
            *(error.retry_after, LONGEST_ASKED_FOR),
            *(self._limits.per_minute.get(place.path), self._limits.window, ABANDONED),
        )

    def give_back(self, place: Waiting) -> None:
        """Give a turn back whole."""
        self._under_way.discard(place)
        self._write("SELECT piktid.returned(%s, %s)", self._key, place.token)

    def doubtful(self, place: Waiting) -> None:
        """Date the grant, and hold its slot for the job that may have been made."""
        self._under_way.discard(place)
        if place.pooled:
            self._doubts[place] = self._clock() + self._doubt_held
        self._write("SELECT piktid.doubtful(%s, %s, %s)", self._key, place.token, self._doubt_held)

    def settled(self, place: Waiting, job_id: str | None) -> None:
        """End a doubt: the slot passes to the job that was found, or is free."""
        self._doubts.pop(place, None)
        if not place.pooled:
            return
        if job_id is not None:
            self._jobs[job_id] = None
        self._write_as_owner(
            "SELECT piktid.settled(%s, %s, %s, %s, %s)",
            *(self._key, place.token, place.path, job_id),
        )

    # What the desk asks for

    def desk(self) -> Desk:
        """Return the running loop's connections, making them on first use."""
        from piktid_async.coordination.postgres_desk import Desk

        self._after_fork()
        loop, found = asyncio.get_running_loop(), self._desk
        if found is not None and found.loop is loop and not found.closing:
            return found
        if found is not None and found.loop is not loop and found.loop.is_running():
            raise ConfigurationError(
                "the coordinator is in use in another running event loop: give each its own"
            )
        self._desk = Desk(
            self, self._database, channel=f"piktid_{self._key[:32]}", heartbeat=self._lease / 3
        )
        return self._desk

    async def round(self, desk: Desk) -> float | None:
        """Let everyone go whose turn it is; return the seconds until the next may be."""
        if self.commands:
            return LOOK_AGAIN  # first what is known already; once it is written, it rings
        shut: set[str] = set()
        soonest: float | None = None
        wait: float | None
        while (place := self._lanes.next(shut)) is not None:
            look = self._looks.get(place.path)
            wait = 0.0 if look is None else look.again - self._clock()
            if wait <= 0:
                wait = await self._ask(desk, place)
            if wait is not None:
                shut.add(place.path)
                soonest = min(LOOK_AGAIN if soonest is None else soonest, wait)
        return soonest

    async def beat(self, desk: Desk) -> None:
        """Give a sign of life."""
        # What is still to be written is a turn, too, of which the database knows more than this.
        known = [place.token for place in (*self._under_way, *self._waiting)]
        await desk.call(
            "SELECT piktid.beat(%s, %s, %s, %s, %s, %s, %s::uuid[])",
            *(self._key, desk.owner, self._lease, self._limits.window, self._doubt_held),
            *(ABANDONED, None if self.commands else known),
        )

    def fail(self, error: Exception, *, after: float) -> None:
        """End the wait of all who have waited for so many seconds."""
        now = self._clock()
        for place, future in list(self._waiting.items()):
            if now - place.since >= after and not future.done():
                future.set_exception(error)

    def rang(self, what: str) -> None:
        """Hear the doorbell; an empty text: it can be heard from now on."""
        if what in ("room", ""):
            self._ring()
        if what in ("inbox", ""):
            for inbox in self._inboxes:
                inbox.rang()

    # Within

    @property
    def _key(self) -> str:
        if self._account is None:
            raise ConfigurationError("give the coordinator to a session, or name its account")
        return self._account

    def _after_fork(self) -> None:
        """Leave who waits, what is under way and what is to be written to the parent process."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            # Kept, for to collect its loop would take the parent's sockets out of the selector.
            self._left_by_a_fork, self._desk = self._desk, None
            self._lanes = Lanes()
            self._waiting, self._under_way, self._asking = {}, set(), None
            self.commands.clear()

    async def _wait(self, place: Waiting) -> None:
        desk = self.desk()
        if desk.error is not None:
            raise desk.error
        place.token = uuid4()
        future = self._waiting[place] = desk.loop.create_future()
        self._lanes.join(place)
        desk.ring()
        try:
            await future
        except BaseException:
            # Cancelled at the moment of its turn, or while it asked.
            if place in self._under_way or place is self._asking:
                self.give_back(place)
            raise
        finally:
            del self._waiting[place]
            if place in self._lanes:
                self._lanes.leave(place)

    async def _ask(self, desk: Desk, place: Waiting) -> float | None:
        """Ask for a turn; return the seconds to wait, infinite ones included, or let it go."""
        limits = self._limits
        self._asking = place
        ((reason, wait, allowed, used, full_for),) = await desk.call(
            "SELECT * FROM piktid.take(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            *(self._key, desk.owner, place.token, place.path, place.pooled),
            *(limits.per_minute.get(place.path), limits.window, limits.active_jobs, ABANDONED),
        )
        self._asking = None
        now = self._clock()
        full_until = now + (full_for or 0.0)
        if reason is None:
            self._looks[place.path] = Look(None, now, allowed, used, full_until, now)
            self._let_go(place)
            return None
        until = None if wait is None else now + wait
        # A slot may be free at any time, and a window's only when all its requests are answered.
        again = now if reason == "slot" or wait is None else now + min(wait, LOOK_AGAIN)
        self._looks[place.path] = Look(reason, until, allowed, used, full_until, again)
        return math.inf if wait is None else float(wait)

    def _let_go(self, place: Waiting) -> None:
        future = self._waiting.get(place)
        self._under_way.add(place)
        if future is None or future.done():
            self.give_back(place)  # it was cancelled while it asked
        else:
            self._lanes.serve(place)
            future.set_result(None)

    def _write(self, statement: str, *values: object) -> None:
        self._command(lambda desk: desk.call(statement, *values))

    def _write_as_owner(self, statement: str, key: str, *values: object) -> None:
        """Write in the name of the loop that is running by then."""
        self._command(lambda desk: desk.call(statement, key, desk.owner, *values))

    def _command(self, command: Command) -> None:
        self.commands.append(command)
        if self._desk is not None:
            self._desk.write()

    def _ring(self) -> None:
        if self._desk is not None:
            self._desk.ring()

    def _window(self, path: str, now: float) -> WindowUse:
        look = self._looks.get(path)
        if look is None:
            return WindowUse(path, self._limits.per_minute[path], 0, 0.0)
        opens_in = None if look.until is None else max(0.0, look.until - now)
        return WindowUse(path, look.allowed, look.used, opens_in)

    def _told(self, place: Waiting, ahead: int, now: float) -> WaitingSubmission:
        look = self._looks.get(place.path)
        eta: float | None = None
        if look is not None and look.until is not None:
            # Those ahead of it need windows of their own.
            windows = ahead // look.allowed if look.allowed else 0
            eta = max(0.0, look.until - now) + windows * self._limits.window
        reason = look.reason if look is not None and not ahead else None
        return WaitingSubmission(place.path, reason or "turn", now - place.since, eta)


def _hash(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()


def _checked_database(url: object) -> dict[str, Any]:
    try:
        from piktid_async.coordination.postgres_line import checked_database
    except ImportError as error:
        raise ConfigurationError(
            "PostgresCoordinator needs psycopg: pip install 'piktid-async[postgres]'"
        ) from error
    return checked_database(url)


def _checked_seconds(name: str, given: object) -> float:
    if type(given) not in (int, float) or not 0 < given < math.inf:  # type: ignore[operator]
        raise ConfigurationError(f"{name} must be positive seconds, not {given!r}")
    return float(given)  # type: ignore[arg-type]


def _checked_name(account: object) -> str:
    if not isinstance(account, str) or not account:
        raise ConfigurationError(f"account must be a name, not {account!r}")
    return account
