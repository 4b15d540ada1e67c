"""A hundred jobs at once on one session and one stream, undisturbed and under every cut."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from piktid_async import Job, StreamSettings
from piktid_async.sandbox import Faults

JOBS = 100


async def watch(job: Job) -> Counter[tuple[int, int, int]]:
    """Count how often each output is delivered."""
    return Counter([output.key async for output in job.outputs()])


EACH_ONCE = Counter({(0, 0, 0): 1, (1, 0, 0): 1})


async def test_hundred_jobs_resolve_once_on_one_stream_and_leave_nothing_behind(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as session:
            jobs = await submit_jobs(session, JOBS)
            deliveries = await asyncio.gather(*(watch(job) for job in jobs))
            results = await asyncio.gather(*jobs)
        assert len({job.id for job in jobs}) == sandbox.books.jobs_created == JOBS
        assert [result.status for result in results] == ["completed"] * JOBS
        assert all(len(result.ok) == 2 and not result.failed for result in results)
        assert deliveries == [EACH_ONCE] * JOBS
        assert sandbox.books.notifications_outstanding == ()
        # started, (image and count) for each of two, ended: nothing was acknowledged unseen
        assert len(sandbox.books.acknowledged) == JOBS * 6
        assert sandbox.books.stream_connections == 1
        assert sandbox.books.open_streams == 0
        assert {task.get_name() for task in asyncio.all_tasks() if "piktid" in task.get_name()} == (
            set()
        )


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"stream_cut_after_events": 1}, id="after-every-event"),
        pytest.param({"stream_cut_after_events": 7}, id="after-seven-events"),
        pytest.param({"stream_cut_mid_event": 0}, id="in-the-middle-of-every-first-event"),
        pytest.param({"stream_cut_mid_event": 3}, id="in-the-middle-of-every-fourth-event"),
    ],
)
async def test_a_stream_that_is_cut_again_and_again_loses_and_doubles_nothing(
    faults, make_sandbox, make_session, submit_jobs
):
    async with (
        make_sandbox(faults=Faults(**faults)) as sandbox,
        make_session(sandbox) as session,
    ):
        jobs = await submit_jobs(session, JOBS)
        deliveries = await asyncio.gather(*(watch(job) for job in jobs))
        results = await asyncio.gather(*jobs)
        assert [result.status for result in results] == ["completed"] * JOBS
        assert deliveries == [EACH_ONCE] * JOBS
        assert sandbox.faults.counts[next(iter(faults))] > 1


async def test_a_cut_longer_than_the_retention_loses_events_but_no_job(
    make_sandbox, make_session, submit_jobs
):
    retention = 0.02
    never_silent = StreamSettings(reconnect_base=0.01, reconnect_cap=0.05, silent_after=600)
    async with make_sandbox(retention=retention, seconds_per_image=0.1) as sandbox:
        async with make_session(sandbox, stream=never_silent) as session:
            jobs = await submit_jobs(session, JOBS)
            watchers = [asyncio.create_task(watch(job)) for job in jobs]
            await sandbox.stop_streams()
            await asyncio.sleep(20 * retention)  # time itself is what is waited for
            sandbox.allow_streams()
            deliveries = await asyncio.gather(*watchers)
            results = await asyncio.gather(*jobs)
        assert [result.status for result in results] == ["completed"] * JOBS
        assert deliveries == [EACH_ONCE] * JOBS
        assert len(sandbox.books.acknowledged) < JOBS * 6


async def test_events_that_somebody_else_deletes_delay_a_job_and_do_not_hang_it(
    make_sandbox, make_session, submit_jobs
):
    async with (
        make_sandbox(faults=Faults(drop_events=10_000)) as sandbox,
        make_session(sandbox) as session,
    ):
        jobs = await submit_jobs(session, 10)
        assert [await watch(job) for job in jobs] == [EACH_ONCE] * 10
