"""Growth: what a job that is open costs in memory, and whether many make an event dearer."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from typing import Any

from benchmarks.areas.stream import CHUNK, FLOOR, OURS
from benchmarks.harness import Bar, Figure, Run
from benchmarks.servers.events import event, job_name

JOBS = (10, 1_000, 100_000)


def _session() -> Any:
    from piktid_async import Session
    from piktid_async.models.settings import StreamSettings

    # It is never reached: nothing is asked before somebody waits.
    return Session(
        "benchmark-token",
        base_url="http://127.0.0.1:9",
        stream=StreamSettings(connect=False, poll_every=3600.0),
    )


def _runtime() -> Any:
    return _session()._runtime


def _followed(runtime: Any, jobs: int) -> list[Any]:
    from piktid_async.protocol.progress import Tracker

    return [
        runtime.adopt(
            Tracker(
                job_name(number), "garment_recolor", total=4, status="pending", invisible_until=0.0
            ),
            look=False,
        )
        for number in range(jobs)
    ]


def idle(run: Run) -> float:
    """Return the bytes of an open job, its id and its places in tables included."""
    runtime = _runtime()
    _followed(runtime, 1)
    gc.collect()
    tracemalloc.start()
    kept = _followed(runtime, run.point)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == run.point
    return (held - 8 * run.point) / run.point


async def waiting(run: Run) -> float:
    """Return the bytes of an open job with one task that waits for its end."""
    runtime = _runtime()
    gc.collect()
    tracemalloc.start()
    tasks = [
        asyncio.ensure_future(runtime.waiters.wait(tracker, "end"))
        for tracker in _followed(runtime, run.point)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return held / run.point


def _counts(run: Run, first: int, events: int) -> list[bytes]:
    """Return the chunks of so many events, each of the next job in turn."""
    made = [
        event(number + 1, job_name(number % run.point), "processing", number, 10**9, 1763000000.5)
        for number in range(first, first + events)
    ]
    whole = b"".join(made)
    return [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]


def routed(run: Run) -> float:
    """Return the microseconds of an event, decoded and routed to one of so many open jobs."""
    from piktid_async.protocol.sse import Decoder

    events = run.pick(full=200_000, tiny=2_000)
    runtime = _runtime()
    kept = _followed(runtime, run.point)
    decoder = Decoder()

    def take(chunks: list[bytes]) -> None:
        for chunk in chunks:
            runtime.dispatcher.take(decoder.read(chunk), 1.0)
            runtime.waiters.wake(runtime.dispatcher.changed())
            runtime.dispatcher.acks()

    take(_counts(run, 0, run.point))
    chunks = _counts(run, run.point, events)
    gc.collect()
    with run.timed() as took:
        take(chunks)
    assert sum(len(tracker.kept) for tracker in kept) == run.point + events
    return 1e6 * took.cpu / events


def floor(run: Run) -> float:
    """Cut and parse the same events, keeping nothing."""
    import orjson

    events = run.pick(full=200_000, tiny=2_000)
    whole = b"".join(_counts(run, run.point, events))
    gc.collect()
    with run.timed() as took:
        for block in whole.split(b"\n\n"):
            if block.startswith(b"data: "):
                orjson.loads(block[6:])
    return 1e6 * took.cpu / events


async def closing(run: Run) -> float:
    """Return the milliseconds of closing with so many open jobs, each waited for."""
    from piktid_async import SessionClosedError

    session = _session()
    async with session:
        runtime = session._runtime
        waiters = [
            asyncio.ensure_future(runtime.waiters.wait(tracker, "end"))
            for tracker in _followed(runtime, run.point)
        ]
        await asyncio.sleep(0)
        gc.collect()
        with run.timed() as took:
            began = time.perf_counter()
            await session.close()
            found = await asyncio.gather(*waiters, return_exceptions=True)
            ended = time.perf_counter() - began
    assert all(isinstance(each, SessionClosedError) for each in found)
    run.note("µs per job", 1e6 * took.cpu / run.point)
    return 1e3 * ended


FIGURES = (
    Figure(
        key="memory",
        title="Memory of an open job",
        unit="bytes",
        cases={"idle": idle, "with one waiting task": waiting},
        points=(1_000, 100_000),
        tiny_points=(100,),
        over="open jobs",
        bars=(
            Bar("idle @ 100,000", at_most=300),
            Bar("with one waiting task @ 100,000", at_most=1_300),
        ),
        about="By tracemalloc: the id, its place in the tables, what is known of it, and the task.",
    ),
    Figure(
        key="events",
        title="Cost of an event by the number of open jobs",
        unit="µs",
        cases={OURS: routed, FLOOR: floor},
        points=JOBS,
        tiny_points=(10, 100),
        over="open jobs",
        about=(
            "Processor time. Nothing in the code depends on the number; what rises is the time "
            "for which the processor waits for memory, when the jobs no longer fit into its caches."
        ),
    ),
    Figure(
        key="closing",
        title="Time to close a session, a task waiting for each of its jobs",
        unit="ms",
        cases={OURS: closing},
        points=JOBS,
        tiny_points=(10,),
        over="open jobs",
        log=True,
        about="Until the last of those who waited has been told.",
    ),
)
