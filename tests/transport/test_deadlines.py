from __future__ import annotations

import asyncio

import pytest

from piktid_async.transport._deadlines import Deadlines


async def test_block_that_stands_still_is_ended_in_time() -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with deadlines.within(0.05):
            await asyncio.Event().wait()
    assert loop.time() - began >= 0.05


async def test_block_that_moves_goes_on_and_one_that_ends_leaves_no_cancellation() -> None:
    deadlines = Deadlines()
    async with deadlines.within(0.2) as limit:
        for _ in range(4):
            await asyncio.sleep(0.1)
            limit.moved()
    await asyncio.sleep(0.25)  # past the limit of the block that has ended


async def test_each_ends_at_its_own_time_whichever_was_begun_first() -> None:
    deadlines, ended = Deadlines(), []

    async def wait(seconds: float) -> None:
        try:
            async with deadlines.within(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append(seconds)

    await asyncio.gather(*(wait(seconds) for seconds in (0.15, 0.05, 0.1, 0.05)))
    assert ended == [0.05, 0.05, 0.1, 0.15]


async def test_cancellation_from_outside_stays_one() -> None:
    deadlines = Deadlines()

    async def wait() -> None:
        async with deadlines.within(10):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_runs_stays_limited_when_the_rest_is_closed() -> None:
    deadlines = Deadlines()

    async def wait() -> None:
        async with deadlines.within(0.05):
            deadlines.close()
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.wait([waiting], timeout=10)
    assert isinstance(waiting.exception(), TimeoutError)


async def test_a_thousand_limits_have_one_timer() -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    begun: list[float] = []
    timer = loop.call_at
    loop.call_at = lambda when, *args, **options: (  # type: ignore[method-assign]
        begun.append(when) or timer(when, *args, **options)  # type: ignore[func-returns-value]
    )
    try:
        for _ in range(1000):
            async with deadlines.within(30):
                pass
    finally:
        loop.call_at = timer  # type: ignore[method-assign]
    assert len(begun) == 1
    deadlines.close()
