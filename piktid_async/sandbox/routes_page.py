"""`/`: a page that shows what the sandbox holds and does, live; it is not part of the service.

The page has a stream of its own: what it reads is no connection of the account, is never
acknowledged, and no fault befalls it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import suppress
from html import escape
from importlib.resources import files
from string import Template

import attrs
import orjson
from aiohttp import web

from piktid_async.sandbox.answers import Streamed, refuse
from piktid_async.sandbox.faults import TIMES
from piktid_async.sandbox.notifications import Filter
from piktid_async.sandbox.spool import StoredObject
from piktid_async.sandbox.visitors import (
    EVENTS_PATH,
    OUTPUT_PATH,
    PAGE_PATH,
    UPLOAD_PATH,
    Visitors,
)
from piktid_async.sandbox.watching import FAULT_GROUPS, Watch, told

LOOK_EVERY = 0.25
"""Seconds between two looks at what changes without a notification, while a page is open."""
_PICTURES = frozenset({"image/jpeg", "image/png", "image/webp"})
_NOT_KEPT = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PICTURE = {
    **_NOT_KEPT,
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@attrs.frozen(kw_only=True)
class PageRoutes:
    """The page, its events and its pictures."""

    watch: Watch
    visitors: Visitors

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get(PAGE_PATH, self.show),
            web.get(EVENTS_PATH, self.events),
            web.get(UPLOAD_PATH, self.upload),
            web.get(OUTPUT_PATH, self.output),
        ]

    async def show(self, _: web.Request) -> web.Response:
        """Send the page."""
        style, script = _asset("page.css"), _asset("page.js")
        page = Template(_asset("page.html")).substitute(
            style=style, script=script, key=escape(self.visitors.key)
        )
        policy = (
            "default-src 'none'; img-src 'self' data:; connect-src 'self'; "
            f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        headers = {**_NOT_KEPT, "Content-Security-Policy": policy}
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send what happens and, whenever it has changed, how everything stands."""
        response = web.StreamResponse(headers={**_NOT_KEPT, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        await _send(response, "hello", {"groups": FAULT_GROUPS, "times": TIMES})
        last = b""
        with self.watch.board.subscribe(Filter()) as (backlog, subscription):
            for old in backlog:
                await _send(response, "note", told(old))
            while True:
                standing = orjson.dumps(self.watch.standing())
                if standing != last:
                    await response.write(b"event: standing\ndata: " + standing + b"\n\n")
                    last = standing
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        while (note := await subscription.next()) is not None:
                            await _send(response, "note", told(note))
                    return response

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """Send a picture that was uploaded."""
        found = self.watch.account.uploads.get(request.match_info["file_id"])
        return self._picture(found.object_key if found is not None else None)

    async def output(self, request: web.Request) -> web.StreamResponse:
        """Send a picture that was made: its thumbnail, or with `?full` itself."""
        job = self.watch.account.jobs.get(request.match_info["job_id"])
        number = request.match_info["number"]
        history = job.history if job is not None else []
        found = next((each for each in history if str(each.number) == number), None)
        if found is None:
            return self._picture(None)
        return self._picture(found.full_key if "full" in request.query else found.thumbnail_key)

    def _picture(self, key: str | None) -> web.StreamResponse:
        spool = self.watch.storage.spool
        stored: StoredObject | None = spool.find(key) if key is not None else None
        if stored is None or stored.content_type not in _PICTURES:
            raise refuse(404, "There is no such picture")
        return Streamed(
            spool.blocks(stored),
            size=stored.size,
            headers={**_PICTURE, "Content-Type": stored.content_type},
        )


async def _send(response: web.StreamResponse, name: str, body: object) -> None:
    await response.write(b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(body)))


def _asset(name: str) -> str:
    return files("piktid_async.sandbox").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
