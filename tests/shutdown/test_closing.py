"""A session that is closed while it is at work: once, whole, and whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from piktid_async import AccountLimits, GarmentRecolor, Session, StreamSource
from piktid_async.connections import stop
from piktid_async.errors import SessionClosedError
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.testing import ManualClock
from piktid_async.vtryon import VtryonSession
from tests.services.process import descriptors, turns
from tests.shutdown.cancelling import QUICK, has_settled

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)


@pytest.fixture
async def slow() -> AsyncIterator[Sandbox]:
    """Start a sandbox whose jobs take long, and check that all connections to it are gone."""
    async with Sandbox(render=False, seconds_per_image=30, limits=False) as sandbox:
        before = descriptors()
        yield sandbox
        await has_settled(lambda: ["descriptors"] if descriptors() > before else [])
        left = [each.get_name() for each in asyncio.all_tasks()]
        assert [name for name in left if name.startswith("piktid")] == []


def session_of(sandbox: Sandbox, **options: object) -> Session:
    return Session(sandbox.token, base_url=sandbox.url, **{"stream": QUICK, **options})


async def request_of(session: Session) -> GarmentRecolor:
    project = await session.projects.ensure("closing")
    file = await session.upload(PICTURE)
    return GarmentRecolor(project=project, images=[file], reference_text="navy")


async def closed_inside(session: Session, items: AsyncIterator[object]) -> None:
    async for _ in items:
        await session.close()


async def test_ten_closers_all_return_when_it_is_closed(slow: Sandbox) -> None:
    session = session_of(slow)
    waiting = asyncio.create_task((await session.submit(await request_of(session))).result())

    async def close() -> int:
        await session.close()
        assert session.stream_state == "closed"
        return sum(each.get_name().startswith("piktid") for each in asyncio.all_tasks())

    closing = [asyncio.create_task(close()) for _ in range(10)]
    closing[0].cancel()  # before it has begun
    await asyncio.sleep(0)
    closing[1].cancel()  # while it waits with the others
    left = await asyncio.gather(*closing, return_exceptions=True)
    assert left[2:] == [0] * 8
    with pytest.raises(SessionClosedError):
        await waiting
    await session.close()


async def test_a_close_while_uploading_breaks_the_uploads_off(
    slow: Sandbox, tmp_path: Path
) -> None:
    session = session_of(slow, upload_concurrency=2)
    drawn = asyncio.Event()
    for_ever = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(1000)
        drawn.set()
        await for_ever.wait()

    async def upload() -> None:
        await session.upload(StreamSource(chunks(), 5000, "a.jpg"))

    async def upload_each() -> None:
        async for _ in session.upload_each(StreamSource(chunks(), 5000) for _ in range(5)):
            pass

    uploads = [asyncio.create_task(work()) for work in (upload, upload_each)]
    await drawn.wait()
    await session.close()
    for work in uploads:
        with pytest.raises(SessionClosedError):
            await work


async def test_a_close_lets_go_of_a_submission_that_waits_for_its_slot(slow: Sandbox) -> None:
    session = session_of(slow, limits=AccountLimits(active_jobs=1), max_credits=100)
    request = await request_of(session)
    await session.submit(request)
    waiting = asyncio.create_task(session.submit(request))
    await asyncio.sleep(0)
    await session.close()
    with pytest.raises(SessionClosedError):
        await waiting
    assert slow.books.jobs_created == 1
    assert session.in_doubt == ()
    assert session._runtime.budget.spent == request.credits


async def test_a_close_inside_every_kind_of_loop_ends_the_loop(slow: Sandbox) -> None:
    async with session_of(slow) as other:
        request = await request_of(other)

    session = session_of(slow)
    job = await session.submit(request)
    with pytest.raises(SessionClosedError):
        await closed_inside(session, job.events())

    session = session_of(slow)
    async with session.notifications() as feed:
        await session.submit(request)
        seen = 0
        async for _ in feed:
            seen += 1
            await session.close()
    assert seen >= 1

    session = session_of(slow, upload_concurrency=1)
    with pytest.raises(SessionClosedError):
        await closed_inside(session, session.upload_each([PICTURE] * 5))


async def test_a_source_may_close_the_session_that_reads_it(slow: Sandbox) -> None:
    """The close does not wait for the upload that waits for the close."""
    session = session_of(slow)

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(1000)
        await session.close()
        yield bytes(1000)

    async with asyncio.timeout(10):
        with pytest.raises(SessionClosedError):
            await session.upload_many([StreamSource(chunks(), 2000)])
    await session.close()


async def test_pending_acknowledgements_are_waited_for() -> None:
    faults = Faults(acks_fail=3)
    async with Sandbox(render=False, seconds_per_image=0, limits=False, faults=faults) as sandbox:
        async with session_of(sandbox) as session:
            await (await session.submit(await request_of(session)))
        assert faults.counts["acks_fail"] == 3
        assert sandbox.books.notifications_outstanding == ()


async def test_a_cancelled_close_waits_for_no_acknowledgement() -> None:
    faults = Faults(acks_fail=1_000_000)
    patient = attrs.evolve(QUICK, close_wait=3600.0)
    async with Sandbox(render=False, seconds_per_image=0, limits=False, faults=faults) as sandbox:
        session = session_of(sandbox, stream=patient)
        await (await session.submit(await request_of(session)))
        closing = asyncio.create_task(session.close())
        await turns(lambda: session.stream_state == "closed")
        assert not (await asyncio.wait((closing,), timeout=0.1))[0]
        closing.cancel()
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await closing
        assert not [each for each in asyncio.all_tasks() if each.get_name().startswith("piktid")]


async def test_a_submission_that_gives_up_waiting_leaves_the_queue(slow: Sandbox) -> None:
    async with session_of(slow, limits=AccountLimits(active_jobs=1)) as session:
        request = await request_of(session)
        await session.submit(request)
        for _ in range(3):
            waiting = asyncio.create_task(session.submit(request))
            await turns(lambda: bool(session.limits.waiting))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not session.limits.waiting
    assert session.in_doubt == ()


# Nested blocks


async def test_the_last_block_that_is_left_closes_the_session(slow: Sandbox) -> None:
    session = session_of(slow)
    async with session as outer:
        async with session as inner:
            assert inner is outer
            job = await session.submit(await request_of(session))
        assert (await job.fetch_status()).status != ""
        assert session.stream_state == "live"
    with pytest.raises(SessionClosedError):
        await job.fetch_status()


async def test_blocks_of_several_tasks_count_together(slow: Sandbox) -> None:
    session = session_of(slow)
    go_on = asyncio.Event()

    async def work(patient: bool) -> str:
        async with session:
            if patient:
                await go_on.wait()
            return (await session.projects.ensure("closing")).project_name

    patient = asyncio.create_task(work(True))
    assert await work(False) == "closing"
    go_on.set()
    assert await patient == "closing"
    assert session.stream_state == "closed"


async def test_an_explicit_close_closes_whatever_blocks_are_open(slow: Sandbox) -> None:
    session = session_of(slow)
    async with session:
        async with session:
            await session.projects.ensure("closing")
            await session.close()
            with pytest.raises(SessionClosedError):
                await session.projects.ensure("closing")
        with pytest.raises(SessionClosedError):
            await session.projects.ensure("closing")
    async with session:
        await session.projects.ensure("closing")


async def test_blocks_of_a_vtryon_session_nest_as_well(slow: Sandbox) -> None:
    session = VtryonSession(slow.vtryon_key, base_url=slow.vtryon_url)
    async with session:
        async with session:
            pass
        assert [task async for task in session.tasks()] == []
    with pytest.raises(SessionClosedError):
        await anext(session.tasks())


async def test_a_time_limit_that_is_just_over_is_not_taken_for_the_end() -> None:
    """It counts as a cancellation until the task takes it back; nobody else has cancelled it."""

    over = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    async def tend() -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.gather(work())

    task = asyncio.create_task(tend())
    await over.wait()
    assert task.cancelling()
    async with asyncio.timeout(5):
        await stop([task])
    assert task.cancelled()


async def test_what_is_in_a_time_out_of_its_own_in_this_very_moment_is_stopped_as_well(
    piktid_clock: ManualClock,
) -> None:
    """While a time-out expires, a task looks as if it had been cancelled already."""
    loop, go = asyncio.get_running_loop(), asyncio.Event()

    async def tends() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def stops(task: asyncio.Task[None]) -> int:
        await go.wait()
        pending = task.cancelling()
        await stop([task])
        return pending

    tending = asyncio.create_task(tends())
    stopping = asyncio.create_task(stops(tending))
    loop.call_later(1.5, go.set)  # due in the same turn of the loop, and before the time-out
    await piktid_clock.advance(2, step=2)
    assert stopping.done(), "a task was left running"
    assert await stopping == 1
    assert tending.cancelled()
