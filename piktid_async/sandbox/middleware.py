"""What every request passes before its handler."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

from piktid_async.sandbox.answers import ApiError, json_answer, refuse
from piktid_async.sandbox.connections import Connections
from piktid_async.sandbox.tokens import TokenBook

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STREAM_PATH = "/notifications/events"
_NO_TOKEN_NEEDED = {"/auth/login", "/auth/refresh", "/download/{token}"}


class Traffic:
    """Knows the requests in progress and every connection that carried one."""

    def __init__(self, *, request_delay: float) -> None:
        self._request_delay = request_delay
        self._tasks: set[asyncio.Task[object]] = set()
        self._connections = Connections()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep track of the request, and let it wait as long as was asked for."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections.note(request)
        try:
            if self._request_delay:
                await asyncio.sleep(self._request_delay)
            return await handler(request)
        except ConnectionError:  # the client has gone
            return web.Response()
        finally:
            self._tasks.discard(task)

    async def close(self) -> None:
        """End what a stopped server has left: handlers, and connections nobody reads."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._connections.abort()
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next step


class Gate:
    """Counts API requests, checks the token, and turns errors into JSON."""

    def __init__(self, *, tokens: TokenBook) -> None:
        self._tokens = tokens
        self.requests: Counter[str] = Counter()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request with the right token through."""
        route = _route(request)
        self.requests[f"{request.method} {route}"] += 1
        try:
            if route not in _NO_TOKEN_NEEDED and not self._knows(request, route):
                raise refuse(401, "Invalid or missing token")
            return await handler(request)
        except ApiError as error:
            return json_answer(error.body, status=error.status, headers=error.headers)
        except web.HTTPException as error:
            return json_answer({"error": error.reason}, status=error.status)

    def _knows(self, request: web.Request, route: str) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            # A browser's EventSource cannot set headers, so the stream takes a query too.
            token = request.query.get("token", "") if route == STREAM_PATH else ""
        return self._tokens.accepts(token)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(unknown)"
