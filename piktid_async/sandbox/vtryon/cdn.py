"""The origin of the results: plain links that need no key."""

from __future__ import annotations

from aiohttp import web

from piktid_async.sandbox.answers import send_blocks
from piktid_async.sandbox.spool import Spool


class Cdn:
    """Serves finished pictures under `/res/`."""

    def __init__(self, spool: Spool) -> None:
        self.origin = ""
        self.key_seen: bool = False
        self._spool = spool
        self._served: set[str] = set()

    async def add(self, name: str, picture: bytes) -> str:
        """Publish a JPEG and return its link."""
        path = f"/res/{name}"
        await self._spool.put(f"vtryon{path}", picture, content_type="image/jpeg")
        self._served.add(path)
        return self.origin + path

    def remove(self, url: str) -> None:
        """Take a picture back."""
        self._served.discard(url.removeprefix(self.origin))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request on this origin."""
        self.key_seen |= "x-api-key" in request.headers or "authorization" in request.headers
        stored = self._spool.find(f"vtryon{request.path}")
        if request.method != "GET" or request.path not in self._served or stored is None:
            return web.Response(status=404, text="Not Found")
        response = web.StreamResponse(headers={"Content-Type": stored.content_type})
        response.content_length = stored.size
        return await send_blocks(request, response, self._spool.blocks(stored))
