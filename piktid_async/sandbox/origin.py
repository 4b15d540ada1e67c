"""One listening socket and the application behind it."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs
from aiohttp import web
from yarl import URL

from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.middleware import Bookkeeping, Traffic, route
from piktid_async.sandbox.mishaps import Mishaps

# Answers under way when the server stops may take this many seconds.
_GRACE = 0.05
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@attrs.frozen(kw_only=True)
class Common:
    """What all origins of a sandbox share."""

    faults: Faults
    ledger: Ledger
    restart: Callable[[], None]
    """Lets the whole server restart soon."""
    request_delay: float


class Origin:
    """Serves routes on a port of its own.

    A port that refuses connections, for a while or because the server was killed, stays bound:
    nobody else can take it meanwhile.
    """

    def __init__(
        self,
        routes: list[web.RouteDef],
        *middlewares: object,
        common: Common,
        place: Callable[[web.Request], str] = route,
    ) -> None:
        """Prepare; `place` says where a request goes, for its count and for `Faults.on`."""
        self._routes = routes
        self._traffic = Traffic(request_delay=common.request_delay, place=place)
        mishaps = Mishaps(
            faults=common.faults, place=place, refuse=self.refuse, restart=common.restart
        )
        self._middlewares = [
            self._traffic.middleware,
            mishaps.middleware,
            *middlewares,
            Bookkeeping(common.ledger).middleware,
        ]
        self._runner: web.AppRunner | None = None
        self._sockets: list[socket.socket] = []
        """Listening, or bound only as long as the port refuses."""
        self._changing = asyncio.Lock()
        self._again = asyncio.Event()
        self._reopening: asyncio.Task[None] | None = None
        self.url: str = ""
        self.former_port: int = 0
        """Of a former life of the same state: taken again if it is free."""

    @property
    def requests(self) -> Counter[str]:
        """How often each place was asked, with the method before it."""
        return self._traffic.requests

    @property
    def port(self) -> int:
        """The port; 0 before it was ever opened."""
        return URL(self.url).port or 0 if self.url else 0

    async def start(self, host: str, port: int = 0) -> None:
        """Listen, on the same port as before if it was killed; `url` is known from then on."""
        app = web.Application(middlewares=self._middlewares)  # type: ignore[arg-type]
        app.add_routes(self._routes)
        # A handler whose client has gone is of no use; above all a stream nobody reads.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE
        )
        await self._runner.setup()
        if self._sockets:
            await self._listen(self._runner)
            return
        try:
            await self._listen_on(self._runner, host, port or self.former_port)
        except OSError:
            if port or not self.former_port:
                raise
            await self._listen_on(self._runner, host, 0)
        address, bound = self._sockets[0].getsockname()[:2]
        reachable = _ANY_ADDRESS.get(address) or str(address)
        self.url = str(URL.build(scheme="http", host=reachable, port=bound))

    async def refuse(self, seconds: float) -> None:
        """Take no new connection for so many seconds; return as soon as that has begun."""
        # Whoever asked for it may be gone before it is done.
        await asyncio.shield(asyncio.create_task(self._refuse(seconds), name="sandbox port"))

    async def kill(self) -> None:
        """Reset every connection and hold the port, as if the process had been killed."""
        async with self._changing:
            if self._runner is None:
                return
            await self._end_refusal()
            await self._close_ports(self._runner)
            self._traffic.reset()
            await self._end(self._runner)

    async def stop(self) -> None:
        """Stop listening, end what is under way, and let go of the port."""
        async with self._changing:
            if self._runner is None:
                return
            await self._end_refusal()
            await self._pause()
            await self._end(self._runner)
            self.release()

    def release(self) -> None:
        """Let go of a port that is held."""
        while self._sockets:
            self._sockets.pop().close()

    async def _refuse(self, seconds: float) -> None:
        async with self._changing:
            if self._runner is None:
                return
            await self._end_refusal()
            await self._close_ports(self._runner)
            self._again = asyncio.Event()
            reopening = self._reopen(self._runner, seconds, self._again)
            self._reopening = asyncio.create_task(reopening, name="sandbox port")

    async def _end(self, runner: web.AppRunner) -> None:
        self._runner = None
        await runner.cleanup()
        await self._traffic.close()

    async def _listen_on(self, runner: web.AppRunner, host: str, port: int) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._sockets.append(_bound(family, address))
            await self._listen(runner)
        except BaseException:
            self.release()
            raise

    async def _listen(self, runner: web.AppRunner) -> None:
        for each in self._sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await web.SockSite(runner, each).start()

    async def _pause(self) -> None:
        # A connection that was accepted a moment ago needs a server that is still there.
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            if each.fileno() >= 0:
                loop.remove_reader(each)
        await asyncio.sleep(0)

    async def _close_ports(self, runner: web.AppRunner) -> None:
        await self._pause()
        addresses = [(each.family, each.getsockname()) for each in self._sockets]
        for site in list(runner.sites):
            await site.stop()
        self.release()
        self._sockets += [_bound(family, address) for family, address in addresses]

    async def _reopen(self, runner: web.AppRunner, seconds: float, again: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await again.wait()
        await self._listen(runner)

    async def _end_refusal(self) -> None:
        # Not cancelled: half a start would leave a socket behind.
        self._again.set()
        if self._reopening is not None:
            await self._reopening
            self._reopening = None


def _bound(family: int, address: Any) -> socket.socket:
    # Bound and not listening: the system refuses every connection. The port is shared with the
    # connections that are left of its former life, and from then on with nobody else.
    held = socket.socket(family)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.setblocking(False)
        held.bind(address)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        held.close()
        raise
    return held
