"""One session for ten minutes on a stream that is cut every five seconds: memory must stay flat.

    python benchmarks/soak.py                          # 10 minutes, 50 events a second
    python benchmarks/soak.py --minutes 60 --rate 100
    python benchmarks/soak.py --short                  # 20 seconds, for every change

The sandbox is a process of its own, so that its memory does not count. Jobs are submitted at the
pace that makes the events; a feed reads all of them, too. Exit codes: 0 all is well, 1 not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
from leaks import open_descriptors, tasks_alive
from tables import line

from piktid_async import AccountLimits, GarmentRecolor, Session, StreamSettings
from piktid_async.sandbox import Sandbox

IMAGES = 5
EVENTS = 2 + 2 * IMAGES
"""Of one job: it starts and ends, and each image tells of itself and moves the count."""
GROWTH = 1.05
"""Memory at the end, as a multiple of that after the first minute."""
SHORT_GROWTH = 1.25
"""The same over twenty seconds, in which caches and pools still fill."""
POOL = 20
"""Connections that may be kept for a while after acknowledgements went out in a heap."""
SPARE = 2
"""Tasks that a connection in the making may take."""
PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
PAGE = os.sysconf("SC_PAGE_SIZE")
STREAM = StreamSettings(keepalive=2.0, reconnect_base=0.05, reconnect_cap=0.5, close_wait=30.0)


@attrs.frozen
class Sample:
    """One line of the table."""

    seconds: float
    events: int
    jobs: int
    megabytes: float
    descriptors: int
    tasks: int
    pending: int

    HEAD = ("seconds", "events", "jobs done", "MB", "descriptors", "tasks", "jobs open")

    def row(self) -> tuple[object, ...]:
        """Return the line."""
        count = (self.descriptors, self.tasks, self.pending)
        return f"{self.seconds:.0f}", self.events, self.jobs, f"{self.megabytes:.1f}", *count


# The server, in a process of its own


async def serve(cut_every: float) -> None:
    """Run a sandbox until standard input ends, then print what its books say."""
    async with Sandbox(render=False, seconds_per_image=0.02, keepalive=1.0, limits=None) as sandbox:
        print(json.dumps({"url": sandbox.url, "token": sandbox.token}), flush=True)
        cutting = asyncio.create_task(_cut(sandbox, cut_every))
        await asyncio.to_thread(sys.stdin.read)
        cutting.cancel()
        books = sandbox.books
        acknowledged = books.acknowledged
        print(
            json.dumps(
                {
                    "jobs": books.jobs_created,
                    "acknowledged": len(acknowledged),
                    "last": max(acknowledged, default=0),
                    "outstanding": len(books.notifications_outstanding),
                    "connections": books.stream_connections,
                }
            ),
            flush=True,
        )


async def _cut(sandbox: Sandbox, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        await sandbox.cut_streams()


@contextlib.asynccontextmanager
async def _server(cut_every: float) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--serve",
        f"--cut={cut_every}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


# The client


class Soak:
    """Jobs at a steady pace, and a feed that sees every event."""

    def __init__(self, session: Session, expected: int) -> None:
        self._session = session
        # No dictionary: it would grow with the events, and be taken for a leak.
        self.delivered = bytearray(2 * expected + 10_000)
        self.events = 0
        self.jobs = 0
        self.pending = 0
        self.problems: list[str] = []

    async def run(self, seconds: float, rate: float, samples: list[Sample], every: float) -> None:
        """Go on for so long, and take a sample now and then."""
        began = time.monotonic()
        project = await self._session.projects.ensure("soak")
        files = await self._session.upload_many([PICTURE] * IMAGES)
        request = GarmentRecolor(project=project, images=files, reference_text="navy")
        async with self._session.notifications() as feed, asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(feed))
            sampled = 0
            submitted = 0
            while (elapsed := time.monotonic() - began) < seconds:
                while submitted * EVENTS < elapsed * rate:
                    submitted += 1
                    self.pending += 1
                    group.create_task(self._job(request))
                if elapsed // every > sampled:
                    sampled += 1
                    self._sample(samples, elapsed)
                await asyncio.sleep(0.02)
            while self.pending or self.events < submitted * EVENTS:
                if time.monotonic() - began > seconds + 60:
                    self.problems.append(f"{self.pending} jobs have not ended")
                    break
                await asyncio.sleep(0.05)
            self._sample(samples, time.monotonic() - began)
            reading.cancel()

    def sample(self, elapsed: float) -> Sample:
        """Measure now."""
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
        return Sample(
            elapsed,
            self.events,
            self.jobs,
            resident / 1e6,
            open_descriptors().total(),
            len(tasks_alive()) - self.pending,
            self.pending,
        )

    def _sample(self, samples: list[Sample], elapsed: float) -> None:
        samples.append(self.sample(elapsed))
        print(line(samples[-1].row()), flush=True)

    async def _read(self, feed: object) -> None:
        async for note in feed:  # type: ignore[attr-defined]
            self.delivered[note.id] += 1
            self.events += 1

    async def _job(self, request: GarmentRecolor) -> None:
        job = await self._session.submit(request)
        keys = [output.key async for output in job.outputs()]
        result = await job
        if len(set(keys)) != len(keys) or len(keys) != IMAGES or len(result.ok) != IMAGES:
            self.problems.append(f"{job.id} showed {keys} and has {len(result.ok)} images")
        self.jobs += 1
        self.pending -= 1


async def soak(seconds: float, rate: float, cut_every: float, *, short: bool) -> int:
    """Run both sides and compare them."""
    samples: list[Sample] = []
    print(line(Sample.HEAD), flush=True)
    async with _server(cut_every) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        where = json.loads(await server.stdout.readline())
        session = Session(
            where["token"],
            base_url=where["url"],
            limits=AccountLimits.unlimited(),
            stream=STREAM,
        )
        soaking = Soak(session, int(seconds * rate))
        async with session:
            every = seconds / 4 if short else 60.0
            await soaking.run(seconds, rate, samples, every)
        server.stdin.close()
        books = json.loads(await server.stdout.readline())
    problems = soaking.problems + differences(soaking, books, samples, short=short)
    print(f"\nthe sandbox says: {books}")
    for problem in problems:
        print(f"FAILED: {problem}")
    print("FAILED" if problems else "all is well")
    return int(bool(problems))


def differences(
    soaking: Soak, books: dict[str, int], samples: list[Sample], *, short: bool
) -> list[str]:
    """Compare what came with what was sent, and the end with the beginning."""
    expected = books["jobs"] * EVENTS
    first, last = samples[0], samples[-1]
    growth = last.megabytes / first.megabytes
    bound = SHORT_GROWTH if short else GROWTH
    checks = {
        f"{soaking.events} events came of {expected}": soaking.events == expected,
        f"an event came {max(soaking.delivered)} times": max(soaking.delivered) == 1,
        f"{books['acknowledged']} were acknowledged": books["acknowledged"] == expected,
        f"{books['outstanding']} were left": books["outstanding"] == 0,
        f"{soaking.jobs} jobs ended of {books['jobs']}": soaking.jobs == books["jobs"],
        f"the stream was opened {books['connections']} times": books["connections"] > 1,
        f"memory grew to {growth:.1%}, more than {bound:.0%}": growth <= bound,
        f"{last.descriptors} descriptors, {first.descriptors} before": (
            last.descriptors <= first.descriptors + POOL
        ),
        f"{last.tasks} tasks, {first.tasks} before": last.tasks <= first.tasks + SPARE,
    }
    return [text for text, well in checks.items() if not well]


def main() -> int:
    """Run either side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second")
    parser.add_argument("--cut", type=float, default=5.0, help="seconds between two cuts")
    parser.add_argument("--short", action="store_true", help="20 seconds, two cuts in each")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.cut))
        return 0
    seconds, cut = (20.0, 0.5) if chosen.short else (60 * chosen.minutes, chosen.cut)
    return asyncio.run(soak(seconds, chosen.rate, cut, short=chosen.short))


if __name__ == "__main__":
    sys.exit(main())
