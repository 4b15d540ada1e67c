"""The parts of the second service, and what may be read of them."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType

from aiohttp import web

from piktid_async.sandbox.answers import ApiError, json_answer
from piktid_async.sandbox.origin import Common, Origin
from piktid_async.sandbox.settings import Settings
from piktid_async.sandbox.spool import Spool
from piktid_async.sandbox.vtryon.cdn import Cdn
from piktid_async.sandbox.vtryon.images import ImageRoutes
from piktid_async.sandbox.vtryon.pages import detail
from piktid_async.sandbox.vtryon.routes import VtryonRoutes
from piktid_async.sandbox.vtryon.runner import TaskRunner
from piktid_async.sandbox.vtryon.state import Task, Tasks

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Vtryon:
    """Two origins of their own: the API behind its key, and the files."""

    def __init__(self, *, settings: Settings, spool: Spool, common: Common) -> None:
        tasks = Tasks()
        cdn = Cdn(spool)
        gate = _Gate(settings.vtryon_key)
        self._host = settings.host
        self._cdn = cdn
        self._runner = TaskRunner(
            ledger=common.ledger,
            cdn=cdn,
            seconds=settings.vtryon_seconds,
            scale=settings.image_scale,
            render=settings.render is True,
        )
        self._tasks = tasks
        self.files: Origin = Origin(
            [web.route("*", "/{path:.*}", cdn.handle)],
            common=common,
            place=lambda _: "results",
        )
        self.api: Origin = Origin(
            [
                *VtryonRoutes(tasks=tasks, runner=self._runner, faults=common.faults).table(),
                *ImageRoutes(cdn=cdn, ledger=common.ledger).table(),
            ],
            gate.middleware,
            common=common,
            place=lambda request: request.path,
        )
        self.books: VtryonBooks = VtryonBooks(tasks=tasks, cdn=cdn, requests=self.api.requests)
        common.ledger.keep("vtryon", self._kept, self._restore)

    @property
    def url(self) -> str:
        """Base URL of the API; empty before it listens."""
        return self.api.url

    def _kept(self) -> object:
        return self._tasks.by_number, self._tasks.last, self._cdn.served

    def _restore(self, kept: tuple[dict[int, Task], int, set[str]]) -> None:
        self._tasks.by_number, self._tasks.last, self._cdn.served = kept

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen, and go on with what was stopped; `stack` closes it."""
        stack.push_async_callback(self._runner.close)
        stack.push_async_callback(self.files.stop)
        await self.files.start(self._host)
        self._cdn.origin = self.files.url
        stack.push_async_callback(self.api.stop)
        await self.api.start(self._host)
        self._runner.resume(self._tasks.by_number.values())


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
    """Checks the key, and turns errors into JSON."""

    def __init__(self, key: str) -> None:
        self._key = key

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request with the right key through."""
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
