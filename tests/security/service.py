"""An API and a storage of two origins, each of which keeps every header that it was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from piktid_async import Job, Session
from tests.transport.servers import PNG, Exchange, Server, serve

TOKEN = "sekrit-token-0815"
SIGNATURE = "c0ffee0815c0ffee"
QUERY = f"X-Amz-Credential=AKIA%2F1&X-Amz-Signature={SIGNATURE}"

Answer = Callable[[Exchange], Awaitable[None]]


@attrs.define(eq=False)
class Hostile:
    """What a test may have answered in the place of a good answer, by the path's beginning."""

    api: Server
    storage: Server
    session: Session
    answers: dict[str, Answer]

    @property
    def signed(self) -> str:
        return f"{self.storage.url}/image?{QUERY}"

    def job(self) -> Job:
        return self.session.job("j", kind="garment_recolor", total_outputs=1)


def answering(value: Any, status: int = 200, **headers: str) -> Answer:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer_json(value, status, headers.items())

    return answer


def sending(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def send(exchange: Exchange) -> None:
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        await exchange.answer(status, body, pairs)

    return send


async def reset(exchange: Exchange) -> None:
    await exchange.body()
    exchange.reset()


@asynccontextmanager
async def hostile(
    answers: dict[str, Answer] | None = None, **options: Any
) -> AsyncIterator[Hostile]:
    """Run both, and a session on them; what `answers` does not name is answered well."""
    running: Hostile

    async def api(exchange: Exchange) -> None:
        await _chosen(running, exchange, "/", _good)

    async def storage(exchange: Exchange) -> None:
        await _chosen(running, exchange, "storage:/", lambda _: sending(PNG))

    chosen: dict[str, Any] = {"stream": False, "max_retries": 0, "timeout": 5.0, **options}
    async with (
        serve(api) as api_server,
        serve(storage) as storage_server,
        Session(TOKEN, base_url=api_server.url, **chosen) as session,
    ):
        running = Hostile(api_server, storage_server, session, dict(answers or {}))
        yield running


async def _chosen(
    running: Hostile, exchange: Exchange, root: str, good: Callable[[Any], Any]
) -> None:
    place = root.removesuffix("/") + exchange.target
    for beginning, answer in running.answers.items():
        if place.startswith(beginning):
            await answer(exchange)
            return
    await good((running, exchange))(exchange)


def _good(told: tuple[Hostile, Exchange]) -> Answer:
    running, exchange = told
    path = exchange.target.partition("?")[0]
    if path == "/upload":
        ticket = {"upload_url": running.signed, "file_id": "f", "filename": "a.png"}
        return answering(ticket | {"content_type": "image/png", "download_url": running.signed})
    if path.endswith("/status"):
        return answering({"job_id": "j", "status": "completed", "progress": 100})
    if path.endswith("/results"):
        row = {"image_index": 0, "group_index": 0, "version": 0, "status": "completed"}
        links = {"full_size": running.signed, "thumbnail": running.signed}
        return answering(
            {"job_id": "j", "status": "completed", "results": [row | {"output": links}]}
        )
    if path == "/garment-recolor":
        return answering({"job_id": "j", "status": "pending"}, 202)
    if path in ("/download", "/download/bulk"):
        return answering({"download_url": running.signed})
    return answering({"ok": True})
