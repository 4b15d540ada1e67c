"""An API that hands out upload tickets, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
from aiohttp import web

from piktid_async import Session
from tests.neighbours.serving import serving


@attrs.define(eq=False)
class Tickets:
    """How many were handed out, and a session that asks for them."""

    session: Session
    handed_out: int = 0


@asynccontextmanager
async def tickets(
    url_of: Callable[[int], str], *, content_type: str = "image/jpeg", max_retries: int = 2
) -> AsyncIterator[Tickets]:
    """Run the API; `url_of` makes the URL of the first, second, third ticket."""
    running: Tickets

    async def hand_out(request: web.Request) -> web.Response:
        running.handed_out += 1
        return web.json_response(
            {
                "upload_url": url_of(running.handed_out),
                "file_id": f"file-{running.handed_out}",
                "filename": (await request.json())["filename"],
                "content_type": content_type,
                "download_url": None,
            }
        )

    app = web.Application()
    app.router.add_post("/upload", hand_out)
    async with (
        serving(app) as url,
        Session("t0p-s3cret", base_url=url, max_retries=max_retries) as session,
    ):
        running = Tickets(session)
        yield running
