"""Whatever happens to a submission, a server that took it made one job, and that job is found."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from piktid_async import (
    AccountLimits,
    ConnectionFailedError,
    GarmentRecolor,
    Job,
    ServerError,
    Session,
    SessionClosedError,
    StreamSettings,
    SubmissionUnknownError,
)
from tests.faults import shop as shops
from tests.faults.faults import FAULTS, NOWHERE, SHORT, Act, Fault, read_and_act, status
from tests.faults.matrix import MATRIX
from tests.faults.shop import Shop
from tests.transport.servers import Exchange, free_port, serve

PRICE = 5.0
BUDGET = 12.0
IN_DOUBT = [
    name for name, fault in FAULTS.items() if MATRIX["submitting a job"][fault.column] == "in doubt"
]
REFUSED = [name for name, fault in FAULTS.items() if fault.column == "refused"]
STREAM = StreamSettings(open_wait=5.0, silent_after=0.2, poll_every=0.05, close_wait=0.1)


def recolor(image: str = "a", color: str = "navy") -> GarmentRecolor:
    return GarmentRecolor(project="p", images=[image], reference_text=color)


def session_of(shop: Shop, token: Any = "token", **options: Any) -> Session:
    chosen: dict[str, Any] = {"stream": False, "limits": AccountLimits.unlimited()}
    chosen |= {"max_credits": BUDGET, "max_retries": 1, **options}
    return Session(token, base_url=shop.server.url, **chosen)


def spent(session: Session) -> float:
    return session._runtime.budget.spent


@asynccontextmanager
async def open_shop(*faults: Fault) -> AsyncIterator[Shop]:
    async with shops.opened(*(fault.do for fault in faults)) as shop:
        yield shop


# Ambiguous


@pytest.mark.parametrize("name", IN_DOUBT)
async def test_what_may_have_been_taken_is_sent_once_and_found_if_it_was(name: str) -> None:
    fault = FAULTS[name]
    async with open_shop(fault) as shop, session_of(shop, timeout=fault.patience) as session:
        request = recolor()
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(request)
        error = caught.value
        assert shop.submissions == 1
        assert len(shop.jobs) == fault.acts
        assert error.request is request
        assert not error.retryable
        assert spent(session) == PRICE
        (listed,) = session.in_doubt
        assert listed.request is request
        job = await error.reconcile()
        if not fault.acts:
            assert job is None
            assert len(session.in_doubt) == 1
            return
        assert job is not None
        assert job.id in shop.jobs
        assert (await job.result(10)).status == "completed"
        assert await listed.reconcile() is job
        assert session.in_doubt == ()
        assert spent(session) == PRICE
        assert shop.submissions == 1


async def test_a_job_that_is_listed_nowhere_is_found_by_its_events() -> None:
    async with open_shop(FAULTS["reset after it acted"]) as shop:
        shop.gallery = False
        async with session_of(shop, stream=STREAM) as session:
            with pytest.raises(SubmissionUnknownError) as caught:
                await session.submit(recolor())
            assert await caught.value.reconcile() is None
            async with session.notifications() as feed:
                await shop.tell("job-1")
                assert (await anext(feed)).job_id == "job-1"
            job = await caught.value.reconcile()
            assert job is not None
            assert job.id == "job-1"


async def test_a_connection_that_was_kept_and_breaks_under_a_submission_leaves_it_in_doubt() -> (
    None
):
    async with open_shop(FAULTS["reset before it was read"]) as shop, session_of(shop) as session:
        await session.request("GET", "/gallery/by-job")
        with pytest.raises(SubmissionUnknownError):
            await session.submit(recolor())
        assert shop.server.connections == 1
        assert shop.submissions == 1


async def test_a_connection_that_was_seen_to_close_is_not_used_for_a_submission() -> None:
    async with open_shop() as shop, session_of(shop) as session:
        await session.request("GET", "/gallery/by-job")
        shop.server.requests[0].hang_up()
        await shop.server.until(lambda: shop.server.open == 0)
        await asyncio.sleep(0)  # the client reads the end
        await session.submit(recolor())
        assert shop.submissions == len(shop.jobs) == 1


# Certain


@pytest.mark.parametrize(
    "name", [name for name, fault in FAULTS.items() if fault.column == "refused"]
)
async def test_what_was_refused_costs_nothing_and_is_not_in_doubt(name: str) -> None:
    async with open_shop(FAULTS[name]) as shop, session_of(shop) as session:
        with pytest.raises(FAULTS[name].error):
            await session.submit(recolor())
        assert shop.submissions == 1
        assert not shop.jobs
        assert spent(session) == 0
        assert session.in_doubt == ()


@pytest.mark.parametrize("nowhere", NOWHERE)
async def test_what_never_left_costs_nothing_and_is_not_in_doubt(nowhere: str) -> None:
    async with NOWHERE[nowhere]() as where, open_shop() as shop:
        shop.server.url = where
        async with session_of(shop, timeout=SHORT, max_retries=0) as session:
            with pytest.raises(ConnectionFailedError) as caught:
                await session.submit(recolor())
            assert not caught.value.sent
            assert spent(session) == 0
            assert session.in_doubt == ()


class SourceError(Exception):
    """What a token source of the user's may raise."""


@pytest.mark.parametrize(
    "error",
    [
        SourceError("no vault"),
        ServerError(503, "POST /auth/login"),
        ConnectionFailedError("POST /auth/login", "the answer broke off"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("asked", [1, 2])
async def test_a_token_source_that_fails_leaves_nothing_in_doubt(
    error: Exception, asked: int
) -> None:
    calls = []

    async def source() -> str:
        calls.append(1)
        if len(calls) == asked:
            raise error
        return "token"

    async with (
        shops.opened(status(401)) as shop,
        session_of(shop, token=source, max_retries=0) as session,
    ):
        with pytest.raises(type(error)) as caught:
            await session.submit(recolor())
        assert caught.value is error
        assert shop.submissions == asked - 1
        assert spent(session) == 0
        assert session.in_doubt == ()


# Given up by the caller


async def hold_before(exchange: Exchange, act: Act) -> None:
    await exchange.gone()


async def hold_after(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    await exchange.gone()


async def hold_half_an_answer(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    await exchange.head(202, [("Content-Length", "100")])
    await exchange.send(b'{"job_id": "job-1"')
    await exchange.gone()


HOLDS = [hold_before, hold_after, hold_half_an_answer]


@pytest.mark.parametrize("hold", HOLDS)
async def test_a_submission_that_is_cancelled_under_way_is_remembered(hold: Any) -> None:
    async with shops.opened(hold) as shop, session_of(shop) as session:
        request = recolor()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await session.submit(request)
        assert shop.submissions == 1
        (doubt,) = session.in_doubt
        assert doubt.request is request
        assert "given up before the answer" in str(doubt)
        assert spent(session) == PRICE
        job = await doubt.reconcile()
        assert (job is not None) == bool(shop.jobs)
        assert len(session.in_doubt) == (job is None)


async def test_cancelling_a_submission_that_has_not_left_costs_nothing() -> None:
    asked = asyncio.Event()

    async def source() -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with open_shop() as shop, session_of(shop, token=source) as session:
        submitting = asyncio.create_task(session.submit(recolor()))
        await asked.wait()
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)
        assert spent(session) == 0
        assert session.in_doubt == ()
        assert shop.submissions == 0


@pytest.mark.parametrize("seed", range(4))
async def test_cancelled_at_any_step_a_submission_is_told_or_remembered_or_was_never_made(
    seed: int,
) -> None:
    """Whatever jobs there are, the session knows of each, and its budget counts no others."""
    rng = random.Random(seed)
    async with open_shop() as shop, session_of(shop, max_credits=10_000) as session:
        await session.request("GET", "/gallery/by-job")
        told: set[str] = set()
        for number in range(60):
            submitting = asyncio.create_task(session.submit(recolor(f"image-{number}")))
            for _ in range(int(rng.expovariate(0.2))):
                await asyncio.sleep(0)
            submitting.cancel()
            with suppress(asyncio.CancelledError):
                told.add((await submitting).id)
        doubts = session.in_doubt
        assert spent(session) == PRICE * (len(told) + len(doubts))
        found = {job.id for doubt in doubts if (job := await doubt.reconcile()) is not None}
        assert not told & found
        assert told | found == set(shop.jobs)
        # All three were tried: answered, under way, not even begun.
        assert told
        assert found
        assert len(told) + len(doubts) < 60


@pytest.mark.parametrize("hold", HOLDS)
async def test_closing_the_session_under_way_leaves_a_doubt_that_it_can_settle_when_reopened(
    hold: Any,
) -> None:
    async with shops.opened(hold) as shop:
        session = session_of(shop)
        async with session:
            submitting = asyncio.create_task(session.submit(recolor()))
            await shop.came.wait()
        with pytest.raises(SubmissionUnknownError) as caught:
            await submitting
        with pytest.raises(SessionClosedError):
            await caught.value.reconcile()
        async with session:
            job = await caught.value.reconcile()
            assert (job is not None) == bool(shop.jobs)
        assert shop.submissions == 1


async def test_closing_the_session_ends_those_who_wait_for_their_turn() -> None:
    async with open_shop() as shop:
        ours = AccountLimits(active_jobs=1, per_minute={})
        session = session_of(shop, limits=ours)
        async with session:
            shop.do.append(hold_after)
            under_way = asyncio.create_task(session.submit(recolor("a")))
            waiting = asyncio.create_task(session.submit(recolor("b")))
            await shop.came.wait()
        outcomes = await asyncio.gather(under_way, waiting, return_exceptions=True)
        assert [type(each) for each in outcomes] == [SubmissionUnknownError, SessionClosedError]
        assert spent(session) == PRICE
        assert shop.submissions == 1


def test_a_submission_whose_loop_has_ended_is_found_in_the_next_one() -> None:
    books: dict[str, Any] = {}
    port = free_port()
    where = f"http://127.0.0.1:{port}"
    session = Session("token", base_url=where, stream=False, max_credits=BUDGET)
    stack = AsyncExitStack()

    async def begin() -> asyncio.Task[Job]:
        shop = await stack.enter_async_context(shops.opened(hold_after, port=port, jobs=books))
        submitting = asyncio.create_task(session.submit(recolor()))
        await shop.came.wait()
        return submitting

    async def find() -> Job | None:
        async with shops.opened(port=port, jobs=books), session:
            (doubt,) = session.in_doubt
            return await doubt.reconcile()

    loop = asyncio.new_event_loop()
    submitting = loop.run_until_complete(begin())
    left = asyncio.all_tasks(loop)
    for task in left:  # as asyncio.run does at its end
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(stack.aclose())
    loop.close()
    assert submitting.cancelled()
    job = asyncio.run(find())
    assert job is not None
    assert list(books) == [job.id]
    assert spent(session) == PRICE


# Never guessed


async def test_a_job_that_fits_two_different_submissions_in_doubt_is_given_to_neither() -> None:
    lost = FAULTS["reset after it acted"], FAULTS["reset before it was read"]
    async with open_shop(*lost) as shop, session_of(shop) as session:
        doubts = []
        for color in ("navy", "red"):
            with pytest.raises(SubmissionUnknownError) as caught:
                await session.submit(recolor(color=color))
            doubts.append(caught.value)
        for doubt in doubts:
            with pytest.raises(SubmissionUnknownError, match="job-1 fits 2 submissions") as again:
                await doubt.reconcile()
            assert again.value.request is doubt.request
        assert len(session.in_doubt) == 2
        assert len(shop.jobs) == 1


async def test_twins_in_doubt_share_out_what_there_is() -> None:
    lost = FAULTS["reset after it acted"], FAULTS["reset before it was read"]
    async with open_shop(*lost) as shop, session_of(shop) as session:
        for _ in range(2):
            with pytest.raises(SubmissionUnknownError):
                await session.submit(recolor())
        found = [await doubt.reconcile() for doubt in session.in_doubt]
        assert [job and job.id for job in found] == ["job-1", None]
        assert len(shop.jobs) == 1


async def test_a_job_whose_answer_is_still_under_way_is_not_taken_for_the_lost_one() -> None:
    answer = asyncio.Event()

    async def late(exchange: Exchange, act: Act) -> None:
        await read_and_act(exchange, act)
        await answer.wait()
        await exchange.answer_json({"job_id": "job-2", "status": "pending"}, 202)

    async with (
        shops.opened(FAULTS["reset before it was read"].do, late) as shop,
        session_of(shop) as session,
    ):
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(recolor())
        shop.came.clear()
        twin = asyncio.create_task(session.submit(recolor()))
        await shop.came.wait()
        looking = asyncio.create_task(caught.value.reconcile())
        await shop.server.until(lambda: len(shop.server.requests) == 3)
        answer.set()
        assert await looking is None
        assert (await twin).id == "job-2"


async def test_what_is_found_waits_for_what_was_asked_for() -> None:
    async with open_shop(FAULTS["reset after it acted"]) as shop, session_of(shop) as session:
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(recolor(), wait_for_post_processing=True)
        job = await caught.value.reconcile()
        assert job is not None
        assert job._finishing


# A promotion costs credits, too; calling again tells whether it was done


@pytest.mark.parametrize("do", [*HOLDS, FAULTS["reset after it acted"].do])
async def test_a_promotion_that_may_have_been_done_counts_as_spent(do: Any) -> None:
    came = asyncio.Event()

    async def act() -> None:
        """The promotion is done."""

    async def handle(exchange: Exchange) -> None:
        came.set()
        await do(exchange, act)

    async with serve(handle) as server:
        async with Session("token", base_url=server.url, stream=False, max_credits=60) as session:
            promoting = asyncio.create_task(session.identities.promote(1))
            await came.wait()
            if do in HOLDS:
                promoting.cancel()
            await asyncio.gather(promoting, return_exceptions=True)
            assert spent(session) == 50
        assert len(server.requests) == 1


async def test_a_promotion_that_certainly_was_not_done_costs_nothing() -> None:
    async def refused(exchange: Exchange) -> None:
        await exchange.answer_json({"error": "No."}, 401)

    async def source() -> str:
        if server.requests:
            raise SourceError("no vault")
        return "token"

    async with (
        serve(refused) as server,
        Session(source, base_url=server.url, stream=False, max_credits=60) as session,
    ):
        with pytest.raises(SourceError):
            await session.identities.promote(1)
        assert spent(session) == 0
        assert len(server.requests) == 1
