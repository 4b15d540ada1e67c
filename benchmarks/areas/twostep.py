"""Uploads where each request takes a time: presigning and PUT, at a concurrency.

No program can be faster than its concurrency, divided by two latencies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.harness import Bar, Figure, Run
from benchmarks.inputs import each, files

OURS = "piktid-async"
BOUND = "the bound"
AIOHTTP = "aiohttp, open file"
LOOP = "requests, as in the guides"
THREADS = "requests, threads"

SIZE = 20_000
TOKEN = {"Authorization": "Bearer token"}
POINTS = (16, 64)


def bound(run: Run, latency: float) -> float:
    return run.point / (2 * latency)


def _count(run: Run, latency: float, seconds: float = 2.0) -> int:
    """Return how many files take so long at the bound: as many for each place."""
    return run.point * run.pick(full=round(seconds / (2 * latency)), tiny=1)


async def ours(run: Run, latency: float) -> float:
    paths = files(run.folder, _count(run, latency), SIZE)
    with run.server("two_steps", "--seconds", str(latency)) as server:
        from piktid_async import Session

        async with Session(
            token="token", base_url=server["url"], upload_concurrency=run.point
        ) as session:
            await session.upload(paths[0])  # what is imported on first use is measured elsewhere
            with run.timed() as took:
                await session.upload_many(paths)
        run.note("connections", server.end()["connections"])
    return len(paths) / took.seconds


async def bare_aiohttp(run: Run, latency: float) -> float:
    paths = files(run.folder, _count(run, latency), SIZE)
    with run.server("two_steps", "--seconds", str(latency)) as server:
        import aiohttp

        ask = f"{server['url']}/upload"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=run.point)) as api,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=run.point)) as storage,
        ):

            async def one(path: Path) -> None:
                wish = {"filename": path.name}
                async with api.post(ask, json=wish, headers=TOKEN) as answer:
                    ticket = await answer.json()
                typed = {"Content-Type": ticket["content_type"]}
                with path.open("rb") as file:
                    url = ticket["upload_url"]
                    async with storage.put(url, data=file, headers=typed) as answer:
                        await answer.read()

            with run.timed() as took:
                await each(paths, one, run.point)
        run.note("connections", server.end()["connections"])
    return len(paths) / took.seconds


def guides_loop(run: Run, latency: float) -> float:
    """One file after the other, a connection for each call: any concurrency is the same to it."""
    paths = files(run.folder, run.pick(full=max(8, round(0.4 / latency)), tiny=2), SIZE)
    with run.server("two_steps", "--seconds", str(latency)) as server:
        import requests

        with run.timed() as took:
            for path in paths:
                ask = f"{server['url']}/upload"
                ticket = requests.post(ask, json={"filename": path.name}, headers=TOKEN).json()
                typed = {"Content-Type": ticket["content_type"]}
                requests.put(ticket["upload_url"], data=path.read_bytes(), headers=typed)
    return len(paths) / took.seconds


def threads(run: Run, latency: float) -> float:
    paths = files(run.folder, _count(run, latency, 0.5), SIZE)
    with run.server("two_steps", "--seconds", str(latency)) as server:
        import requests

        ask = f"{server['url']}/upload"

        def some(mine: list[Path]) -> None:
            with requests.Session() as session:
                for path in mine:
                    ticket = session.post(ask, json={"filename": path.name}, headers=TOKEN).json()
                    typed = {"Content-Type": ticket["content_type"]}
                    session.put(ticket["upload_url"], data=path.read_bytes(), headers=typed)

        with run.timed() as took, ThreadPoolExecutor(run.point) as pool:
            list(pool.map(some, [paths[first :: run.point] for first in range(run.point)]))
    return len(paths) / took.seconds


def _figure(latency: float) -> Figure:
    milliseconds = round(latency * 1000)
    cases: dict[str, Callable[[Run], float | Awaitable[float]]] = {
        OURS: partial(ours, latency=latency),
        BOUND: partial(bound, latency=latency),
        AIOHTTP: partial(bare_aiohttp, latency=latency),
        LOOP: partial(guides_loop, latency=latency),
        THREADS: partial(threads, latency=latency),
    }
    some, many = POINTS
    return Figure(
        key=f"{milliseconds}ms",
        title=f"Two-step uploads of 20 KB, {milliseconds} ms for each request",
        unit="files/s",
        cases=cases,
        points=POINTS,
        tiny_points=(16,),
        over="uploads at once",
        bars=(
            Bar(f"{OURS} @ {some}", of=f"{BOUND} @ {some}", at_least=0.88),
            Bar(f"{OURS} @ {many}", of=f"{BOUND} @ {many}", at_least=0.80),
            Bar(f"{OURS} @ {some}", of=f"{LOOP} @ {some}", at_least=15),
            Bar(f"{OURS} @ {many}", of=f"{LOOP} @ {many}", at_least=50),
        ),
        about=(
            "`POST /upload`, then the PUT; the answer to each comes so long after its last byte. "
            "The bound is the concurrency, divided by two latencies. Plain HTTP over loopback."
        ),
    )


FIGURES = (_figure(0.02), _figure(0.1))
