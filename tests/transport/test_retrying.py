from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from piktid_async.errors import (
    BadRequestError,
    ConnectionFailedError,
    IdentityLimitError,
    PiktidError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import read_json
from piktid_async.transport.retrying import Caller
from tests.transport.conftest import OpenTransport
from tests.transport.servers import Exchange, free_port, serve

NO_PAUSE = Backoff(base=0.0)


def call_of(method: str, *, replayable: bool) -> Call[Any]:
    request = Request(method=method, path="/things", replayable=replayable)
    return Call(request, lambda response: read_json(request, response))


GET = call_of("GET", replayable=True)
SUBMIT = call_of("POST", replayable=False)


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def hang_up(exchange: Exchange) -> None:
    exchange.hang_up()


async def half(exchange: Exchange) -> None:
    await exchange.head(200, [("Content-Length", "100")])
    exchange.hang_up()


async def silence(exchange: Exchange) -> None:
    await exchange.gone()


def status(code: int, **headers: str) -> Callable[[Exchange], Any]:
    async def answer(exchange: Exchange) -> None:
        more = [(name.replace("_", "-"), value) for name, value in headers.items()]
        await exchange.answer_json({"error": "no"}, code, more)

    return answer


FAULTS = {
    "reset": (reset, ConnectionFailedError),
    "hang up": (hang_up, ConnectionFailedError),
    "half an answer": (half, ConnectionFailedError),
    "silence": (silence, RequestTimeoutError),
    "500": (status(500), ServerError),
    "503": (status(503), ServerError),
    "429": (status(429), RateLimitError),
}


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("name", FAULTS)
async def test_get_is_repeated_exactly_as_often_as_allowed(
    open_transport: OpenTransport, name: str, retries: int
) -> None:
    fault, kind = FAULTS[name]
    async with serve(fault) as server:
        caller = Caller(open_transport(server.url, timeout=0.1), retries, NO_PAUSE)
        with pytest.raises(kind):
            await caller.execute(GET)
    assert len(server.requests) == retries + 1


@pytest.mark.parametrize("name", FAULTS)
async def test_submission_is_sent_once_whatever_happens(
    open_transport: OpenTransport, name: str
) -> None:
    fault, kind = FAULTS[name]
    async with serve(fault) as server:
        caller = Caller(open_transport(server.url, timeout=0.1), 3, NO_PAUSE)
        with pytest.raises(kind):
            await caller.execute(SUBMIT)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", FAULTS)
async def test_get_succeeds_once_the_fault_is_over(
    open_transport: OpenTransport, name: str
) -> None:
    async def twice(exchange: Exchange) -> None:
        if len(server.requests) <= 2:
            await FAULTS[name][0](exchange)
        else:
            await exchange.answer_json({"done": True})

    async with serve(twice) as server:
        caller = Caller(open_transport(server.url, timeout=0.1), 2, NO_PAUSE)
        assert await caller.execute(GET) == {"done": True}
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 409, 422])
async def test_refusal_is_not_repeated(open_transport: OpenTransport, code: int) -> None:
    async with serve(status(code)) as server:
        with pytest.raises(PiktidError):
            await Caller(open_transport(server.url), 3, NO_PAUSE).execute(GET)
    assert len(server.requests) == 1


async def test_lack_of_identity_slots_is_not_repeated(open_transport: OpenTransport) -> None:
    async def full(exchange: Exchange) -> None:
        await exchange.answer_json({"error": "Maximum number of identities reached"}, 429)

    async with serve(full) as server:
        with pytest.raises(IdentityLimitError):
            await Caller(open_transport(server.url), 3, NO_PAUSE).execute(GET)
    assert len(server.requests) == 1


async def test_submission_that_never_left_is_sent_again(open_transport: OpenTransport) -> None:
    """The port is closed at first: nothing can have been taken."""
    attempts: list[int] = []
    transport = open_transport(f"http://127.0.0.1:{free_port()}")

    @attrs.frozen
    class Counting:
        async def send(self, request: Request) -> Response:
            attempts.append(1)
            if len(attempts) < 3:
                return await transport.send(request)
            return Response(status=200, body=b"{}")

    caller = Caller(Counting(), 3, NO_PAUSE)  # type: ignore[arg-type]  # what `execute` needs
    assert await caller.execute(SUBMIT) == {}
    assert len(attempts) == 3


@asynccontextmanager
async def timed() -> AsyncIterator[list[float]]:
    loop = asyncio.get_running_loop()
    spent = [loop.time()]
    yield spent
    spent[0] = loop.time() - spent[0]


@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_is_waited_for(open_transport: OpenTransport, code: int) -> None:
    async def once(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await status(code, Retry_After="1")(exchange)
        else:
            await exchange.answer_json({})

    async with serve(once) as server, timed() as spent:
        await Caller(open_transport(server.url), 1, NO_PAUSE).execute(GET)
    assert 1.0 <= spent[0] < 2.0


async def test_retry_after_of_zero_and_nonsense_wait_for_nothing(
    open_transport: OpenTransport,
) -> None:
    for value in ("0", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"):
        async with serve(status(503, Retry_After=value)) as server, timed() as spent:
            with pytest.raises(ServerError):
                await Caller(open_transport(server.url), 2, NO_PAUSE).execute(GET)
        assert len(server.requests) == 3
        assert spent[0] < 0.5


async def test_unexpected_error_of_an_attempt_is_not_repeated() -> None:
    attempts: list[int] = []

    async def attempt() -> None:
        attempts.append(1)
        raise BadRequestError(400, "GET /things")

    caller = Caller(None, 3, NO_PAUSE)  # type: ignore[arg-type]  # `repeat` sends nothing itself
    with pytest.raises(BadRequestError):
        await caller.repeat(attempt, again=lambda error: isinstance(error, ServerError))
    assert len(attempts) == 1


async def test_cancelling_ends_the_pause_before_a_repeat(open_transport: OpenTransport) -> None:
    async with serve(status(503, Retry_After="60")) as server:
        caller = Caller(open_transport(server.url), 3, NO_PAUSE)
        task = asyncio.create_task(caller.execute(GET))
        await server.until(lambda: len(server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(server.requests) == 1
