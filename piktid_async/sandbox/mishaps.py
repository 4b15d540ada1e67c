"""What can befall any request, whatever it asks for: before the server has acted, or after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from http import HTTPStatus

from aiohttp import web

from piktid_async.sandbox import connections
from piktid_async.sandbox.answers import Streamed, json_answer
from piktid_async.sandbox.faults import ANYWHERE, BEFORE, Faults
from piktid_async.sandbox.middleware import STREAM_PATH, Handler
from piktid_async.sandbox.visitors import is_own

# A slow block is sent in so many pieces.
_PIECES = 8
_OWN_HEADERS = ("Content-Length", "Transfer-Encoding")


class Mishaps:
    """Commits the faults that befall any request."""

    def __init__(
        self,
        *,
        faults: Faults,
        place: Callable[[web.Request], str],
        refuse: Callable[[float], Awaitable[None]],
        restart: Callable[[], None],
    ) -> None:
        self._faults = faults
        self._place = place
        self._refuse = refuse
        self._restart = restart

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or let one fault befall it."""
        if is_own(request):
            return await handler(request)
        # An event stream has faults of its own in place of those that befall an answer.
        names = BEFORE if request.path == STREAM_PATH else ANYWHERE
        name = self._faults.first_of(names, f"{request.method} {self._place(request)}")
        if name in BEFORE:
            return await self._before(name, request)
        response = await handler(request)
        return response if name is None else await self._after(name, request, response)

    async def _before(self, name: str, request: web.Request) -> web.StreamResponse:
        match name:
            case "restarts":
                self._restart()
            case "connections_refused":
                await self._refuse(self._faults.down_seconds)
            case "stall_before":
                await asyncio.sleep(self._faults.stall_seconds)
            case "errors":
                status = self._faults.next_error()
                return json_answer({"error": _phrase(status)}, status=status)
            case "errors_html":
                return _page(self._faults.next_error())
            case "rate_limited":
                return _too_many(self._faults.retry_after)
            case "rate_limited_told":
                wait = self._faults.retry_after
                return _too_many(1.0 if wait is None else wait)
        return connections.reset(request)

    async def _after(
        self, name: str, request: web.Request, response: web.StreamResponse
    ) -> web.StreamResponse:
        match name:
            case "stall_after":
                await asyncio.sleep(self._faults.stall_seconds)
            case "errors_after":
                return _page(self._faults.next_error())
            case "garbled_body":
                return _page(502, told=response)
            case "truncated_body":
                return _truncate(request, _streamed(response))
            case "slow_body":
                return _slow(_streamed(response), self._faults.slow_seconds)
        return connections.reset(request)


def _page(status: int, told: web.StreamResponse | None = None) -> web.Response:
    """Answer as a proxy does; `told` lends the status and the type of a true answer."""
    title = f"{status} {_phrase(status)}"
    return web.Response(
        status=status if told is None else told.status,
        content_type="text/html" if told is None else told.content_type,
        body=(
            f"<html>\r\n<head><title>{title}</title></head>\r\n"
            f"<body><center><h1>{title}</h1></center><hr></body>\r\n</html>\r\n"
        ).encode(),
    )


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


def _too_many(wait: float | None) -> web.Response:
    headers = {} if wait is None else {"Retry-After": f"{wait:g}"}
    return json_answer({"error": "Rate limit exceeded"}, status=429, headers=headers)


def _streamed(response: web.StreamResponse) -> Streamed:
    """Return the same answer with a body that can be tampered with."""
    if isinstance(response, Streamed):
        return response
    body = response.body if isinstance(response, web.Response) else None
    content = body if isinstance(body, bytes | bytearray) else b""
    headers = {key: value for key, value in response.headers.items() if key not in _OWN_HEADERS}

    async def whole() -> AsyncGenerator[bytes, None]:
        yield bytes(content)

    return Streamed(whole(), size=len(content), status=response.status, headers=headers)


def _truncate(request: web.Request, answer: Streamed) -> Streamed:
    promised, blocks = answer.content_length, answer.blocks
    if promised == 0:
        answer.content_length = 1

    async def half() -> AsyncGenerator[bytes, None]:
        sent = 0
        async with aclosing(blocks):
            async for block in blocks:
                most = (len(block) if promised is None else promised) // 2
                yield block[: most - sent]
                sent += len(block)
                if sent >= most:
                    break
        connections.hang_up(request)

    answer.blocks = half()
    return answer


def _slow(answer: Streamed, seconds: float) -> Streamed:
    promised, blocks = answer.content_length, answer.blocks

    async def drop_by_drop() -> AsyncGenerator[bytes, None]:
        async with aclosing(blocks):
            async for block in blocks:
                length = -(-len(block) // _PIECES) or 1
                pause = seconds * length / (promised or len(block) or 1)
                for start in range(0, len(block) or 1, length):
                    await asyncio.sleep(pause)
                    yield block[start : start + length]

    answer.blocks = drop_by_drop()
    return answer
