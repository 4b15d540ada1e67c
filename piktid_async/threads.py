"""Work in threads, which cannot be cancelled: only waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def _nothing() -> None:
    pass


async def to_its_end(running: asyncio.Future[Any], stop: Callable[[], None] = _nothing) -> None:
    """Wait for work in a thread; raises what it raised.

    A cancellation asks it to stop, and is passed on when it has ended: else it would go on writing
    while what it writes is cleared away.
    """
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            stop()
            cancelled = error
    if cancelled is not None:
        running.exception()  # not news any more
        raise cancelled
    running.result()
