"""The parts of the second service, and what may be read of them."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType

from aiohttp import web

from piktid_async.sandbox.answers import ApiError, json_answer
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.origin import Origin
from piktid_async.sandbox.settings import Settings
from piktid_async.sandbox.spool import Spool
from piktid_async.sandbox.vtryon.cdn import Cdn
from piktid_async.sandbox.vtryon.routes import VtryonRoutes, detail
from piktid_async.sandbox.vtryon.runner import TaskRunner
from piktid_async.sandbox.vtryon.state import Tasks

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Vtryon:
    """Two origins of their own: the API behind its key, and the files."""

    def __init__(self, *, settings: Settings, spool: Spool, faults: Faults) -> None:
        tasks = Tasks()
        cdn = Cdn(spool)
        gate = _Gate(settings.vtryon_key)
        self._host = settings.host
        self._cdn = cdn
        self._runner = TaskRunner(
            cdn=cdn,
            seconds=settings.vtryon_seconds,
            scale=settings.image_scale,
            render=settings.render,
        )
        self._files = Origin(
            [web.route("*", "/{path:.*}", cdn.handle)], request_delay=settings.request_delay
        )
        self._api = Origin(
            VtryonRoutes(tasks=tasks, runner=self._runner, faults=faults).table(),
            gate.middleware,
            request_delay=settings.request_delay,
        )
        self.books: VtryonBooks = VtryonBooks(tasks=tasks, cdn=cdn, requests=gate.requests)

    @property
    def url(self) -> str:
        """Base URL of the API; empty before it listens."""
        return self._api.url

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen; `stack` closes it."""
        stack.push_async_callback(self._runner.close)
        stack.push_async_callback(self._files.stop)
        await self._files.start(self._host, 0)
        self._cdn.origin = self._files.url
        stack.push_async_callback(self._api.stop)
        await self._api.start(self._host, 0)


class VtryonBooks:
    """A read-only view of the second service; still readable after it has stopped."""

    def __init__(self, *, tasks: Tasks, cdn: Cdn, requests: Mapping[str, int]) -> None:
        self._tasks = tasks
        self._cdn = cdn
        self._requests = requests

    @property
    def tasks(self) -> Mapping[int, str]:
        """Status of every task that was not deleted, by its id, oldest first."""
        return {number: task.status for number, task in self._tasks.by_number.items()}

    @property
    def requests(self) -> Mapping[str, int]:
        """How often each path was asked, as `"POST /v4/…"`; refusals count."""
        return MappingProxyType(dict(self._requests))

    @property
    def key_seen_by_files(self) -> bool:
        """Whether the origin of the results was ever sent a key."""
        return self._cdn.key_seen


class _Gate:
    """Counts requests, checks the key, and turns errors into JSON."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.requests: Counter[str] = Counter()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request with the right key through."""
        self.requests[f"{request.method} {request.path}"] += 1
        try:
            given = request.headers.get("x-api-key", "")
            if not given:
                raise detail(401, "Authentication credentials were not provided.")
            if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._key.encode()):
                raise detail(403, "Invalid API key.")
            return await handler(request)
        except ApiError as error:
            return json_answer(error.body, status=error.status)
        except web.HTTPException as error:
            return json_answer({"detail": error.reason}, status=error.status)
