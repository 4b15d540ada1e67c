"""Waiting for tasks: many waiters, impatient ones, closed doors."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from piktid_async import (
    JobFailedError,
    JobTimeoutError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    SessionClosedError,
)
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.vtryon import TaskResult, VtryonSession
from piktid_async.vtryon.service import pause
from tests.transport.servers import Exchange, serve
from tests.vtryon.support import BLUE, CREATIONS, FAILING, POLLS, QUICK, MakeSandbox, MakeSession


async def test_a_task_is_made_polled_and_done(sandbox: Sandbox, session: VtryonSession) -> None:
    task = await session.recolor(BLUE)
    assert (task.id, task.status, task.done, task.result_url) == (501, "queued", False, None)
    result = await task
    assert isinstance(result, TaskResult)
    assert (result.id, result.status) == (501, "completed")
    assert task.done
    assert task.result_url == result.result_url
    assert await task.result() is result
    assert repr(task) == "<Task 501 completed>"
    assert sandbox.books.vtryon.requests[CREATIONS] == 1


class Scripted:
    """A service whose one task has the statuses of a script, one for each look."""

    def __init__(self, *statuses: str | int) -> None:
        self.statuses = list(statuses)
        self.polls = 0
        self.polled = asyncio.Event()
        self.held: asyncio.Event | None = None

    async def __call__(self, exchange: Exchange) -> None:
        self.polls += 1
        self.polled.set()
        if self.held is not None:
            await self.held.wait()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(status, int):
            await exchange.answer_json({"detail": "no"}, status)
        else:
            await exchange.answer_json({"id": 7, "status": status, "result_url": None})


async def test_ten_waiters_share_one_polling_loop() -> None:
    service = Scripted("queued", "pending", "processing", "completed")
    async with (
        serve(service) as server,
        VtryonSession("k", base_url=server.url, poll_interval=QUICK) as session,
    ):
        waiters = [asyncio.create_task(session.task(7).result()) for _ in range(10)]
        results = await asyncio.gather(*waiters)
    assert all(result is results[0] for result in results)
    assert service.polls == 4
    assert server.connections == 1


async def test_one_id_is_one_object_while_somebody_holds_it(session: VtryonSession) -> None:
    task = await session.recolor(BLUE)
    assert session.task(task.id) is task
    assert task.status == "queued"  # picking it up again forgets nothing
    assert [each async for each in session.tasks()] == [task]


async def test_a_status_that_is_new_tomorrow_ends_nothing() -> None:
    service = Scripted("upscaling", "reviewing", "completed")
    async with (
        serve(service) as server,
        VtryonSession("k", base_url=server.url, poll_interval=QUICK) as session,
    ):
        assert (await session.task(7)).status == "completed"
    assert service.polls == 3


async def test_a_failed_task_raises_with_its_reason_and_asks_no_more(
    sandbox: Sandbox, session: VtryonSession
) -> None:
    task = await session.recolor(FAILING)
    for _ in range(2):
        with pytest.raises(JobFailedError, match="couldn't find the hat") as caught:
            await task
    assert caught.value.job_id == "501"
    assert pickle.loads(pickle.dumps(caught.value)).job_id == "501"
    assert task.status == "failed"
    assert task.done


async def test_a_timeout_leaves_the_task_usable_and_stops_asking() -> None:
    service = Scripted("processing")
    async with (
        serve(service) as server,
        VtryonSession("k", base_url=server.url, poll_interval=QUICK) as session,
    ):
        task = session.task(7)
        with pytest.raises(JobTimeoutError, match="can be awaited again") as caught:
            await task.result(timeout=0.1)
        assert caught.value.job_id == "7"
        assert isinstance(caught.value, TimeoutError)
        assert task._polling is None
        asked = service.polls
        service.statuses = ["completed"]
        assert (await task).status == "completed"
        # One more, if the wait ended while a request was under way that the server counts later.
        assert service.polls in (asked + 1, asked + 2)


async def test_impatient_waits_in_a_row_keep_the_pace() -> None:
    service = Scripted("processing")
    async with (
        serve(service) as server,
        VtryonSession("k", base_url=server.url, poll_interval=60.0) as session,
    ):
        task = session.task(7)
        await task.fetch_status()
        waiting = asyncio.create_task(task.result())
        await server.until(lambda: service.polls == 2)
        waiting.cancel()
        for _ in range(5):
            with pytest.raises(JobTimeoutError):
                await task.result(timeout=0.01)
    assert service.polls == 2


async def test_a_cancelled_waiter_disturbs_neither_the_task_nor_the_others() -> None:
    service = Scripted("completed")
    service.held = asyncio.Event()
    async with (
        serve(service) as server,
        VtryonSession("k", base_url=server.url, poll_interval=QUICK) as session,
    ):
        impatient = asyncio.create_task(session.task(7).result())
        patient = asyncio.create_task(session.task(7).result())
        await service.polled.wait()
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        service.held.set()
        assert (await patient).status == "completed"
    assert service.polls == 1


async def test_the_last_waiter_takes_the_polling_along_and_the_next_begins_anew() -> None:
    service = Scripted("completed")
    service.held = asyncio.Event()
    async with (
        serve(service) as server,
        VtryonSession("k", base_url=server.url, poll_interval=QUICK) as session,
    ):
        task = session.task(7)
        only = asyncio.create_task(task.result())
        await service.polled.wait()
        only.cancel()
        # In the same step: the old loop is still on its way out.
        next_one = asyncio.create_task(task.result())
        with pytest.raises(asyncio.CancelledError):
            await only
        service.held.set()
        assert (await next_one).status == "completed"


async def test_an_outage_delays_the_end_and_ends_nothing(
    make_sandbox: MakeSandbox, make_session: MakeSession
) -> None:
    faults = Faults(vtryon_poll_errors=3)
    async with (
        make_sandbox(faults=faults) as sandbox,
        make_session(sandbox, max_retries=0) as session,
    ):
        task = await session.recolor(BLUE)
        assert (await task).status == "completed"
    assert faults.counts["vtryon_poll_errors"] == 3


async def test_one_look_alone_is_repeated_and_then_told(
    make_sandbox: MakeSandbox, make_session: MakeSession
) -> None:
    async with (
        make_sandbox(faults=Faults(vtryon_poll_errors=1)) as sandbox,
        make_session(sandbox, max_retries=1) as session,
    ):
        task = await session.recolor(BLUE)
        assert (await task.fetch_status()).id == task.id
        sandbox.faults.vtryon_poll_errors = 2
        with pytest.raises(ServerError):
            await task.fetch_status()


async def test_a_task_that_does_not_exist_is_told_to_all_and_asked_again_by_the_next(
    sandbox: Sandbox, session: VtryonSession
) -> None:
    task = session.task(501)
    assert task.status == "unknown"
    outcomes = await asyncio.gather(*(task.result() for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NotFoundError] * 3
    assert sandbox.books.vtryon.requests[POLLS] == 1
    await session.recolor(BLUE)
    assert (await task).status == "completed"


async def test_a_wrong_key_ends_the_wait(sandbox: Sandbox) -> None:
    async with VtryonSession("wrong", base_url=sandbox.vtryon_url) as session:
        with pytest.raises(PermissionDeniedError):
            await session.task(501)


async def test_closing_wakes_who_waits_and_leaves_the_task_at_the_service(
    make_sandbox: MakeSandbox, make_session: MakeSession
) -> None:
    async with make_sandbox(vtryon_seconds=0.3) as sandbox:
        session = make_session(sandbox)
        task = await session.recolor(BLUE)
        waiting = [asyncio.create_task(task.result()) for _ in range(2)]
        await asyncio.sleep(0)
        await session.close()
        for each in waiting:
            with pytest.raises(SessionClosedError):
                await each
        async with session:
            assert (await session.task(501)).status == "completed"


def test_the_pace_is_three_to_five_seconds_for_the_default_of_four() -> None:
    assert pause(4.0, lambda: 0.0) == 3.0
    assert pause(4.0, lambda: 1.0) == 5.0


async def test_a_new_task_is_not_asked_after_before_its_first_pause(sandbox: Sandbox) -> None:
    async with VtryonSession(sandbox.vtryon_key, base_url=sandbox.vtryon_url) as session:
        task = await session.recolor(BLUE)
        with pytest.raises(JobTimeoutError):
            await task.result(timeout=0.05)
    assert POLLS not in sandbox.books.vtryon.requests


async def test_an_answer_that_the_end_overtook_changes_nothing(session: VtryonSession) -> None:
    task = await session.recolor(BLUE)
    result = await task
    task._read(TaskResult(id=task.id, status="processing"))
    assert await task is result
