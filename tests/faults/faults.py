"""Each way in which a call can fail, done by a server that knows whether it has acted."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import attrs

from piktid_async.errors import (
    BadRequestError,
    ConflictError,
    ConnectionFailedError,
    InsufficientCreditsError,
    NotFoundError,
    PermissionDeniedError,
    PiktidError,
    RateLimitError,
    RequestTimeoutError,
    ResponseFormatError,
    ServerError,
    StatusError,
)
from tests.faults.matrix import Column
from tests.transport.servers import Exchange, Headers, Server, free_port, serve

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
SHORT = 0.25
"""Seconds that a call may take where nothing answers."""

Act = Callable[[], Awaitable[None]]
Do = Callable[[Exchange, Act], Awaitable[None]]


@attrs.frozen
class Fault:
    """One way to fail in the server's hands."""

    column: Column
    error: type[PiktidError]
    do: Do
    acts: bool = False
    patience: float = 10.0


async def read_and_act(exchange: Exchange, act: Act) -> None:
    await exchange.body()
    await act()


def status(code: int, *, acts: bool = False, page: bool = False, headers: Headers = ()) -> Do:
    async def do(exchange: Exchange, act: Act) -> None:
        if acts:
            await read_and_act(exchange, act)
        if page:
            await exchange.answer(code, HTML, [("Content-Type", "text/html"), *headers])
        else:
            await exchange.answer_json({"error": "No."}, code, headers)

    return do


def nonsense(body: bytes) -> Do:
    async def do(exchange: Exchange, act: Act) -> None:
        await read_and_act(exchange, act)
        await exchange.answer(200, body, [("Content-Type", "application/json")])

    return do


async def reset_before(exchange: Exchange, act: Act) -> None:
    exchange.reset()


async def closed_before(exchange: Exchange, act: Act) -> None:
    exchange.hang_up()


async def reset_after(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    exchange.reset()


async def closed_after(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    exchange.hang_up()


async def silent_after(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    await exchange.gone()


async def half_a_head(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    await exchange.send(b"HTTP/1.1 200 O")
    exchange.hang_up()


async def half_a_body(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    await exchange.head(200, [("Content-Length", "1000"), ("Content-Type", "application/json")])
    await exchange.send(b'{"job_id": "j')
    exchange.hang_up()


async def half_a_chunk(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    await exchange.head(200, [("Transfer-Encoding", "chunked")])
    await exchange.send(b'100\r\n{"job_id"')
    exchange.hang_up()


async def endless(exchange: Exchange, act: Act) -> None:
    await read_and_act(exchange, act)
    await exchange.head(
        200, [("Content-Length", str(1 << 40)), ("Content-Type", "application/json")]
    )
    with suppress(ConnectionError):
        while True:
            await exchange.send(b" " * (1 << 20))


FAULTS: dict[str, Fault] = {
    "reset before it was read": Fault("no answer", ConnectionFailedError, reset_before),
    "closed before it was read": Fault("no answer", ConnectionFailedError, closed_before),
    "reset after it acted": Fault("no answer", ConnectionFailedError, reset_after, acts=True),
    "closed after it acted": Fault("no answer", ConnectionFailedError, closed_after, acts=True),
    "no answer after it acted": Fault(
        "no answer", RequestTimeoutError, silent_after, acts=True, patience=SHORT
    ),
    "half a head": Fault("no answer", ConnectionFailedError, half_a_head, acts=True),
    "half a body": Fault("no answer", ConnectionFailedError, half_a_body, acts=True),
    "half a chunk": Fault("no answer", ConnectionFailedError, half_a_chunk, acts=True),
    "500": Fault("5xx", ServerError, status(500)),
    "500 after it acted": Fault("5xx", ServerError, status(500, acts=True), acts=True),
    "502 of a proxy": Fault("5xx", ServerError, status(502, page=True)),
    "502 of a proxy after it acted": Fault(
        "5xx", ServerError, status(502, page=True, acts=True), acts=True
    ),
    "503 with Retry-After": Fault("5xx", ServerError, status(503, headers=[("Retry-After", "0")])),
    "504 of a proxy after it acted": Fault(
        "5xx", ServerError, status(504, page=True, acts=True), acts=True
    ),
    "408": Fault("408", StatusError, status(408)),
    "408 after it acted": Fault("408", StatusError, status(408, acts=True), acts=True),
    "409": Fault("409", ConflictError, status(409)),
    "429": Fault("429", RateLimitError, status(429)),
    "429 with Retry-After": Fault(
        "429", RateLimitError, status(429, headers=[("Retry-After", "0")])
    ),
    "400": Fault("refused", BadRequestError, status(400)),
    "402": Fault("refused", InsufficientCreditsError, status(402)),
    "403 of a proxy": Fault("refused", PermissionDeniedError, status(403, page=True)),
    "404": Fault("refused", NotFoundError, status(404)),
    "422": Fault("refused", BadRequestError, status(422)),
    "302": Fault("redirect", StatusError, status(302, headers=[("Location", "/other")])),
    "303 after it acted": Fault(
        "redirect", StatusError, status(303, acts=True, headers=[("Location", "/x")]), acts=True
    ),
    "307": Fault("redirect", StatusError, status(307, headers=[("Location", "/other")])),
    "an endless answer": Fault("redirect", ResponseFormatError, endless, acts=True),
    "no JSON": Fault("nonsense", ResponseFormatError, nonsense(b"ok"), acts=True),
    "a page": Fault("nonsense", ResponseFormatError, nonsense(HTML), acts=True),
    "an empty body": Fault("nonsense", ResponseFormatError, nonsense(b""), acts=True),
    "another shape": Fault("nonsense", ResponseFormatError, nonsense(b'[{"a": 1}]'), acts=True),
    "absurdly deep": Fault(
        "nonsense", ResponseFormatError, nonsense(b"[" * 100_000 + b"]" * 100_000), acts=True
    ),
}


@attrs.define(eq=False)
class World:
    """A server in whose hands one endpoint goes wrong, for so many times."""

    server: Server
    endpoint: tuple[str, str]
    good: Any
    fault: Fault | None = None
    times: int = 1 << 30
    requests: int = 0
    acted: int = 0
    others: dict[tuple[str, str], Any] = attrs.field(factory=dict)

    async def handle(self, exchange: Exchange) -> None:
        path = exchange.target.split("?")[0]
        if (exchange.method, path) != self.endpoint:
            await self._answer(exchange, self.others[exchange.method, path])
            return
        self.requests += 1
        if self.fault is not None and self.requests <= self.times:
            await self.fault.do(exchange, self._act)
            return
        await self._act()
        await self._answer(exchange, self.good)

    async def _act(self) -> None:
        self.acted += 1

    async def _answer(self, exchange: Exchange, value: Any) -> None:
        code, body = value if isinstance(value, tuple) else (200, value)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "image/png" if isinstance(body, bytes) else "application/json"
        await exchange.answer(code, content, [("Content-Type", kind)])


@asynccontextmanager
async def world(endpoint: tuple[str, str], good: Any) -> AsyncIterator[World]:
    made: World

    async def handle(exchange: Exchange) -> None:
        await made.handle(exchange)

    async with serve(handle) as server:
        made = World(server, endpoint, good)
        yield made


# Nobody there


@asynccontextmanager
async def unresolved() -> AsyncIterator[str]:
    yield "https://nowhere.invalid"


@asynccontextmanager
async def refused() -> AsyncIterator[str]:
    yield f"http://127.0.0.1:{free_port()}"


@asynccontextmanager
async def no_tls() -> AsyncIterator[str]:
    """A server that speaks no TLS."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def not_accepting() -> AsyncIterator[str]:
    """A listener whose queue is full: what comes now is left waiting."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, _queued(listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _queued(listener: socket.socket) -> Iterator[None]:
    waiting = [socket.socket() for _ in range(4)]
    try:
        for each in waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(listener.getsockname())
        yield
    finally:
        for each in waiting:
            each.close()


NOWHERE = {
    "name not resolved": unresolved,
    "connection refused": refused,
    "TLS failed": no_tls,
    "connecting timed out": not_accepting,
}
