"""Requests as an ASGI 3 server hands them over. https://asgi.readthedocs.io/en/latest/specs/."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TypeAlias, cast

from piktid_async.transport.incoming import Answer, ClientGoneError

Scope: TypeAlias = Mapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, object]]]
Send: TypeAlias = Callable[[dict[str, object]], Awaitable[None]]

LEAVES_UNREAD = (405, 413)
"""Answers that do not wait for the body."""


class AsgiApp:
    """Answer every path of its place; status codes only, no content.

    An object and not a function: Starlette takes functions for handlers of its own kind.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _lifespan(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})
            case other:
                raise ValueError(f"the ASGI scope {other!r} is not served here")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = cast(Iterable[tuple[bytes, bytes]], scope["headers"])
        try:
            async with aclosing(_blocks(receive)) as blocks:
                status = await self._answer(str(scope["method"]), headers, blocks)
        except ClientGoneError:
            return
        shown = [] if status == 204 else [(b"content-length", b"0")]
        if status == 405:
            shown.append((b"allow", b"POST"))
        if status in LEAVES_UNREAD and str(scope.get("http_version")).startswith("1"):
            # Otherwise uvicorn takes in the rest of the body, however long that is.
            shown.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": shown})
        await send({"type": "http.response.body", "body": b""})


async def _blocks(receive: Receive) -> AsyncGenerator[bytes, None]:
    more: object = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        yield cast(bytes, message.get("body", b""))
        more = message.get("more_body", False)


async def _lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
