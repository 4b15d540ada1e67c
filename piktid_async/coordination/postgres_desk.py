"""What the shared limits need of one event loop: two connections, and the tasks that use them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, Protocol, TypeAlias
from uuid import UUID, uuid4

from piktid_async.coordination.postgres_line import Line, Row
from piktid_async.errors import ConnectionFailedError, PiktidError, ResponseFormatError
from piktid_async.protocol.backoff import Backoff

_log = logging.getLogger("piktid_async.postgres")

REACHED_WITHIN = 30.0
"""Seconds that submissions wait for a database that this process has never reached."""
LISTEN_AGAIN = 0.5
AGAIN = Backoff(base=0.2, cap=5.0)


class Desk:
    """The connections and tasks of one event loop."""

    def __init__(
        self, work: Work, database: dict[str, Any], *, channel: str, heartbeat: float
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.owner: UUID = uuid4()
        """Another one in each loop, and in each process that was forked."""
        self.users: int = 0
        """Sessions that use it."""
        self.closing: bool = False
        self.error: Exception | None = None
        """Why its tasks have ended, if they have."""
        self._work = work
        self._line = Line(database)
        self._bells = Line(database)
        self._channel = channel
        self._heartbeat = heartbeat
        self._reached = False
        self._away = False
        self._rung = asyncio.Event()
        self._to_write = asyncio.Event()
        self._to_write.set()
        self._tasks = [
            self._start(self._turns(), "piktid turns"),
            self._start(self._write(), "piktid limits"),
            self._start(self._listen(), "piktid doorbell"),
            self._start(self._beat(), "piktid heartbeat"),
        ]

    async def call(self, statement: str, *values: object) -> list[Row]:
        """Execute one statement; raises `ConnectionFailedError` while the database is away."""
        rows = await self._line.call(statement, *values)
        self._reached = True
        return rows

    def ring(self) -> None:
        """Have those who wait ask for their turns now."""
        self._rung.set()

    def write(self) -> None:
        """Have the commands written that are there now."""
        self._to_write.set()

    async def close(self, timeout: float) -> None:
        """Stop the tasks, write for some seconds what is left, and disconnect."""
        self.closing = True
        try:
            for task in self._tasks:
                if not task.cancelling():  # a second time would interrupt how they end
                    task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            async with asyncio.timeout(timeout):
                await self._drain()
                await self.call("DELETE FROM piktid.processes WHERE owner = %s", self.owner)
        except (TimeoutError, PiktidError) as error:
            # Slots that stay taken by it are asked after by others.
            _log.warning("the shared limits could not be left in order: %s", error)
        finally:
            await self._line.aclose()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self.loop.create_task(work, name=name)
        task.add_done_callback(self._stopped)
        return task

    def _stopped(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            # Nobody may wait for ever for a turn that cannot come.
            if self.error is None:
                trace = None if isinstance(error, PiktidError) else error
                _log.error("the shared limits have stopped: %s", error, exc_info=trace)
            self.error = error
            for sibling in self._tasks:
                sibling.cancel()
            self._work.fail(error, after=0.0)

    async def _turns(self) -> None:
        while True:
            self._rung.clear()
            wait = await self._insisting("no turn can be taken", lambda: self._work.round(self))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._rung.wait()

    async def _write(self) -> None:
        while True:
            await self._to_write.wait()
            self._to_write.clear()
            await self._insisting("what became of turns cannot be written", self._drain)
            self.ring()

    async def _drain(self) -> None:
        commands = self._work.commands
        while commands:
            try:
                await commands[0](self)
            except ResponseFormatError as error:
                _log.warning("something that became of a turn cannot be written: %s", error)
            commands.popleft()

    async def _beat(self) -> None:
        while True:
            await self._insisting("no sign of life can be given", lambda: self._work.beat(self))
            await asyncio.sleep(self._heartbeat)

    async def _listen(self) -> None:
        while True:
            # Without a bell everybody looks by himself, so no word of it.
            with suppress(ConnectionFailedError):
                async with aclosing(self._bells.bells(self._channel)) as rings:
                    async for what in rings:
                        self._work.rang(what)
            await asyncio.sleep(LISTEN_AGAIN)

    async def _insisting(self, trouble: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Try for as long as the database is away."""
        failures = 0
        while True:
            try:
                found = await work()
            except ConnectionFailedError as error:
                if not self._away:  # one line, however many of its tasks have noticed
                    self._away = True
                    _log.warning("%s while the database is away: %s", trouble, error.reason)
                failures += 1
                if not self._reached:
                    # Maybe it never can be: a wrong password is no outage.
                    self._work.fail(error, after=REACHED_WITHIN)
                await asyncio.sleep(AGAIN.pause(failures, random.random))
            else:
                if self._away:
                    self._away = False
                    _log.warning("the database is back")
                return found


Command: TypeAlias = Callable[[Desk], Awaitable[object]]


class Work(Protocol):
    """What the tasks of a desk do for the coordinator."""

    commands: deque[Command]
    """What is to be written, in that order; each may be executed twice."""

    async def round(self, desk: Desk) -> float | None:
        """Let everyone go whose turn it is; return the seconds until the next may be."""

    async def beat(self, desk: Desk) -> None:
        """Give a sign of life."""

    def fail(self, error: Exception, *, after: float) -> None:
        """End the wait of all who have waited for so many seconds."""

    def rang(self, what: str) -> None:
        """Hear the doorbell; an empty text: it can be heard from now on."""
