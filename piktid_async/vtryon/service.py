"""What a Vtryon session shares over its life: its connections, its pace, the tasks it knows."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from piktid_async.connections import InLoops, LoopConnections
from piktid_async.errors import SessionClosedError
from piktid_async.logs import Listener
from piktid_async.transport.base import Transport

if TYPE_CHECKING:
    from piktid_async.vtryon.tasks import Task

DOWNLOADS = 8
"""Files at once."""


class Service:
    """The shared state of one session."""

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        *,
        max_retries: int,
        poll_interval: float,
        tell: Listener | None = None,
    ) -> None:
        self.closed: bool = False
        # The same in every loop, unlike the loops' own.
        self.clock: Callable[[], float] = time.monotonic
        self.tasks: WeakValueDictionary[int, Task] = WeakValueDictionary()
        """One object for each id, so that all who wait for a task share its polling."""
        self.known: set[int] = set()
        """Ids that this session has made, listed or picked up, for as long as it lives."""
        self._open_transport = open_transport
        self._max_retries = max_retries
        self._poll_interval = poll_interval
        self._tell = tell
        self._loops: InLoops[LoopConnections] = InLoops(self._connections, left=lambda _: None)

    def connect(self) -> LoopConnections:
        """Return the running loop's connections, making them on first use."""
        if self.closed:
            raise SessionClosedError
        return self._loops.open()

    def next_poll(self) -> float:
        """Return when to ask again, by the clock."""
        return self.clock() + pause(self._poll_interval, random.random)

    async def aclose(self) -> None:
        """Disconnect; tasks go on at the service."""
        found = self._loops.here()
        self.closed = True
        if found is not None:
            await found.aclose()

    def enter(self) -> None:
        """Begin a block that uses the session; allow use again after a close."""
        self._loops.enter()
        self.closed = False

    async def leave(self) -> None:
        """End a block; the last one closes the session."""
        if self._loops.leave():
            await self.aclose()

    def _connections(self, loop: asyncio.AbstractEventLoop) -> LoopConnections:
        return LoopConnections(
            loop,
            self._open_transport(),
            max_retries=self._max_retries,
            download_concurrency=DOWNLOADS,
            tell=self._tell,
        )


def pause(interval: float, jitter: Callable[[], float]) -> float:
    """Return a pause of 3/4 to 5/4 of the interval: a crowd of tasks does not poll in step."""
    return interval * (0.75 + 0.5 * jitter())
