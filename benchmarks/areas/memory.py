"""What uploads cost besides time: memory, and stalls of the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks.harness import Bar, Figure, Run
from benchmarks.inputs import CONNECTIONS, PICTURE, each, files, trust, watched

OURS = "piktid-async"
OPEN_FILE = "aiohttp, open file"
BYTES = "aiohttp, bytes"

TYPED = {"Content-Type": "image/png"}


async def upload_many(run: Run, size: int, count: int, *, stall: bool) -> float:
    """Return megabytes over an idle session, or the longest stall in milliseconds."""
    paths = files(run.folder, run.pick(full=count, tiny=CONNECTIONS), size)
    with run.server("nginx", "--tls") as server:
        trust(server)
        from piktid_async import Session

        async with Session(
            token="token", base_url=server["url"], upload_concurrency=CONNECTIONS
        ) as session:
            await session.upload(PICTURE)
            async with watched() as loop:
                with run.timed() as took:
                    await session.upload_many(paths)
    return loop.seconds * 1000 if stall else took.memory or 0.0


async def bare_aiohttp(run: Run, size: int, count: int, *, stall: bool, whole: bool) -> float:
    paths = files(run.folder, run.pick(full=count, tiny=CONNECTIONS), size)
    with run.server("nginx", "--tls") as server:
        trust(server)
        import aiohttp

        url = server["ticket"]["upload_url"]
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(path: Path) -> None:
                with path.open("rb") as file:
                    data = file.read() if whole else file
                    async with session.put(url, data=data, headers=TYPED) as answer:
                        await answer.read()

            async with session.put(url, data=PICTURE, headers=TYPED) as answer:
                await answer.read()
            async with watched() as loop:
                with run.timed() as took:
                    await each(paths, one)
    return loop.seconds * 1000 if stall else took.memory or 0.0


def _cases(size: int, count: int, *, stall: bool) -> dict[str, Callable[[Run], Awaitable[float]]]:
    return {
        OURS: partial(upload_many, size=size, count=count, stall=stall),
        OPEN_FILE: partial(bare_aiohttp, size=size, count=count, stall=stall, whole=False),
        BYTES: partial(bare_aiohttp, size=size, count=count, stall=stall, whole=True),
    }


FIGURES = (
    Figure(
        key="large",
        title="Memory over an idle session: 16 uploads of 10 MB at once, TLS",
        unit="MB",
        cases=_cases(10_000_000, CONNECTIONS, stall=False),
        bars=(Bar(OURS, at_most=20),),
        about="Resident, at the peak. One small upload was made before.",
    ),
    Figure(
        key="stall",
        title="Longest stall of the loop: 2 MB, 16 at once, TLS",
        unit="ms",
        cases=_cases(2_000_000, 128, stall=True),
        bars=(Bar(OURS, at_most=50),),
        about="What a task that sleeps for 2 ms, again and again, waited in addition.",
    ),
)
