"""Puts the parts of one sandbox together. Nothing is opened here."""

from __future__ import annotations

from contextlib import AsyncExitStack

import attrs
from aiohttp import web

from piktid_async.sandbox.books import Books
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.jobs import JobRunner
from piktid_async.sandbox.limits import Limiter
from piktid_async.sandbox.middleware import Gate
from piktid_async.sandbox.notifications import NotificationBoard
from piktid_async.sandbox.origin import Origin
from piktid_async.sandbox.rendering import Renderer
from piktid_async.sandbox.routes_downloads import DownloadRoutes
from piktid_async.sandbox.routes_jobs import JobRoutes
from piktid_async.sandbox.routes_notifications import NotificationRoutes
from piktid_async.sandbox.routes_projects import ProjectRoutes
from piktid_async.sandbox.routes_recolor import RecolorRoutes
from piktid_async.sandbox.settings import Settings
from piktid_async.sandbox.spool import Spool
from piktid_async.sandbox.state import Account
from piktid_async.sandbox.storage import Storage
from piktid_async.sandbox.stream import Streams


@attrs.frozen(kw_only=True)
class Parts:
    """What can be opened and closed, and what a `Sandbox` lets its user reach."""

    board: NotificationBoard
    streams: Streams
    spool: Spool
    storage: Storage
    renderer: Renderer
    runner: JobRunner
    storage_origin: Origin
    api: Origin
    books: Books

    async def open(self, settings: Settings, stack: AsyncExitStack) -> None:
        """Listen on both origins.

        `stack` closes in the opposite order: the streams end, then both origins, then the jobs.
        """
        self.spool.open()
        stack.callback(self.spool.close)
        stack.push_async_callback(self.renderer.close)
        stack.push_async_callback(self.runner.close)
        stack.push_async_callback(self.storage_origin.stop)
        await self.storage_origin.start(settings.host, 0)
        self.storage.origin = self.storage_origin.url
        stack.push_async_callback(self.api.stop)
        await self.api.start(settings.host, settings.port)
        stack.callback(self.board.close)


def build(settings: Settings, faults: Faults) -> Parts:
    """Make the parts of one sandbox; two sandboxes share none."""
    account = Account(settings.credits)
    board = NotificationBoard(retention=settings.retention, faults=faults)
    streams = Streams(board=board, faults=faults, keepalive=settings.keepalive)
    gate = Gate(token=settings.token)
    spool = Spool()
    storage = Storage(
        spool=spool,
        faults=faults,
        url_life=settings.url_life,
        max_upload_bytes=settings.max_upload_bytes,
    )
    renderer = Renderer(spool=spool, scale=settings.image_scale, enabled=settings.render)
    runner = JobRunner(
        account=account,
        board=board,
        storage=storage,
        renderer=renderer,
        seconds_per_image=settings.seconds_per_image,
    )
    tables = (
        ProjectRoutes(account=account, storage=storage),
        RecolorRoutes(
            account=account,
            storage=storage,
            limiter=Limiter(settings.limits, faults),
            runner=runner,
            faults=faults,
            max_size=settings.max_size,
        ),
        JobRoutes(
            account=account, storage=storage, faults=faults, visible_after=settings.visible_after
        ),
        DownloadRoutes(account=account, storage=storage, url_life=settings.url_life),
        NotificationRoutes(board=board, streams=streams, faults=faults),
    )
    return Parts(
        board=board,
        streams=streams,
        spool=spool,
        storage=storage,
        renderer=renderer,
        runner=runner,
        storage_origin=Origin(
            [web.route("*", "/{key:.*}", storage.handle)], request_delay=settings.request_delay
        ),
        api=Origin(
            [route for routes in tables for route in routes.table()],
            gate.middleware,
            request_delay=settings.request_delay,
        ),
        books=Books(account=account, board=board, storage=storage, streams=streams, gate=gate),
    )
