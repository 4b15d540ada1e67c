"""One listening socket and the application behind it."""

from __future__ import annotations

from aiohttp import web
from yarl import URL

from piktid_async.sandbox.middleware import Traffic

# Answers under way when the server stops may take this many seconds.
_GRACE = 0.05
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Origin:
    """Serves routes on a port of its own."""

    def __init__(
        self, routes: list[web.RouteDef], *middlewares: object, request_delay: float
    ) -> None:
        self._traffic = Traffic(request_delay=request_delay)
        app = web.Application(middlewares=[self._traffic.middleware, *middlewares])  # type: ignore[list-item]
        app.add_routes(routes)
        # A handler whose client has gone is of no use; above all a stream nobody reads.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE
        )
        self.url: str = ""

    async def start(self, host: str, port: int) -> None:
        """Listen; `url` is known from then on."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        address, bound = self._runner.addresses[0][:2]
        reachable = _ANY_ADDRESS.get(address) or str(address)
        self.url = str(URL.build(scheme="http", host=reachable, port=bound))

    async def stop(self) -> None:
        """Stop listening, and end what is under way."""
        await self._runner.cleanup()
        await self._traffic.close()
