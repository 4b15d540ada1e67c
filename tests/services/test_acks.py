from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from piktid_async import Session, acks
from piktid_async.acks import Acknowledger
from piktid_async.errors import AuthenticationError, ConnectionFailedError
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.messages import Request, Response
from piktid_async.sandbox import Sandbox
from piktid_async.transport.retrying import Caller
from tests.services.process import tasks, turns


@attrs.define(eq=False)
class Scripted:
    """A transport whose answers are a function of the request."""

    answer: Callable[[int], Response | Exception] = lambda _: Response(status=200)
    asked: Counter[int] = attrs.field(factory=Counter)
    under_way: int = 0
    most_under_way: int = 0
    gate: asyncio.Event | None = None

    async def send(self, request: Request) -> Response:
        assert request.method == "DELETE"
        number = int(request.path.removeprefix("/notifications/"))
        self.asked[number] += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
            answer = self.answer(number)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.under_way -= 1


@asynccontextmanager
async def acknowledger(transport: Scripted) -> AsyncIterator[Acknowledger]:
    made = Acknowledger(Caller(transport, 0, Backoff(base=0.0)))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.aclose()
        assert not tasks("piktid ack")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acks, "AGAIN", Backoff(base=0.002, cap=0.01))
    monkeypatch.setattr(acks, "AGAIN_WHILE_CLOSING", Backoff(base=0.002, cap=0.01))


def broken(times: int, error: Exception | Response) -> Callable[[int], Response | Exception]:
    """Fail so many times for each notification."""
    seen: Counter[int] = Counter()

    def answer(number: int) -> Response | Exception:
        seen[number] += 1
        return error if seen[number] <= times else Response(status=200)

    return answer


async def test_thousand_acknowledgements_go_out_once_each_and_so_many_at_a_time() -> None:
    transport = Scripted(gate=asyncio.Event())
    async with acknowledger(transport) as made:
        made.add(range(1000))
        assert made.pending == 1000
        await turns(lambda: transport.under_way == acks.WORKERS)
        assert transport.gate is not None
        transport.gate.set()
        await made.flush(5.0)
        assert made.pending == 0
    assert transport.asked == Counter(range(1000))
    assert transport.most_under_way == acks.WORKERS


async def test_adding_never_waits_and_never_sends_by_itself() -> None:
    transport = Scripted()
    async with acknowledger(transport) as made:
        made.add([1, 2, 3])
        assert not transport.asked
        await made.flush(5.0)


async def test_replayed_notification_that_is_pending_is_not_doubled() -> None:
    transport = Scripted(gate=asyncio.Event())
    async with acknowledger(transport) as made:
        made.add([1, 1])
        await turns(lambda: transport.under_way == 1)
        made.add([1])
        assert made.pending == 1
        assert transport.gate is not None
        transport.gate.set()
        await made.flush(5.0)
        await turns(lambda: not made._queue.qsize())
        assert transport.asked == {1: 1}
        # A replay after that means that the DELETE was lost: once more.
        made.add([1])
        await made.flush(5.0)
    assert transport.asked == {1: 2}


async def test_too_many_are_left_to_be_replayed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acks, "LIMIT", 5)
    transport = Scripted()
    async with acknowledger(transport) as made:
        made.add(range(8))
        assert made.pending == 5
        await made.flush(5.0)
        made.add([7])
        await made.flush(5.0)
    assert transport.asked == Counter([0, 1, 2, 3, 4, 7])
    assert "5 acknowledgements are pending; 3 more are left" in caplog.text


@pytest.mark.parametrize("status", [200, 204, 404, 410])
async def test_gone_is_as_good_as_deleted(status: int, caplog: pytest.LogCaptureFixture) -> None:
    transport = Scripted(lambda _: Response(status=status))
    async with acknowledger(transport) as made:
        made.add([1])
        await made.flush(5.0)
        assert made.pending == 0
    assert transport.asked == {1: 1}
    assert not caplog.records


@pytest.mark.parametrize(
    "error",
    [
        Response(status=500),
        Response(status=429),
        ConnectionFailedError("DELETE", "broke"),
        LookupError("the token's vault is sealed"),
    ],
    ids=["500", "429", "connection", "token source"],
)
async def test_failed_acknowledgement_is_tried_again(error: Any) -> None:
    transport = Scripted(broken(3, error))
    async with acknowledger(transport) as made:
        made.add(range(100))
        await turns(lambda: made._idle.is_set(), most=1_000_000)
    assert transport.asked == Counter(dict.fromkeys(range(100), 4))


async def test_acknowledgement_that_always_fails_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = Scripted(lambda _: Response(status=500))
    async with acknowledger(transport) as made:
        made.add([1])
        await made.flush(5.0)
        assert made.pending == 0
    assert transport.asked == {1: acks.ATTEMPTS}
    assert "notification 1 is left unacknowledged: 500 on DELETE" in caplog.text


async def test_refused_acknowledgement_is_given_up_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = Scripted(lambda _: Response(status=401))
    async with acknowledger(transport) as made:
        made.add([1, 2])
        await made.flush(5.0)
    assert transport.asked == {1: 1, 2: 1}
    assert "left unacknowledged: 401" in caplog.text


async def test_one_that_fails_holds_no_other_up() -> None:
    transport = Scripted(lambda number: Response(status=500 if number < acks.WORKERS else 200))
    async with acknowledger(transport) as made:
        made.add(range(500))
        await turns(lambda: made.pending <= acks.WORKERS, most=1_000_000)
        assert {number for number, count in transport.asked.items() if count == 1} >= set(
            range(acks.WORKERS, 500)
        )


async def test_flush_tries_what_waits_for_its_next_attempt_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acks, "AGAIN", Backoff(base=1000.0, cap=1000.0))
    monkeypatch.setattr(acks.random, "random", lambda: 1.0)
    transport = Scripted(broken(1, Response(status=500)))
    async with acknowledger(transport) as made:
        made.add([1, 2])
        await turns(lambda: transport.asked == {1: 1, 2: 1} and not transport.under_way)
        assert made.pending == 2
        await made.flush(5.0)
        assert made.pending == 0
    assert transport.asked == {1: 2, 2: 2}


async def test_flush_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    transport = Scripted(gate=asyncio.Event())
    loop = asyncio.get_running_loop()
    async with acknowledger(transport) as made:
        made.add(range(50))
        began = loop.time()
        await made.flush(0.1)
        assert 0.1 <= loop.time() - began < 1.0
        assert made.pending == 50
    assert "50 notifications could not be acknowledged; they will be replayed" in caplog.text


async def test_flush_of_nothing_returns_at_once() -> None:
    async with acknowledger(Scripted()) as made:
        async with asyncio.timeout(1):
            await made.flush(60.0)


async def test_closed_acknowledger_takes_nothing_and_starts_nothing() -> None:
    transport = Scripted()
    async with acknowledger(transport) as made:
        await made.aclose()
        made.add([1])
        assert made.pending == 0
        assert not tasks("piktid ack")
    assert not transport.asked


async def test_explicit_acknowledgement_raises_what_went_wrong() -> None:
    async with acknowledger(Scripted(lambda _: Response(status=401))) as made:
        with pytest.raises(AuthenticationError):
            await made.acknowledge(1)
    async with acknowledger(Scripted(lambda _: Response(status=404))) as made:
        await made.acknowledge(1)


async def test_closing_a_session_with_failing_acknowledgements_ends_in_time(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    from piktid_async import StreamSettings

    caplog.set_level(logging.ERROR, "piktid_async")
    sandbox.faults.acks_fail = 1_000_000
    for _ in range(30):
        sandbox.emit("batch_edit", {"id_task": "stranger", "status": "completed"})
    loop = asyncio.get_running_loop()
    session = Session(
        token=sandbox.token, base_url=sandbox.url, stream=StreamSettings(close_wait=0.3)
    )
    async with session, session.notifications(ack_foreign=True) as feed:
        seen = 0
        async for _ in feed:
            seen += 1
            if seen == 30:
                break
        began = loop.time()
    assert loop.time() - began < 3.0
    assert len(sandbox.books.notifications_outstanding) == 30
    assert sandbox.faults.counts["acks_fail"] >= 29
