"""What a receiver needs of a request that comes in, whichever server took it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from piktid_async.protocol.signatures import Headers, values

Blocks: TypeAlias = AsyncIterator[bytes]
Answer: TypeAlias = Callable[[str, Headers, Blocks], Awaitable[int]]
"""Method, headers and body in; the status to answer with comes out."""


class ClientGoneError(Exception):
    """The body ended before its end; there is nobody to answer."""


async def read_bounded(headers: Headers, blocks: Blocks, most: int) -> bytes | None:
    """Read a body of at most `most` bytes; None for a longer one, without reading on.

    The announced length only saves the reading. What counts is what comes: the length may be
    absent or a lie.
    """
    announced = next(values(headers, "Content-Length"), "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most:
        return None
    body = bytearray()
    async for block in blocks:
        body += block
        if len(body) > most:
            return None
    return bytes(body)
