"""TCP connections: telling them apart, and ending them rudely."""

from __future__ import annotations

import asyncio
import socket
import struct
import weakref

from aiohttp import web


class Connections:
    """Counts distinct connections. One that carries many requests counts once."""

    def __init__(self) -> None:
        self._known: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self.ever: int = 0

    def note(self, request: web.BaseRequest) -> None:
        """Count the connection of `request`, unless it was counted before."""
        transport = request.transport
        if transport is not None and transport not in self._known:
            self._known.add(transport)
            self.ever += 1

    def abort(self) -> None:
        """Drop every connection that is still there, with whatever it has not sent yet."""
        for transport in list(self._known):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()

    def reset(self) -> None:
        """Reset every connection that is still there."""
        for transport in list(self._known):
            _reset(transport)


def hang_up(request: web.BaseRequest) -> None:
    """Close the connection once what was written has gone out, without ending the response."""
    if request.transport is not None:
        request.transport.close()


def reset(request: web.BaseRequest) -> web.Response:
    """Close the connection with a TCP reset; return a response that nobody will get."""
    if request.transport is not None:
        _reset(request.transport)
    return web.Response()


def _reset(transport: asyncio.BaseTransport) -> None:
    if not isinstance(transport, asyncio.WriteTransport) or transport.is_closing():
        return
    # Lingering for zero seconds is how a program asks its kernel for a RST.
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
