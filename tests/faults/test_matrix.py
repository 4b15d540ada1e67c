"""Each cell of the matrix: what the server saw, what it did, and what the caller was told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import attrs
import pytest

from piktid_async import AccountLimits, Session, StreamSettings, connections, stream
from piktid_async.coordination import local
from piktid_async.errors import (
    AuthenticationError,
    ConnectionFailedError,
    DownloadError,
    PiktidError,
    SubmissionUnknownError,
    UploadError,
)
from piktid_async.protocol.backoff import Backoff
from piktid_async.transport import _aiohttp
from piktid_async.vtryon import VtryonSession
from tests.faults.calls import CASES, Case
from tests.faults.faults import FAULTS, NOWHERE, SHORT, Fault, World, status, world
from tests.faults.matrix import MATRIX, Outcome
from tests.transport.servers import Exchange, Server, serve

RETRIES = 1
ONCE = "putting bytes that can be read once"

EXCEPTIONS: dict[tuple[str, str], Outcome] = {
    # What is gone is acknowledged.
    ("acknowledge", "404"): "done",
    # An expired URL: the bytes go to a fresh one.
    ("put", "403 of a proxy"): "again",
    # There is nothing to follow.
    ("fetch", "an endless answer"): "raised",
}

EXPIRED = {("fetch", "403 of a proxy"), ("fetch", "404")}
"""Raised, but a fresh link may do."""


@attrs.define
class Pauses:
    """A backoff that waits for nothing, and counts the failures that would be waited after."""

    taken: int = 0
    """One more than there are repeats, where none helps."""

    def pause(self, failures: int, jitter: Callable[[], float]) -> float:
        self.taken += 1
        return 0.0


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    counting = Pauses()
    monkeypatch.setattr(connections, "RETRY", counting)
    monkeypatch.setattr(local, "REFUSED", Backoff(base=0.0))
    return counting


@attrs.define
class Source:
    """A token source that counts how often it is asked."""

    asked: int = 0

    async def __call__(self) -> str:
        self.asked += 1
        return f"token-{self.asked}"


@asynccontextmanager
async def opened(
    case: Case, base_url: str, *, timeout: float = 10.0, token: Any = "token"
) -> AsyncIterator[Any]:
    if case.vtryon:
        async with VtryonSession(
            "key", base_url=base_url, timeout=timeout, max_retries=RETRIES
        ) as other:
            yield other
        return
    async with Session(
        token,
        base_url=base_url,
        stream=False,
        limits=AccountLimits.unlimited(),
        timeout=timeout,
        max_retries=RETRIES,
    ) as session:
        yield session


@asynccontextmanager
async def served(case: Case) -> AsyncIterator[World]:
    async with world((case.method, case.path), case.good) as running:
        running.others = case.others(running.server.url)
        if running.good is None:
            running.good = running.others[running.endpoint]
        yield running


async def outcome(case: Case, session: Any, where: str) -> Any:
    """Return what the call returned, or its error, without what it is wrapped in."""
    try:
        return await case.call(session, where)
    except PiktidError as error:
        return error


def unwrapped(case: Case, error: PiktidError) -> BaseException | None:
    """Return the error of the connection or the answer itself."""
    if isinstance(error, SubmissionUnknownError) or case.apart:
        return error.__cause__ or error
    return error


def cells() -> list[Any]:
    return [pytest.param(case, name, id=f"{case}: {name}") for case in CASES for name in FAULTS]


def expected(case: Case, name: str) -> Outcome:
    return EXCEPTIONS.get((case.name, name)) or MATRIX[case.row][FAULTS[name].column]


@pytest.mark.parametrize(("case", "name"), cells())
async def test_a_fault_that_stays(case: Case, name: str, pauses: Pauses) -> None:
    fault, wanted = FAULTS[name], expected(case, name)
    async with (
        served(case) as running,
        opened(case, running.server.url, timeout=fault.patience) as session,
    ):
        running.fault = fault
        # A submission that was refused for its rate waits as long as it takes.
        running.times = 2 if wanted == "in turn" else running.times
        found = await outcome(case, session, running.server.url)
        in_doubt = [] if case.vtryon else session.in_doubt
    requests = {"again": 1 + RETRIES, "in turn": 3}.get(wanted, 1)
    assert running.requests == requests
    assert pauses.taken == (1 + RETRIES if wanted == "again" else 0)
    if wanted in ("in turn", "looked up", "followed", "done"):
        assert not isinstance(found, PiktidError)
        assert running.acted == (1 if wanted == "in turn" else fault.acts)
        return
    assert running.acted == requests * fault.acts
    check_error(case, fault, wanted, found)
    assert found.retryable == (
        wanted == "again"
        or (wanted == "raised" and fault.column == "429" and case.row != ONCE)
        or (case.name, name) in EXPIRED
    )
    assert len(in_doubt) == (wanted == "in doubt" and not case.vtryon)


def check_error(case: Case, fault: Fault, wanted: Outcome, error: Any) -> None:
    assert isinstance(error, SubmissionUnknownError) == (wanted == "in doubt")
    if case.apart:
        assert isinstance(error, UploadError | DownloadError)
    told = unwrapped(case, error)
    if case.name == "fetch" and fault.column == "nonsense":
        assert "no picture" in error.reason
    elif case.name == "fetch" and fault.column == "redirect":
        assert "longer than" in error.reason
    else:
        assert type(told) is fault.error
    if isinstance(told, ConnectionFailedError):
        assert told.sent


PASSING = [cell for cell in cells() if expected(cell.values[0], cell.values[1]) == "again"]


@pytest.mark.parametrize(("case", "name"), PASSING)
async def test_a_fault_that_passes(case: Case, name: str, pauses: Pauses) -> None:
    fault = FAULTS[name]
    async with (
        served(case) as running,
        opened(case, running.server.url, timeout=fault.patience) as session,
    ):
        running.fault, running.times = fault, 1
        found = await outcome(case, session, running.server.url)
    assert not isinstance(found, PiktidError)
    assert running.requests == 2
    assert running.acted == 1 + fault.acts


@pytest.mark.parametrize("nowhere", NOWHERE)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_never_left_is_tried_again_and_certainly_not_taken(
    case: Case, nowhere: str, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_aiohttp, "CONNECT_TIMEOUT", SHORT)
    assert MATRIX[case.row]["never left"] == "again"
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(NOWHERE[nowhere]())
        running = await stack.enter_async_context(served(case))
        running.others = case.others(where)
        base_url = running.server.url if case.apart else where
        session = await stack.enter_async_context(
            opened(case, base_url, timeout=SHORT if nowhere == "connecting timed out" else 10.0)
        )
        found = await outcome(case, session, where)
        assert case.vtryon or session.in_doubt == ()
    assert isinstance(found, PiktidError)
    assert found.retryable
    told = unwrapped(case, found)
    assert isinstance(told, ConnectionFailedError)
    assert case.apart or not told.sent
    assert pauses.taken == 1 + RETRIES
    assert running.acted == 0


UNAUTHORIZED = Fault("refused", AuthenticationError, status(401))
API = [case for case in CASES if not case.apart and not case.vtryon]


@pytest.mark.parametrize("case", API, ids=str)
async def test_a_token_that_is_refused_is_asked_for_once_again(case: Case, pauses: Pauses) -> None:
    async with served(case) as running:
        running.fault = UNAUTHORIZED
        source = Source()
        async with opened(case, running.server.url, token=source) as session:
            found = await outcome(case, session, running.server.url)
            assert session.in_doubt == ()
    assert type(found) is AuthenticationError
    assert not found.retryable
    assert source.asked == running.requests == 2
    assert running.acted == 0


@pytest.mark.parametrize("case", API, ids=str)
async def test_with_a_new_token_the_call_is_made_once(case: Case, pauses: Pauses) -> None:
    async with served(case) as running:
        running.fault, running.times = UNAUTHORIZED, 1
        async with opened(case, running.server.url, token=Source()) as session:
            found = await outcome(case, session, running.server.url)
    assert not isinstance(found, PiktidError)
    assert running.requests == 2
    assert running.acted == 1


# The event stream repeats itself for ever, so it has tests of its own


QUICK = StreamSettings(
    keepalive=5.0, reconnect_base=0.001, reconnect_cap=0.002, open_wait=5.0, close_wait=0.1
)
STREAM = MATRIX["opening the event stream"]
OPENING = {
    name: fault for name, fault in FAULTS.items() if name not in ("an endless answer", "409")
}
"""An endless answer is what a stream is; 409 is like every other 4xx."""


@asynccontextmanager
async def streaming(fault: Fault, times: int) -> AsyncIterator[tuple[Server, Session]]:
    async def handle(exchange: Exchange) -> None:
        if len(server.requests) <= times:
            await fault.do(exchange, nothing)
            return
        await exchange.body()
        await exchange.head(200, [("Content-Type", "text/event-stream")])
        await exchange.send(b"event: backfill_complete\ndata: {}\n\n")
        await exchange.gone()

    async with (
        serve(handle) as server,
        Session("token", base_url=server.url, stream=QUICK, timeout=fault.patience) as session,
    ):
        yield server, session


async def nothing() -> None:
    """Opening a stream changes nothing at the server."""


@pytest.mark.parametrize("name", [n for n in OPENING if STREAM[FAULTS[n].column] != "raised"])
async def test_the_stream_is_opened_again_for_as_long_as_it_takes(name: str) -> None:
    async with streaming(FAULTS[name], times=5) as (server, session):
        async with session.notifications():
            assert session.stream_state == "live"
        assert len(server.requests) == 6


@pytest.mark.parametrize("name", [n for n in OPENING if STREAM[FAULTS[n].column] == "raised"])
async def test_a_stream_that_is_refused_is_given_up(name: str) -> None:
    async with streaming(FAULTS[name], times=1) as (server, session):
        with pytest.raises(FAULTS[name].error):
            async with session.notifications():
                pass
        assert len(server.requests) == 1


async def test_a_stream_that_never_left_is_opened_once_it_can_be() -> None:
    assert STREAM["never left"] == "again, ever"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await reader.read()
        writer.close()

    with socket.socket() as bound:  # refuses until it listens
        bound.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with Session("token", base_url=where, stream=False) as session:
            transport = session._runtime.connect().transport
            async with aclosing(stream.signals(transport, QUICK)) as signals:
                assert isinstance(await anext(signals), stream.Lost)
                async with await asyncio.start_server(answer, sock=bound):
                    async for signal in signals:
                        if isinstance(signal, stream.Opened):
                            break
                    await session.close()
