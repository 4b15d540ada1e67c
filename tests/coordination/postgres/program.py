"""A process that shares an account: told on stdin what to do, it tells on stdout what it did."""

from __future__ import annotations

import asyncio
import json
import sys
import time

OPTIONS = json.loads(sys.argv[1])

if OPTIONS["fast"]:
    # Before anything has looked at a clock: the loop's timers go by this one, too.
    wall, steady = time.time, time.monotonic
    time.time = lambda: wall() + OPTIONS["fast"]
    time.monotonic = lambda: steady() + OPTIONS["fast"]

from piktid_async import (  # noqa: E402
    AccountLimits,
    GarmentRecolor,
    Job,
    PostgresCoordinator,
    Session,
    StreamSettings,
)

STREAM = StreamSettings(
    keepalive=1.0, silent_after=60.0, silent_longest=60.0, reconnect_base=0.01, reconnect_cap=0.2
)


def tell(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


async def watch(job: Job) -> None:
    result = await job
    tell("done", job.id, result.status)


async def submit(session: Session, request: GarmentRecolor) -> None:
    job = await session.submit(request)
    tell("submitted", job.id, time.clock_gettime(time.CLOCK_MONOTONIC))
    await watch(job)


async def main() -> None:
    coordinator = PostgresCoordinator(OPTIONS["database"], lease=OPTIONS["lease"])
    active, path, most, window = OPTIONS["limits"]
    limits = AccountLimits(active, {path: most}, window)
    loop = asyncio.get_running_loop()
    async with (
        Session(
            OPTIONS["token"],
            base_url=OPTIONS["url"],
            coordinator=coordinator,
            limits=limits,
            stream=STREAM,
        ) as session,
        session.notifications(names=["nothing"]),  # so that it follows the stream from now on
    ):
        project = await session.projects.ensure("spring")
        file = await session.upload(b"\xff\xd8\xff\xe0" + bytes(2000))
        request = GarmentRecolor(project=project, images=[file], reference_text="navy")
        tell("ready")
        async with asyncio.TaskGroup() as group:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                for _ in range(int(line)):
                    group.create_task(submit(session, request))


asyncio.run(main())
