"""What every request passes before its handler."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

from piktid_async.sandbox.answers import ApiError, json_answer, refuse
from piktid_async.sandbox.connections import Connections
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.tokens import TokenBook
from piktid_async.sandbox.visitors import PAGE_PATHS, Visitors, is_own

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STREAM_PATH = "/notifications/events"
CONTROL_PATH = "/_sandbox/faults"
_NO_TOKEN_NEEDED = {"/auth/login", "/auth/refresh", "/download/{token}"} | PAGE_PATHS


class Traffic:
    """Counts requests; knows those in progress, and every connection that carried one."""

    def __init__(self, *, request_delay: float, place: Callable[[web.Request], str]) -> None:
        self._request_delay = request_delay
        self._place = place
        self.requests: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[object]] = set()
        self._connections = Connections()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep track of the request, and let it wait as long as was asked for."""
        self.requests[f"{request.method} {self._place(request)}"] += 1
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

    def reset(self) -> None:
        """Reset every connection."""
        self._connections.reset()

    async def close(self) -> None:
        """End what a stopped server has left: handlers, and connections nobody reads."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._connections.abort()
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next step


class Bookkeeping:
    """Has everything that a request has changed written down before it is answered."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Write after the handler, whatever came of it."""
        try:
            return await handler(request)
        finally:
            if request.method != "GET":
                self._ledger.touch()
            self._ledger.commit()


class Gate:
    """Checks the token, and turns errors into JSON."""

    def __init__(self, *, tokens: TokenBook, visitors: Visitors) -> None:
        self._tokens = tokens
        self._visitors = visitors

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request with the right token through."""
        asked = route(request)
        try:
            if is_own(request):
                self._visitors.check(request)
            if asked not in _NO_TOKEN_NEEDED and not self._knows(request, asked):
                raise refuse(401, "Invalid or missing token")
            return await handler(request)
        except ApiError as error:
            return json_answer(error.body, status=error.status, headers=error.headers)
        except web.HTTPException as error:
            return json_answer({"error": error.reason}, status=error.status)

    def _knows(self, request: web.Request, asked: str) -> bool:
        if asked == CONTROL_PATH and self._visitors.is_page(request):
            return True
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            # A browser's EventSource cannot set headers, so the stream takes a query too.
            token = request.query.get("token", "") if asked == STREAM_PATH else ""
        return self._tokens.accepts(token)


def route(request: web.Request) -> str:
    """Return the path of the route that a request goes to, such as `/jobs/{job_id}/status`."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(unknown)"
