"""The clock of the test kit, and what of session and sandbox goes by it."""

from __future__ import annotations

import asyncio
import time

import pytest

from piktid_async import AccountLimits, GarmentRecolor, RateLimitError, Session, testing
from piktid_async.sandbox import Faults, Sandbox, SandboxLimits
from piktid_async.sandbox.imaging import sample_photos
from piktid_async.testing import ManualClock


async def recoloring(session: Session) -> GarmentRecolor:
    project = await session.projects.ensure("clock")
    image = await session.upload(sample_photos(1, size=200)[0].data, filename="front.jpg")
    return GarmentRecolor(project=project, images=[image], reference_text="navy")


async def test_it_stands_until_it_is_put_forward(piktid_clock: ManualClock) -> None:
    began, loop = piktid_clock(), asyncio.get_running_loop()
    waits = [asyncio.create_task(asyncio.sleep(seconds)) for seconds in (3, 4, 4.5)]
    await piktid_clock.advance(0)
    assert time.monotonic() == loop.time() == piktid_clock() == began
    await piktid_clock.advance(4)
    assert [wait.done() for wait in waits] == [True, True, False]
    await piktid_clock.advance(0.5)
    assert waits[2].done()
    assert piktid_clock() == began + 4.5


async def test_what_falls_due_on_the_way_waits_from_then_on(piktid_clock: ManualClock) -> None:
    seen = []

    async def every_ten_seconds() -> None:
        for _ in range(3):
            await asyncio.sleep(10)
            seen.append(piktid_clock() - began)

    began = piktid_clock()
    task = asyncio.create_task(every_ten_seconds())
    await piktid_clock.advance(25)
    assert seen == [10, 20]
    await piktid_clock.advance(5, step=0.5)
    assert seen == [10, 20, 30]
    await task


async def test_until_something_is_done(piktid_clock: ManualClock) -> None:
    began = piktid_clock()
    assert await piktid_clock.until(asyncio.sleep(30, "slept")) == "slept"
    assert piktid_clock() == began + 30
    with pytest.raises(ZeroDivisionError):
        await piktid_clock.until(asyncio.wait_for(divided_by_zero(), 10))


async def divided_by_zero() -> None:
    await asyncio.sleep(1)
    raise ZeroDivisionError


async def test_until_has_an_end(piktid_clock: ManualClock) -> None:
    never = asyncio.create_task(asyncio.sleep(100))
    with pytest.raises(TimeoutError, match="not done within 5 seconds of the clock"):
        await piktid_clock.until(never, at_most=5)
    with pytest.raises(asyncio.CancelledError):
        await never


def test_the_machine_s_clock_is_put_back() -> None:
    real = time.monotonic
    clock = ManualClock()
    with clock:
        assert time.monotonic is clock
        assert clock() == clock()
        clock.release()
        while (shown := clock()) == clock():
            pass
        assert clock() > shown
    assert time.monotonic is real
    with pytest.raises(RuntimeError, match="entered once"), clock:
        pass


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
async def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds from 0"):
        await ManualClock().advance(seconds)


@pytest.mark.piktid_sandbox(faults=Faults(errors=3, on="GET /project"))
async def test_retries_go_by_it(
    piktid_clock: ManualClock, piktid_sandbox: Sandbox, piktid_session: Session
) -> None:
    async def names() -> list[str]:
        return [project.project_name async for project in piktid_session.projects.list()]

    listing = asyncio.create_task(names())
    await piktid_clock.advance(0)
    assert piktid_sandbox.faults.counts["errors"] == 1
    assert await piktid_clock.until(listing) == []
    assert piktid_sandbox.faults.counts["errors"] == 3


@pytest.mark.piktid_sandbox(seconds_per_image=60)
async def test_pictures_time_outs_and_the_stream_go_by_it(
    piktid_clock: ManualClock, piktid_sandbox: Sandbox, piktid_session: Session
) -> None:
    job = await piktid_session.submit(await recoloring(piktid_session))
    waiting = asyncio.create_task(job.result(timeout=30))
    await piktid_clock.advance(30)
    with pytest.raises(TimeoutError):
        await waiting
    await piktid_sandbox.cut_streams()
    assert (await piktid_clock.until(job)).status == "completed"
    assert piktid_sandbox.books.stream_connections == 2


@pytest.mark.piktid_session(limits=AccountLimits(per_minute={"/garment-recolor": 1}))
async def test_the_session_s_limits_go_by_it(
    piktid_clock: ManualClock, piktid_session: Session
) -> None:
    request = await recoloring(piktid_session)
    await piktid_session.run(request)
    second = asyncio.create_task(piktid_session.submit(request))
    await piktid_clock.advance(59)
    assert not second.done()
    await piktid_clock.until(second, at_most=2)


@pytest.mark.piktid_sandbox(limits=SandboxLimits(per_minute={"/garment-recolor": 1}))
@pytest.mark.piktid_session(max_retries=0)
async def test_the_sandbox_s_limits_go_by_it(
    piktid_clock: ManualClock, piktid_sandbox: Sandbox, piktid_session: Session
) -> None:
    request = await recoloring(piktid_session)
    await piktid_session.run(request)
    body = {"project_id": request.project_id, "images": list(request.input_ids)}
    body |= {"reference_text": "navy"}
    with pytest.raises(RateLimitError):
        await piktid_session.request("POST", "/garment-recolor", json=body)
    await piktid_clock.advance(60)
    await piktid_session.request("POST", "/garment-recolor", json=body)
    assert piktid_sandbox.books.jobs_created == 2


def test_the_clock_says_once_that_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(testing, "STANDING", 0.01)
    with ManualClock() as clock:
        clock._alarm.join()
    assert capsys.readouterr().err.count("await piktid_clock.advance(...)") == 1
