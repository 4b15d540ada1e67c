"""The origin of the results: plain links that need no key."""

from __future__ import annotations

from aiohttp import web

from piktid_async.sandbox.answers import Streamed
from piktid_async.sandbox.spool import Spool


class Cdn:
    """Serves finished pictures under `/res/`."""

    def __init__(self, spool: Spool) -> None:
        self.origin = ""
        self.key_seen: bool = False
        self._spool = spool
        self.served: set[str] = set()

    async def add(self, name: str, picture: bytes, content_type: str = "image/jpeg") -> str:
        """Publish a picture and return its link."""
        path = f"/res/{name}"
        await self._spool.put(f"vtryon{path}", picture, content_type=content_type)
        self.served.add(path)
        return self.origin + path

    def remove(self, url: str) -> None:
        """Take a picture back."""
        self.served.discard(url.removeprefix(self.origin))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request on this origin."""
        self.key_seen |= "x-api-key" in request.headers or "authorization" in request.headers
        stored = self._spool.find(f"vtryon{request.path}")
        if request.method != "GET" or request.path not in self.served or stored is None:
            return web.Response(status=404, text="Not Found")
        return Streamed(
            self._spool.blocks(stored),
            size=stored.size,
            headers={"Content-Type": stored.content_type},
        )
