"""Acknowledgements: how many a second, and what they do to those who wait for events."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from benchmarks.areas.stream import begin, following
from benchmarks.harness import Bar, Figure, Run

if TYPE_CHECKING:
    import aiohttp

OURS = "piktid-async"
BARE = "aiohttp, 32 at once"
GUIDES = "requests, one after another"
MOST = 20.0
"""Seconds for the last acknowledgements."""


def amount(run: Run) -> int:
    return run.pick(full=20_000, tiny=500)


# How many


async def session_acknowledges(run: Run) -> float:
    """Read a stream of events of one job, and acknowledge each as soon as it is taken in."""
    events = amount(run)
    with run.server("events", "--jobs", "1", "--events", str(events)) as server:
        async with following(server["url"], 1, events, "handled") as (runtime, _):
            acks = runtime.connect().acks
            with run.timed() as took:
                begin(server["url"])
                while runtime.dispatcher.open_jobs:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                await acks.flush(60.0)
        assert server.end()["acknowledged"] == events
    return events / took.seconds


async def send(session: aiohttp.ClientSession, url: str, queue: asyncio.Queue[int]) -> None:
    """Acknowledge what is in the queue, for ever."""
    while True:
        number = await queue.get()
        async with session.delete(f"{url}/notifications/{number}") as answer:
            await answer.read()
        queue.task_done()


async def bare_acknowledges(run: Run) -> float:
    """Read the same stream with a plain loop, and have 32 tasks send what it finds."""
    import aiohttp
    import orjson

    events = amount(run)
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def read(response: aiohttp.ClientResponse) -> None:
        rest, left = b"", events
        async for block in response.content.iter_any():
            *parts, rest = (rest + block).split(b"\n\n")
            for part in parts:
                if part.startswith(b"data: ") and (note := orjson.loads(part[6:])):
                    queue.put_nowait(note["id"])
                    left -= 1
            if not left:
                return

    with run.server("events", "--jobs", "1", "--events", str(events)) as server:
        url = server["url"]
        headers = {"Authorization": "Bearer benchmark-token", "Accept": "application/json"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{url}/notifications/events") as response,
        ):
            await response.content.readuntil(b"{}\n\n")
            workers = [asyncio.ensure_future(send(session, url, queue)) for _ in range(32)]
            with run.timed() as took:
                begin(url)
                await read(response)
                await queue.join()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        assert server.end()["acknowledged"] == events
    return events / took.seconds


def requests_acknowledges(run: Run) -> float:
    """Send them one after another over one connection, without a stream."""
    import requests

    events = run.pick(full=3_000, tiny=100)
    with run.server("events", "--jobs", "1", "--events", "1") as server:
        url = server["url"]
        with requests.Session() as session, run.timed() as took:
            for number in range(events):
                session.delete(f"{url}/notifications/{number}")
    return events / took.seconds


# What they cost those who wait


def delays(ack: str) -> Any:
    """Measure from the write of an event to the next line of the task that waits for it."""

    async def measure(run: Run) -> float:
        from piktid_async.jobs import Job
        from piktid_async.protocol.progress import Tracker

        jobs, rate = run.pick(full=(10_000, 4_000), tiny=(10, 500))
        events = run.pick(full=3 * rate, tiny=rate)
        options = ("--jobs", jobs, "--events", events, "--rate", rate, "--probes")
        found: list[float] = []
        with run.server("events", *map(str, options)) as server:
            async with following(server["url"], jobs, 2 * events, ack) as (runtime, _):
                probe = Tracker(
                    "probe", "garment_recolor", total=events, status="pending", invisible_until=0.0
                )
                job = Job(runtime, runtime.adopt(probe, look=False), None)

                async def wait() -> None:
                    async for note in job.events():
                        found.append(time.perf_counter() - note.timestamp)
                        if len(found) == events // 10:
                            return

                waiting = asyncio.ensure_future(wait())
                with run.timed():
                    begin(server["url"])
                    await waiting
                await runtime.connect().acks.flush(MOST)
            run.note("acknowledged", server.end()["acknowledged"])
        found.sort()
        run.note("p50 ms", 1e3 * found[len(found) // 2])
        return 1e3 * found[math.ceil(len(found) * 0.99) - 1]

    return measure


def bare_delays(workers: int) -> Any:
    """The same storm, read by a plain loop that hands each probe to a waiting task."""

    async def measure(run: Run) -> float:
        import aiohttp
        import orjson

        jobs, rate = run.pick(full=(10_000, 4_000), tiny=(10, 500))
        events = run.pick(full=3 * rate, tiny=rate)
        options = ("--jobs", jobs, "--events", events, "--rate", rate, "--probes")
        found: list[float] = []
        probes: asyncio.Queue[float] = asyncio.Queue()
        acks: asyncio.Queue[int] = asyncio.Queue()

        async def wait() -> None:
            while len(found) < events // 10:
                told = await probes.get()
                found.append(time.perf_counter() - told)

        async def read(response: aiohttp.ClientResponse) -> None:
            rest = b""
            async for block in response.content.iter_any():
                *parts, rest = (rest + block).split(b"\n\n")
                for part in parts:
                    if part.startswith(b"data: "):
                        note = orjson.loads(part[6:])
                        acks.put_nowait(note["id"])
                        if note["data"].get("id_task") == "probe":
                            probes.put_nowait(note["timestamp"])

        with run.server("events", *map(str, options)) as server:
            url = server["url"]
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{url}/notifications/events") as response,
            ):
                beside = [asyncio.ensure_future(read(response))]
                beside += [asyncio.ensure_future(send(session, url, acks)) for _ in range(workers)]
                waiting = asyncio.ensure_future(wait())
                with run.timed():
                    begin(url)
                    await waiting
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
            run.note("acknowledged", server.end()["acknowledged"])
        found.sort()
        run.note("p50 ms", 1e3 * found[len(found) // 2])
        return 1e3 * found[math.ceil(len(found) * 0.99) - 1]

    return measure


FIGURES = (
    Figure(
        key="rate",
        title="One acknowledgement for each event, while the stream is read",
        unit="acks/s",
        cases={
            OURS: session_acknowledges,
            BARE: bare_acknowledges,
            GUIDES: requests_acknowledges,
        },
        bars=(Bar(OURS, of=BARE, at_least=0.9),),
        about=(
            "From the first event to the last answer. Ours knows which it has sent, repeats those "
            "that fail, and keeps those that cannot be sent for the end. The guides' loop reads no "
            "stream meanwhile."
        ),
    ),
    Figure(
        key="delay",
        title="From the write of an event to the waiting task's next line, p99",
        unit="ms",
        cases={
            OURS: delays("handled"),
            "piktid-async, acknowledging nothing": delays("never"),
            "aiohttp iter_any and orjson, 32 at once": bare_delays(32),
            "aiohttp iter_any and orjson, acknowledging nothing": bare_delays(0),
        },
        about=(
            "10,000 open jobs; 4,000 events a second, each acknowledged; every tenth is of a job "
            "whose task waits in `async for note in job.events()`. Server and client share a clock."
        ),
    ),
)
