"""Files to upload, the way to trust a server of the benchmarks, and the loop's longest stall."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import attrs

from benchmarks.harness import Server

T = TypeVar("T")

DISTINCT = 64 << 20
"""Bytes on the disk; what is beyond has further names. More than any cache of a processor."""
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(100)
"""What passes for a picture, and is small."""
CONNECTIONS = 16


def files(folder: Path, count: int, size: int) -> list[Path]:
    """Make pictures, or what looks so from the outside; they are in the page cache then."""
    content = b"\x89PNG\r\n\x1a\n" + os.urandom(size - 8)
    made: list[Path] = []
    for number in range(count):
        path = folder / f"{number:05}.png"
        if number * size < DISTINCT:
            path.write_bytes(content)
        else:
            path.hardlink_to(made[number % (DISTINCT // size)])
        made.append(path)
    return made


def trust(server: Server) -> None:
    """Let this process trust a server, if none of the clients is imported yet."""
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = server["authority"]


async def each(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], workers: int = CONNECTIONS
) -> None:
    """Work on all of them, so many at once."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(workers)))


@attrs.define
class Stall:
    """The longest time that the loop kept everybody waiting."""

    seconds: float = 0.0


@asynccontextmanager
async def watched() -> AsyncIterator[Stall]:
    """Note the longest stall of the loop within the block."""
    stall, pause = Stall(), 0.002

    async def tick() -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            await asyncio.sleep(pause)
            stall.seconds = max(stall.seconds, clock() - began - pause)

    ticking = asyncio.create_task(tick())
    try:
        yield stall
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
