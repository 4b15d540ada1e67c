"""What belongs to one event loop: a transport, and the tasks that use it.

Theory of operation
-------------------
A session may be built outside a loop and used in one `asyncio.run` after another, so it makes its
connections on first use in each loop; `InLoops` knows which count. One task of theirs, the keeper,
closes them, whoever asks for it: `aclose()` from any number of tasks, or the loop that cancels what
is left at its end. So they are closed once, and a closer that is cancelled cannot leave them half
closed.

What a loop has left behind that ended without its keeper, or what a fork has copied, is never
touched: a copied loop shares its selector with that of the parent.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from contextvars import Context
from typing import Any, Generic, Protocol, TypeVar

from piktid_async.errors import ConfigurationError
from piktid_async.logs import Listener
from piktid_async.protocol.backoff import Backoff
from piktid_async.transport.base import Transport
from piktid_async.transport.retrying import Caller

T = TypeVar("T")
C = TypeVar("C", bound="LoopConnections")

RETRY = Backoff(base=0.5, cap=20.0)
LOOK_AGAIN = 0.1
"""Seconds after which a task that is to end, and has not, is looked at again."""


class LoopConnections:
    """The connections of one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: Transport,
        *,
        max_retries: int,
        download_concurrency: int,
        tell: Listener | None = None,
    ) -> None:
        self.loop = loop
        self.pid: int = os.getpid()
        self.blocks: int = 0
        """How many `async with` blocks of the session are open."""
        self.closing: bool = False
        self.transport = transport
        self.tell = tell
        """Hears of what happens; None: nobody does."""
        self.caller: Caller = Caller(transport, max_retries, RETRY)
        self.downloads: asyncio.Semaphore = asyncio.Semaphore(download_concurrency)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asked_to_close = asyncio.Event()
        # What closing does, last thing first; a step that is cancelled does not stop the others.
        self._ending = AsyncExitStack()
        self._ending.push_async_callback(transport.aclose)
        self._keeper = loop.create_task(self._keep(), name="piktid keeper")

    def spawn(
        self, work: Coroutine[Any, Any, T], name: str, context: Context | None = None
    ) -> asyncio.Task[T]:
        """Run a task that this object cancels and awaits when it closes."""
        task = self.loop.create_task(work, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_done)
        return task

    async def aclose(self) -> None:
        """Stop the tasks and disconnect; returns when that is done, whoever asked first.

        Cancelling it skips what only waits for others, and still ends with everything closed.
        """
        self.closing = True
        self._asked_to_close.set()
        if asyncio.current_task() in self._tasks:
            return  # the keeper waits for this very task
        try:
            await asyncio.wait((self._keeper,))
        except asyncio.CancelledError:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
            raise
        if not self._keeper.cancelled():
            self._keeper.result()

    async def _keep(self) -> None:
        async with self._ending:
            self._ending.push_async_callback(self._stop_tasks)
            # asyncio.run cancels what is left at its end; that closes them as well.
            await self._asked_to_close.wait()

    async def _stop_tasks(self) -> None:
        # A reader that waits in the stream is not woken by closing the connection.
        self.closing = True
        await stop(self._tasks)

    def _spawned_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever awaits the task gets its error; if nobody does any more, it is not news.
            task.exception()


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end; the loop, at its own end, may have done so before."""
    chosen = list(tasks)
    here = asyncio.current_task()
    cancelled = here is not None and here.cancelling() > 0
    for task in chosen:
        # Where the loop has cancelled all of them, a second time would interrupt how they end. Else
        # one that looks cancelled is in a time-out of its own, and would go on after that.
        if not (cancelled and task.cancelling()):
            task.cancel()
    running = set(chosen)
    while running:
        _, running = await asyncio.wait(running, timeout=LOOK_AGAIN)
        for task in running:
            if not task.cancelling():  # it has taken such a time-out back
                task.cancel()
    await asyncio.gather(*chosen, return_exceptions=True)


class Connected(Protocol):
    """Whoever has connections: what a session shares over its life."""

    def connect(self) -> LoopConnections:
        """Return the running loop's connections."""


_left_by_a_fork: list[LoopConnections] = []
"""Kept, for to be collected would take the parent's sockets out of the selector they share."""


class InLoops(Generic[C]):
    """The connections of whichever loop a session is used in, one loop at a time."""

    def __init__(
        self, make: Callable[[asyncio.AbstractEventLoop], C], left: Callable[[C], None]
    ) -> None:
        self._make = make
        self._left = left
        """Told of the connections that are replaced, before they are forgotten."""
        self._found: C | None = None
        # Two threads that begin at once must not both get connections.
        self._lock = threading.Lock()
        self._lock_of = os.getpid()

    @property
    def newest(self) -> C | None:
        """The last connections that were made, whatever has become of them."""
        return self._found

    def here(self) -> C | None:
        """Return the running loop's connections, if it has any.

        Raises `ConfigurationError` when another thread's loop uses the session.
        """
        found = self._found
        if found is None:
            return None
        if found.pid == os.getpid():
            if found.loop is _running_loop():
                return found
            if found.loop.is_running():
                raise ConfigurationError(
                    "the session is in use in another running event loop: give each its own session"
                )
        else:
            _left_by_a_fork.append(found)
        self._found = None
        self._left(found)
        return None

    def open(self) -> C:
        """Return the running loop's connections, made if need be."""
        loop = asyncio.get_running_loop()
        if self._lock_of != os.getpid():  # it may have been held when the process was forked
            self._lock, self._lock_of = threading.Lock(), os.getpid()
        with self._lock:
            found = self.here()
            if found is None or found.closing:
                if found is not None:
                    self._left(found)
                found = self._found = self._make(loop)
            return found

    def enter(self) -> None:
        """Begin an `async with` block of the session."""
        self.open().blocks += 1

    def leave(self) -> bool:
        """End a block; return whether it was the last one that is open in this loop."""
        found = self.here()
        if found is None:
            return True
        found.blocks -= 1
        return found.blocks <= 0


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
