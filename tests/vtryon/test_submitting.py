"""Each creation makes a task, so it is sent once, and what is lost is never guessed."""

from __future__ import annotations

import asyncio
import logging
import pickle

import pytest

from piktid_async import (
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    SubmissionUnknownError,
)
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.vtryon import ColorChange, Recolor, VtryonSession
from tests.transport.servers import Exchange, free_port, serve
from tests.vtryon.support import BLUE, CREATIONS, MakeSandbox, MakeSession


async def test_a_lost_answer_is_not_sent_again_and_the_new_task_is_named_not_taken(
    make_sandbox: MakeSandbox, make_session: MakeSession
) -> None:
    async with (
        make_sandbox(faults=Faults(vtryon_create_lost=1)) as sandbox,
        make_session(sandbox) as session,
    ):
        with pytest.raises(SubmissionUnknownError, match="unknown whether") as caught:
            await session.recolor(BLUE)
        assert caught.value.request is BLUE
        assert sandbox.books.vtryon.requests[CREATIONS] == 1
        with pytest.raises(SubmissionUnknownError, match=r"did not know \(501\)"):
            await caught.value.reconcile()
        copy = pickle.loads(pickle.dumps(caught.value))
        assert copy.request == BLUE
        with pytest.raises(ConfigurationError):
            await copy.reconcile()


async def test_reconcile_tells_that_there_is_no_task_at_all() -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.body()
        if exchange.method == "POST":
            exchange.reset()
        else:
            await exchange.answer_json({"count": 0, "next": None, "results": []})

    async with serve(broken) as server, VtryonSession("k", base_url=server.url) as session:
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.recolor(BLUE)
        assert await caught.value.reconcile() is None
    assert len(server.seen("POST")) == 1


async def test_tasks_that_were_listed_before_are_no_strangers(
    make_sandbox: MakeSandbox, make_session: MakeSession
) -> None:
    faults = Faults()
    async with make_sandbox(faults=faults) as sandbox:
        async with make_session(sandbox) as first:
            for _ in range(3):
                await first.recolor(BLUE)
        async with make_session(sandbox) as session:
            assert len([task async for task in session.tasks(page_size=2)]) == 3
            faults.vtryon_create_lost = 1
            with pytest.raises(SubmissionUnknownError) as caught:
                await session.recolor(BLUE)
            with pytest.raises(SubmissionUnknownError, match=r"\(504\)"):
                await caught.value.reconcile()
            await session.delete(504)
            assert await caught.value.reconcile() is None


@pytest.mark.parametrize("status", [500, 502, 503, 408, 409, 200])
async def test_an_answer_that_does_not_say_whether_is_in_doubt_and_not_repeated(
    status: int,
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer_json({"unexpected": True}, status)

    async with serve(answer) as server, VtryonSession("k", base_url=server.url) as session:
        with pytest.raises(SubmissionUnknownError):
            await session.recolor(BLUE)
    assert len(server.requests) == 1


async def test_a_timeout_after_the_request_left_is_in_doubt() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.gone()

    async with (
        serve(silent) as server,
        VtryonSession("k", base_url=server.url, timeout=0.2) as session,
    ):
        with pytest.raises(SubmissionUnknownError, match="no answer in time"):
            await session.recolor(BLUE)
    assert len(server.requests) == 1


async def test_a_server_that_is_not_there_was_certainly_not_asked() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with VtryonSession("k", base_url=url, max_retries=1) as session:
        with pytest.raises(ConnectionFailedError) as caught:
            await session.recolor(BLUE)
    assert not caught.value.sent


async def test_a_429_is_told_and_not_repeated() -> None:
    async def busy(exchange: Exchange) -> None:
        await exchange.answer_json({"detail": "slow down"}, 429, [("Retry-After", "7")])

    async with serve(busy) as server, VtryonSession("k", base_url=server.url) as session:
        with pytest.raises(RateLimitError, match="slow down") as caught:
            await session.recolor(BLUE)
    assert caught.value.retry_after == 7
    assert len(server.requests) == 1


async def test_a_refusal_is_told_in_the_service_s_words(
    sandbox: Sandbox, session: VtryonSession
) -> None:
    change = ColorChange("blouse", "red")
    with pytest.raises(NotFoundError, match="there is no task 1"):
        await session.recolor(Recolor(pose_image_generation_id=1, color_changes=[change]))
    refused = Recolor(pose_image_generation_id=936, color_changes=[change])
    object.__setattr__(refused, "image_quality", "8k")
    with pytest.raises(BadRequestError, match="image_quality"):
        await session.recolor(refused)
    assert sandbox.books.vtryon.tasks == {}


async def test_what_is_no_recolor_is_refused_by_name(session: VtryonSession) -> None:
    with pytest.raises(InvalidRequestError, match="request: takes a Recolor, not dict"):
        await session.recolor({"color_changes": []})  # type: ignore[arg-type]


async def test_cancelling_while_it_is_under_way_is_logged_since_a_task_may_exist(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = asyncio.Event()

    async def silent(exchange: Exchange) -> None:
        await exchange.body()
        asked.set()
        await exchange.gone()

    async with serve(silent) as server, VtryonSession("k", base_url=server.url) as session:
        submitting = asyncio.create_task(session.recolor(BLUE))
        await asked.wait()
        with caplog.at_level(logging.WARNING, "piktid_async"):
            submitting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await submitting
    assert "the task may exist" in caplog.text
