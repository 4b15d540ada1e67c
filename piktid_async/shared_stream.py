"""One event stream for several processes: whoever leads writes it down, everybody reads it.

Theory of operation
-------------------
`signals` has the shape of `stream.signals`, so whoever follows it need not know which it is. What
it tells comes from the shared inbox alone, for the leader, too: each process is told of all
notifications, in the same order, and acknowledges those of its own jobs. The lead is a lease with
an epoch. Everything that a leader writes is conditional on its epoch, so one that was frozen and
wakes up after another has taken over writes nothing, and stands down. What it had read by then is
replayed to its successor, whose backfill ends with a mark in the log, at which everybody reads the
status of its jobs, as after any reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from functools import partial
from typing import TypeAlias, TypeVar

from piktid_async import stream
from piktid_async.connections import stop
from piktid_async.coordination.base import Inbox, Item, Page
from piktid_async.errors import (
    ConnectionFailedError,
    NotFoundError,
    PiktidError,
    ResponseFormatError,
)
from piktid_async.logs import Listener, about
from piktid_async.models.jobs import TERMINAL
from piktid_async.models.settings import StreamSettings
from piktid_async.protocol import endpoints
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.feed import SYNCED, Arrival, read_arrival
from piktid_async.stream import Batch, Lost, Opened, Signal
from piktid_async.transport.base import Transport
from piktid_async.transport.retrying import Caller

T = TypeVar("T")
Line: TypeAlias = Callable[[], AsyncGenerator[Signal, None]]
"""Opens the service's own stream."""

_log = logging.getLogger("piktid_async.stream")

LOOK_AGAIN = 1.0
"""Seconds after which the inbox is read although nothing has rung: a bell may be lost."""
AGAIN = Backoff(base=0.1, cap=2.0)
INVISIBLE = 600.0
"""Seconds for which a job that cannot be found may still come to light."""


async def signals(
    inbox: Inbox, transport: Transport, settings: StreamSettings, tell: Listener | None = None
) -> AsyncGenerator[Signal, None]:
    """Follow the shared stream for ever, and lead it when nobody does.

    Raises what the service refuses the stream with. Wrap it in `contextlib.aclosing`: the lead is
    given up when the generator is closed.
    """
    reader = _Reader()
    line = partial(stream.signals, transport, settings, tell)
    leading = asyncio.create_task(_lead(inbox, reader, line), name="piktid leader")
    try:
        while not leading.done():
            try:
                page = await inbox.read()
            except ConnectionFailedError as error:
                for signal in reader.failed(error):
                    yield signal
                await asyncio.sleep(LOOK_AGAIN)
                continue
            for signal in reader.told(page):
                yield signal
            if not page.more:
                await inbox.changed(min(LOOK_AGAIN, inbox.lease / 5))
        leading.result()
    finally:
        await stop([leading])


class _Reader:
    """What pages mean: the state of the stream, and what it told."""

    def __init__(self) -> None:
        self.vacant = asyncio.Event()
        """Whether nobody leads, as far as was read."""
        self._epoch: int | None = None
        self._caught_up = False

    def told(self, page: Page) -> Iterator[Signal]:
        if page.held:
            self.vacant.clear()
        else:
            self.vacant.set()
        items = list(page.items)
        if self._epoch is not None and not (page.live and page.epoch == self._epoch):
            yield from self._lost(None)
        if page.live and self._epoch is None:
            self._epoch = page.epoch
            yield Opened()
        if self._epoch is not None and not (page.more or self._caught_up):
            # The log may begin in the middle of a leader's time: its end mark came before.
            self._caught_up = True
            items.append(SYNCED)
        if items:
            yield Batch(items)

    def failed(self, error: ConnectionFailedError) -> Iterator[Signal]:
        if self._epoch is not None:
            yield from self._lost(error)

    def _lost(self, error: ConnectionFailedError | None) -> Iterator[Signal]:
        self._epoch = None
        yield Lost(error)


async def _lead(inbox: Inbox, reader: _Reader, line: Line) -> None:
    """Lead whenever nobody else does."""
    while True:
        await reader.vacant.wait()
        try:
            epoch = await inbox.lead()
            if epoch is not None:
                text = "this process holds the event stream for all (epoch %d)"
                _log.info(text, epoch, extra=about(epoch=epoch))
                await _term(inbox, epoch, line)
                _log.info("another process holds the event stream", extra=about(epoch=epoch))
        except ConnectionFailedError as error:
            _log.warning("the shared event stream is given up for now: %s", error)
        reader.vacant.clear()  # until the next page tells otherwise


async def _term(inbox: Inbox, epoch: int, line: Line) -> None:
    """Hold the stream until the lead is lost."""
    tasks = [
        asyncio.create_task(_keep(inbox, epoch), name="piktid lease"),
        asyncio.create_task(_write_down(inbox, epoch, line), name="piktid reader"),
    ]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        await stop(tasks)
        with suppress(PiktidError, TimeoutError):
            async with asyncio.timeout(inbox.lease):  # after that it is over anyway
                await inbox.resign(epoch)


async def _keep(inbox: Inbox, epoch: int) -> None:
    while await _within(inbox.lease, lambda: inbox.renew(epoch)):  # noqa: ASYNC110
        await asyncio.sleep(inbox.lease / 3)


async def _write_down(inbox: Inbox, epoch: int, line: Line) -> None:
    async with aclosing(line()) as signals:
        async for signal in signals:
            if not await _within(inbox.lease, lambda: _written(inbox, epoch, signal)):  # noqa: B023
                return


async def _written(inbox: Inbox, epoch: int, signal: Signal) -> bool:
    match signal:
        case Batch(items):
            return await inbox.deliver(epoch, _read(items))
        case Opened():
            return await inbox.show(epoch, live=True)
        case Lost(error):
            reason = str(error or "closed by the server")
            _log.info("the event stream was lost: %s", reason, extra=about(reason=reason))
            return await inbox.show(epoch, live=False)


def _read(arrivals: Iterable[Arrival]) -> list[Item]:
    items: list[Item] = []
    for arrival in arrivals:
        try:
            items.append(read_arrival(arrival))
        except ResponseFormatError as error:
            fields = about(reason=error.reason)
            _log.warning("an event was left out: %s", error.reason, extra=fields)
    return items


async def _within(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """Try for some seconds, in which the inbox may be away."""
    began, failures = time.monotonic(), 0
    while True:
        try:
            return await work()
        except ConnectionFailedError:
            failures += 1
            if time.monotonic() - began > seconds:
                raise
            await asyncio.sleep(AGAIN.pause(failures, random.random))


async def mind_orphans(inbox: Inbox, caller: Caller, ended: Callable[[str], None]) -> None:
    """Ask, for ever, after jobs that nobody follows: they hold their slots until they have ended.

    One status request a job and lease, by one process.
    """
    while True:
        try:
            for job_id, age in await inbox.orphans():
                if await _has_ended(caller, job_id, age):
                    ended(job_id)
        except ConnectionFailedError as error:
            text = "nobody can be asked for jobs without a process: %s"
            _log.debug(text, error, extra=about(reason=str(error)))
        await asyncio.sleep(inbox.lease)


async def _has_ended(caller: Caller, job_id: str, age: float) -> bool:
    try:
        status = await caller.execute(endpoints.job_status(job_id))
    except NotFoundError:
        return age > INVISIBLE
    except Exception as error:  # a token source may raise anything
        fields = about(job_id=job_id, error=type(error).__name__)
        _log.warning("the status of job %s could not be read: %r", job_id, error, extra=fields)
        return False
    return status.status in TERMINAL
