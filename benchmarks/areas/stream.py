"""The event stream: decoding alone, decoding with routing, and both at the end of a connection."""

from __future__ import annotations

import asyncio
import gc
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from benchmarks.harness import Bar, Figure, Run
from benchmarks.servers.events import job_name, storm

CHUNK = 65_536
OURS = "piktid-async"
FLOOR = "bytes.split and orjson alone"
BARE = "aiohttp iter_any and orjson"
GUIDES = "requests, as in the guides"
PEER = "httpx-sse, decoding alone, with .json()"
PEER_RAW = "httpx-sse, decoding alone, its JSON unread"


# In one process


def sizes(run: Run) -> tuple[int, int]:
    """Return how many jobs and events."""
    return run.pick(full=(10_000, 400_000), tiny=(100, 2_000))


def body(run: Run) -> tuple[bytes, int]:
    jobs, events = sizes(run)
    return b"".join(storm(jobs, events)), events


def floor(run: Run) -> float:
    """Cut the whole and parse the parts, keeping nothing."""
    import orjson

    whole, events = body(run)
    gc.collect()
    with run.timed() as took:
        for block in whole.split(b"\n\n"):
            if block.startswith(b"data: "):
                orjson.loads(block[6:])
    return events / took.cpu


async def routed(run: Run) -> float:
    """Decode, route, keep, acknowledge, and wake a task per job at its end."""
    from piktid_async.protocol.dispatcher import Dispatcher
    from piktid_async.protocol.progress import Tracker
    from piktid_async.protocol.sse import Decoder
    from piktid_async.waiters import Waiters

    whole, events = body(run)
    jobs, _ = sizes(run)
    chunks = [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]
    dispatcher, waiters, decoder = Dispatcher(), Waiters(), Decoder()
    trackers = [_tracker(Tracker, number, events // jobs) for number in range(jobs)]
    for tracker in trackers:
        dispatcher.adopt(tracker, 0.0)
    dispatcher.changed()
    waiting = [asyncio.ensure_future(waiters.wait(tracker, "end")) for tracker in trackers]
    await asyncio.sleep(0)
    acknowledged = 0
    gc.collect()
    with run.timed() as took:
        for chunk in chunks:
            dispatcher.take(decoder.read(chunk), 1.0)
            waiters.wake(dispatcher.changed())
            for tracker in dispatcher.ended():
                waiters.end(tracker)
            acknowledged += len(dispatcher.acks())
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
    assert acknowledged == events
    assert all(tracker.ended for tracker in trackers)
    return events / took.cpu


def decoded(run: Run) -> float:
    """Decode, and read nothing."""
    from piktid_async.protocol.sse import Decoder

    whole, events = body(run)
    chunks = [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]
    decoder = Decoder()
    gc.collect()
    with run.timed() as took:
        found = sum(len(decoder.read(chunk)) for chunk in chunks)
    assert found == events
    return events / took.cpu


def httpx_sse(run: Run, *, read: bool) -> float:
    """Decode to its objects; with `read`, and to what they hold, as its users do."""
    import httpx
    from httpx_sse import EventSource

    whole, events = body(run)
    chunks = [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]
    headers = {"Content-Type": "text/event-stream"}
    answer = httpx.Response(200, headers=headers, content=iter(chunks))
    found = 0
    gc.collect()
    with run.timed() as took:
        for event in EventSource(answer).iter_sse():
            if read:
                event.json()
            found += 1
    assert found == events
    return events / took.cpu


# Over a connection


async def session_reads(run: Run, *, ack: str, chunk: int) -> float:
    """Follow the jobs by a session, with a task that waits for the end of each."""
    jobs, events = sizes(run)
    with run.server("events", *_options(jobs, events, chunk)) as server:
        async with following(server["url"], jobs, events // jobs, ack) as (runtime, trackers):
            waiting = [
                asyncio.ensure_future(runtime.waiters.wait(each, "end")) for each in trackers
            ]
            await asyncio.sleep(0)
            gc.collect()
            with run.timed() as took:
                begin(server["url"])
                await asyncio.gather(*waiting)
    return events / took.seconds


def ours(chunk: int) -> Callable[[Run], Any]:
    """Read only, as the others do; acknowledgements have an area of their own."""

    async def measure(run: Run) -> float:
        return await session_reads(run, ack="never", chunk=chunk)

    return measure


def bare(chunk: int) -> Callable[[Run], Any]:
    """Do by hand what a program has to: find the job, keep what is said, wake who waits."""

    async def measure(run: Run) -> float:
        import aiohttp
        import orjson

        jobs, events = sizes(run)
        loop = asyncio.get_running_loop()
        known: dict[str, dict[str, Any]] = {job_name(number): {} for number in range(jobs)}
        ends = {job: loop.create_future() for job in known}

        async def wait(job: str) -> None:
            await ends[job]

        waiting = [asyncio.ensure_future(wait(job)) for job in known]

        async def read(response: aiohttp.ClientResponse) -> None:
            rest, left = b"", jobs
            async for block in response.content.iter_any():
                *parts, rest = (rest + block).split(b"\n\n")
                for part in parts:
                    if not part.startswith(b"data: "):
                        continue
                    data = orjson.loads(part[6:]).get("data", {})
                    job = data.get("id_task")
                    if job in known:
                        known[job].update(data)
                        if data["status"] == "completed":
                            ends[job].set_result(None)
                            left -= 1
                if not left:
                    return

        with run.server("events", *_options(jobs, events, chunk)) as server:
            url = server["url"] + "/notifications/events"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                gc.collect()
                with run.timed() as took:
                    begin(server["url"])
                    await read(response)
                    await asyncio.gather(*waiting)
        return events / took.seconds

    return measure


def guides(chunk: int) -> Callable[[Run], float]:
    """Read lines with requests, as the guides do."""

    def measure(run: Run) -> float:
        import requests

        jobs, events = sizes(run)
        known: dict[str, dict[str, Any]] = {job_name(number): {} for number in range(jobs)}
        left = jobs
        with run.server("events", *_options(jobs, events, chunk)) as server:
            url = server["url"] + "/notifications/events"
            with requests.get(url, stream=True) as response, run.timed() as took:
                begin(server["url"])
                for line in response.iter_lines():
                    if not line.startswith(b"data:"):
                        continue
                    data = json.loads(line[5:]).get("data", {})
                    if data.get("id_task") in known:
                        known[data["id_task"]].update(data)
                        left -= data["status"] == "completed"
                        if not left:
                            break
        return events / took.seconds

    return measure


def httpx_reads(chunk: int) -> Callable[[Run], Any]:
    """Read with httpx and httpx-sse."""

    async def measure(run: Run) -> float:
        import httpx
        from httpx_sse import aconnect_sse

        jobs, events = sizes(run)
        known: dict[str, dict[str, Any]] = {job_name(number): {} for number in range(jobs)}
        left = jobs
        with run.server("events", *_options(jobs, events, chunk)) as server:
            url = server["url"] + "/notifications/events"
            async with (
                httpx.AsyncClient(timeout=60) as client,
                aconnect_sse(client, "GET", url) as source,
            ):
                with run.timed() as took:
                    begin(server["url"])
                    async for event in source.aiter_sse():
                        data = event.json().get("data", {})
                        if data.get("id_task") in known:
                            known[data["id_task"]].update(data)
                            left -= data["status"] == "completed"
                            if not left:
                                break
        return events / took.seconds

    return measure


# What the areas of the stream share


@asynccontextmanager
async def following(
    url: str, jobs: int, each: int, ack: str
) -> AsyncIterator[tuple[Any, list[Any]]]:
    """Follow so many jobs by a session whose stream is up and has nothing more to ask."""
    from piktid_async import Session
    from piktid_async.protocol.progress import Tracker

    async with Session("benchmark-token", base_url=url, ack=ack) as session:  # type: ignore[arg-type]
        runtime = session._runtime
        follower = runtime.connect().follow()
        await follower.ready()
        while not follower._synced:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        trackers = [
            runtime.adopt(_tracker(Tracker, number, each), look=False) for number in range(jobs)
        ]
        yield runtime, trackers


def begin(url: str) -> None:
    """Have the server begin."""
    with urllib.request.urlopen(urllib.request.Request(f"{url}/storm", method="POST")):
        pass


def _tracker(kind: Any, number: int, total: int) -> Any:
    return kind(
        job_name(number), "garment_recolor", total=total, status="pending", invisible_until=0.0
    )


def _options(jobs: int, events: int, chunk: int) -> Iterator[str]:
    options = {"--jobs": jobs, "--events": events, "--chunk": chunk}
    return (str(part) for pair in options.items() for part in pair)


def _end_to_end(key: str, title: str, chunk: int, about: str) -> Figure:
    return Figure(
        key=key,
        title=title,
        unit="events/s",
        cases={
            OURS: ours(chunk),
            BARE: bare(chunk),
            GUIDES: guides(chunk),
            "httpx and httpx-sse": httpx_reads(chunk),
        },
        bars=(Bar(OURS, of=BARE, at_least=0.9), Bar(OURS, of=GUIDES, at_least=2.5)),
        about=about,
    )


FIGURES = (
    Figure(
        key="route",
        title="Decode, route and deliver, 10,000 jobs with a waiting task each",
        unit="events/s",
        cases={
            OURS: routed,
            FLOOR: floor,
            PEER: partial(httpx_sse, read=True),
            PEER_RAW: partial(httpx_sse, read=False),
            "piktid-async, decoding alone": decoded,
        },
        bars=(Bar(OURS, of=FLOOR, at_least=0.5), Bar(OURS, of=PEER, at_least=2)),
        about=(
            "Events of about 190 bytes, each of the next job in turn, in chunks of 64 KB, within "
            "one process and by its processor time. Ours keeps each event for its job, merges it, "
            "lists it for acknowledgement, knows replays, and wakes the task of a job that has "
            "ended. The floor keeps nothing. httpx-sse is shown as its users read it, with each "
            "event's JSON, which the bar is about; and without, where nobody learns what they say."
        ),
    ),
    _end_to_end(
        "loopback",
        "The stream over loopback, chunks of 64 KB",
        CHUNK,
        "The same events from a server in its own process. No acknowledgements. The others find "
        "the job of each event and merge it by a dictionary's `update`; they know no replays, keep "
        "nothing and follow nothing up.",
    ),
    _end_to_end(
        "single",
        "The stream over loopback, one HTTP chunk for each event",
        0,
        "As above, in the chunks that a server writes that sends each event by itself.",
    ),
)
