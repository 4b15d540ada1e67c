"""A server that makes jobs and keeps its own books of them, whatever it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs

from tests.faults.faults import Do
from tests.transport.servers import Exchange, Server, serve

PATH = "/garment-recolor"


@attrs.define(eq=False)
class Shop:
    """Sells recolors; `do` is how the next submissions are answered."""

    do: list[Do] = attrs.field(factory=list)
    jobs: dict[str, Any] = attrs.field(factory=dict)
    """The bodies of the submissions that made a job, by its id."""
    submissions: int = 0
    gallery: bool = True
    """Whether it lists its jobs."""
    server: Server = attrs.field(factory=Server)
    came: asyncio.Event = attrs.field(factory=asyncio.Event)
    """A submission has come."""
    streams: set[Exchange] = attrs.field(factory=set)

    async def handle(self, exchange: Exchange) -> None:
        path = exchange.target.split("?")[0]
        if exchange.method == "POST" and path == PATH:
            await self._sell(exchange)
        elif path == "/notifications/events":
            await exchange.head(200, [("Content-Type", "text/event-stream")])
            await exchange.send(b"event: backfill_complete\ndata: {}\n\n")
            self.streams.add(exchange)
            await exchange.gone()
            self.streams.discard(exchange)
        elif path == "/gallery/by-job":
            rows = [self._row(job_id) for job_id in reversed(self.jobs)] if self.gallery else []
            await exchange.answer_json({"jobs": rows, "pagination": {"has_next": False}})
        elif path.endswith("/status"):
            await self._tell(exchange, path.split("/")[2])
        else:
            await exchange.answer_json(
                {"job_id": path.split("/")[2], "status": "completed", "results": []}
            )

    async def tell(self, job_id: str) -> None:
        """Send an event of the job to every stream."""
        note = {
            "id": len(self.jobs),
            "name": "batch_edit",
            "timestamp": 0.0,
            "data": {"id_task": job_id, "status": "processing"},
        }
        for exchange in self.streams:
            await exchange.send(f"data: {json.dumps(note)}\n\n".encode())

    async def _sell(self, exchange: Exchange) -> None:
        await exchange.body()
        self.submissions += 1
        number, made = self.submissions, []

        async def act() -> None:
            made.append(f"job-{number}")
            self.jobs[made[0]] = exchange.json()
            self.came.set()

        self.came.set()
        if self.do:
            await self.do.pop(0)(exchange, act)
            return
        await act()
        await exchange.answer_json({"job_id": made[0], "status": "pending"}, 202)

    def _row(self, job_id: str) -> dict[str, Any]:
        body = self.jobs[job_id]
        return {
            "job_id": job_id,
            "job_type": "garment_recolor",
            "project_key": body["project_id"],
            "created_at": datetime.now(UTC).isoformat(),
            "images": [{"inputs": [{"uuid": each} for each in body["images"]]}],
        }

    async def _tell(self, exchange: Exchange, job_id: str) -> None:
        if job_id not in self.jobs:
            await exchange.answer_json({"error": "No such job"}, 404)
            return
        await exchange.answer_json(
            {
                "job_id": job_id,
                "job_type": "garment_recolor",
                "project_key": self.jobs[job_id]["project_id"],
                "status": "completed",
                "total_images": 1,
                "processed_images": 1,
            }
        )


@asynccontextmanager
async def opened(*do: Do, port: int = 0, **options: Any) -> AsyncIterator[Shop]:
    """Open a shop that answers its first submissions so."""
    shop = Shop(do=list(do), **options)
    async with serve(shop.handle, port=port) as shop.server:
        yield shop
