"""A service of two servers, API and storage, of which the storage is the test's to misuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs

from piktid_async import Session
from piktid_async.types import Json
from tests.transport.servers import Exchange, Handler, Server, serve


async def accept(exchange: Exchange) -> None:
    await exchange.answer()


@attrs.define(eq=False)
class Service:
    """Hands out upload tickets and counts those that were not used yet."""

    api: Server
    storage: Server
    session: Session
    tickets: int = 0
    outstanding: int = 0
    most_outstanding: int = 0

    @property
    def puts(self) -> list[Exchange]:
        return self.storage.seen("PUT")

    @property
    def stored(self) -> dict[str, bytes]:
        """The whole bodies that came, by file name."""
        return {
            each.target.split("/")[-1].split("?")[0]: each.content
            for each in self.puts
            if len(each.content) == int(each.header("Content-Length") or -1)
        }


@asynccontextmanager
async def service(
    storage: Handler = accept,
    *,
    on_ticket: Callable[[], None] | None = None,
    api: Callable[[Exchange, Json], Awaitable[bool]] | None = None,
    **options: object,
) -> AsyncIterator[Service]:
    """Run both servers and a session on them."""
    running: Service

    async def take(exchange: Exchange) -> None:
        running.outstanding -= 1
        await storage(exchange)

    async def hand_out(exchange: Exchange) -> None:
        await exchange.body()
        body = exchange.json() if exchange.content else {}
        if api is not None and await api(exchange, body):
            return
        running.tickets += 1
        running.outstanding += 1
        running.most_outstanding = max(running.most_outstanding, running.outstanding)
        if on_ticket is not None:
            on_ticket()
        name = body.get("filename", "unnamed")
        await exchange.answer_json(
            {
                "upload_url": f"{running.storage.url}/{name}?X-Sig=c0ffee{running.tickets}",
                "file_id": f"id-of-{name}",
                "filename": name,
                "content_type": "image/png",
                "download_url": None,
            }
        )

    async with serve(hand_out) as api_server, serve(take) as storage_server:
        session = Session(token="sekrit", base_url=api_server.url, **options)  # type: ignore[arg-type]
        async with session:
            running = Service(api_server, storage_server, session)
            yield running
