"""What belongs to one event loop: a transport, and the tasks that use it.

A session may be built outside a loop and used in one `asyncio.run` after another, so it makes its
connections on first use in each loop. They close themselves when the loop cancels its tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from piktid_async.errors import ConfigurationError
from piktid_async.protocol.backoff import Backoff
from piktid_async.transport.base import Transport
from piktid_async.transport.retrying import Caller

T = TypeVar("T")
C = TypeVar("C", bound="LoopConnections")

RETRY = Backoff(base=0.5, cap=20.0)


class LoopConnections:
    """The connections of one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: Transport,
        *,
        max_retries: int,
        download_concurrency: int,
    ) -> None:
        self.loop = loop
        self.closing: bool = False
        self.transport = transport
        self.caller: Caller = Caller(transport, max_retries, RETRY)
        self.downloads: asyncio.Semaphore = asyncio.Semaphore(download_concurrency)
        self._tasks: set[asyncio.Task[Any]] = set()
        # asyncio.run cancels what is left at its end; this task then closes the connections of
        # a session that outlives the loop.
        self._keeper = loop.create_task(self._keep(), name="piktid keeper")

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run a task that this object cancels and awaits when it closes."""
        task = self.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_done)
        return task

    async def aclose(self) -> None:
        """Stop the tasks and disconnect."""
        if self.closing:
            return
        self.closing = True
        try:
            await self._stop_tasks()
        finally:
            await self._disconnect()

    async def _stop_tasks(self) -> None:
        # A reader that waits in the stream is not woken by closing the connection.
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _disconnect(self) -> None:
        await self.transport.aclose()
        if asyncio.current_task() is not self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self) -> None:
        try:
            await self.loop.create_future()
        finally:
            await self.aclose()

    def _spawned_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever awaits the task gets its error; if nobody does any more, it is not news.
            task.exception()


class Connected(Protocol):
    """Whoever has connections: what a session shares over its life."""

    def connect(self) -> LoopConnections:
        """Return the running loop's connections."""


def in_running_loop(found: C | None, make: Callable[[asyncio.AbstractEventLoop], C]) -> C:
    """Return the connections that were found if they are the running loop's, else new ones."""
    loop = asyncio.get_running_loop()
    if found is not None and found.loop is loop and not found.closing:
        return found
    if found is not None and found.loop is not loop and found.loop.is_running():
        raise ConfigurationError(
            "the session is in use in another running event loop: give each its own session"
        )
    return make(loop)
