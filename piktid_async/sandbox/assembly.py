"""Puts the parts of one sandbox together. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

import attrs
from aiohttp import web

from piktid_async.sandbox.books import Books
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.identities import IdentityBook
from piktid_async.sandbox.jobs import JobRunner
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.limits import Limiter
from piktid_async.sandbox.making import Maker
from piktid_async.sandbox.middleware import Gate
from piktid_async.sandbox.notifications import NotificationBoard
from piktid_async.sandbox.origin import Common, Origin
from piktid_async.sandbox.rendering import Renderer
from piktid_async.sandbox.routes_account import AssetRoutes, BillingRoutes, ProjectGalleryRoutes
from piktid_async.sandbox.routes_batch import BatchRoutes
from piktid_async.sandbox.routes_downloads import DownloadRoutes
from piktid_async.sandbox.routes_faults import FaultRoutes
from piktid_async.sandbox.routes_identities import IdentityRoutes
from piktid_async.sandbox.routes_images import ImageRoutes
from piktid_async.sandbox.routes_jobs import JobRoutes
from piktid_async.sandbox.routes_notifications import NotificationRoutes
from piktid_async.sandbox.routes_page import PageRoutes
from piktid_async.sandbox.routes_playground import PlaygroundRoutes
from piktid_async.sandbox.routes_presets import PresetRoutes
from piktid_async.sandbox.routes_projects import ProjectRoutes
from piktid_async.sandbox.routes_tokens import TokenRoutes
from piktid_async.sandbox.routes_webhooks import WebhookRoutes
from piktid_async.sandbox.settings import Settings
from piktid_async.sandbox.spool import Spool
from piktid_async.sandbox.state import Account
from piktid_async.sandbox.storage import Storage
from piktid_async.sandbox.stream import Streams
from piktid_async.sandbox.submitting import Desk, Plan
from piktid_async.sandbox.tokens import TokenBook
from piktid_async.sandbox.visitors import Visitors
from piktid_async.sandbox.vtryon import Vtryon
from piktid_async.sandbox.watching import Watch
from piktid_async.sandbox.webhooks import WebhookSender


@attrs.frozen(kw_only=True)
class Parts:
    """What can be opened and closed, and what a `Sandbox` lets its user reach."""

    ledger: Ledger
    account: Account
    board: NotificationBoard
    streams: Streams
    webhooks: WebhookSender
    spool: Spool
    storage: Storage
    renderer: Renderer
    runner: JobRunner
    identities: IdentityBook
    tokens: TokenBook
    visitors: Visitors
    storage_origin: Origin
    api: Origin
    vtryon: Vtryon
    books: Books

    @property
    def origins(self) -> tuple[Origin, ...]:
        """What listens."""
        return self.api, self.storage_origin, self.vtryon.api, self.vtryon.files

    def open(self, settings: Settings, stack: AsyncExitStack) -> None:
        """Open what outlives a restart, and read what was kept; `stack` closes it."""
        self.ledger.keep("ports", self._ports, self._reuse_ports)
        stack.callback(self.ledger.close)
        if settings.state is not None:
            self.ledger.open(settings.state)
        self.spool.open(settings.state and settings.state / "files")
        stack.callback(self.spool.close)
        self.account.restore()
        self.board.restore()
        stack.push_async_callback(self.renderer.close)
        for origin in self.origins:
            stack.callback(origin.release)

    async def run(self, settings: Settings, stack: AsyncExitStack) -> None:
        """Listen on all origins, and go on with what a restart has interrupted.

        `stack` closes in the opposite order: the webhook and the streams end, then both origins,
        then the jobs.
        """
        self.board.open()
        await self.vtryon.open(stack)
        stack.push_async_callback(self.runner.close)
        stack.push_async_callback(self.identities.close)
        stack.push_async_callback(self.storage_origin.stop)
        await self.storage_origin.start(settings.host)
        self.storage.origin = self.storage_origin.url
        stack.push_async_callback(self.api.stop)
        await self.api.start(settings.host, settings.port)
        stack.callback(self.board.close)
        stack.push_async_callback(self.webhooks.close)
        self.webhooks.resume()
        self.runner.resume()
        self.identities.resume()
        self.ledger.touch()
        self.ledger.commit()

    def _ports(self) -> list[int]:
        return [origin.port for origin in self.origins]

    def _reuse_ports(self, ports: list[int]) -> None:
        for origin, port in zip(self.origins, ports, strict=True):
            origin.former_port = port

    async def kill(self) -> None:
        """Reset every connection, and let every port refuse new ones."""
        for origin in self.origins:
            await origin.kill()


def build(settings: Settings, faults: Faults, restart: Callable[[], None]) -> Parts:
    """Make the parts of one sandbox; two sandboxes share none. A fault may call `restart`."""
    ledger = Ledger()
    common = Common(
        faults=faults, ledger=ledger, restart=restart, request_delay=settings.request_delay
    )
    account = Account(settings.credits, ledger)
    board = NotificationBoard(retention=settings.retention, faults=faults, ledger=ledger)
    streams = Streams(board=board, faults=faults, keepalive=settings.keepalive)
    webhooks = WebhookSender(board=board, faults=faults, ledger=ledger)
    tokens = TokenBook(
        permanent=settings.token,
        login_life=settings.login_life,
        refresh_life=2 * settings.login_life,
        ledger=ledger,
    )
    visitors = Visitors()
    gate = Gate(tokens=tokens, visitors=visitors)
    spool = Spool(ledger)
    vtryon = Vtryon(settings=settings, spool=spool, common=common)
    storage = Storage(
        spool=spool,
        faults=faults,
        url_life=settings.url_life,
        max_upload_bytes=settings.max_upload_bytes,
        ledger=ledger,
    )
    renderer = Renderer(spool=spool, scale=settings.image_scale, enabled=settings.render)
    runner = JobRunner(
        account=account,
        board=board,
        storage=storage,
        maker=Maker(
            storage=storage,
            renderer=renderer,
            faults=faults,
            seconds_per_image=settings.seconds_per_image,
        ),
        faults=faults,
        post_process_seconds=settings.post_process_seconds,
    )
    desk = Desk(
        account=account,
        storage=storage,
        limiter=Limiter(settings.limits, faults),
        faults=faults,
        plan=Plan(
            max_size=settings.max_size,
            custom_dimensions=settings.custom_dimensions,
            blocked_words=settings.blocked_words,
        ),
    )
    identities = IdentityBook(
        account=account,
        board=board,
        faults=faults,
        seconds=settings.seconds_per_image,
        slots=settings.limits.identities if settings.limits is not None else None,
        ledger=ledger,
    )
    tables = (
        ProjectRoutes(account=account, storage=storage),
        BatchRoutes(account=account, runner=runner, desk=desk),
        PlaygroundRoutes(account=account, runner=runner, desk=desk),
        ImageRoutes(account=account, storage=storage, runner=runner, desk=desk),
        JobRoutes(
            account=account, storage=storage, faults=faults, visible_after=settings.visible_after
        ),
        DownloadRoutes(account=account, storage=storage, url_life=settings.url_life, ledger=ledger),
        NotificationRoutes(board=board, streams=streams, faults=faults),
        WebhookRoutes(webhooks),
        IdentityRoutes(
            account=account,
            storage=storage,
            book=identities,
            runner=runner,
            desk=desk,
            faults=faults,
            max_upload_bytes=settings.max_upload_bytes,
        ),
        FaultRoutes(faults),
        PageRoutes(
            watch=Watch(
                account=account,
                board=board,
                storage=storage,
                streams=streams,
                webhooks=webhooks,
                faults=faults,
            ),
            visitors=visitors,
        ),
        PresetRoutes(lookup=desk.lookup, ledger=ledger),
        AssetRoutes(account=account, storage=storage),
        ProjectGalleryRoutes(account=account, storage=storage),
        BillingRoutes(account=account),
        TokenRoutes(
            account=account, tokens=tokens, email=settings.email, password=settings.password
        ),
    )
    api = Origin(
        [route for routes in tables for route in routes.table()],
        gate.middleware,
        common=common,
    )
    return Parts(
        ledger=ledger,
        account=account,
        board=board,
        streams=streams,
        webhooks=webhooks,
        spool=spool,
        storage=storage,
        renderer=renderer,
        runner=runner,
        identities=identities,
        tokens=tokens,
        visitors=visitors,
        storage_origin=Origin(
            [web.route("*", "/{key:.*}", storage.handle)],
            common=common,
            place=lambda _: "storage",
        ),
        api=api,
        vtryon=vtryon,
        books=Books(
            account=account,
            board=board,
            storage=storage,
            streams=streams,
            requests=api.requests,
            webhooks=webhooks,
            vtryon=vtryon.books,
        ),
    )
