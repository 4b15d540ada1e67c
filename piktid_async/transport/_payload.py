"""An upload's body for aiohttp: known length, block by block, nothing awaited after the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import Payload
from aiohttp.abc import AbstractStreamWriter

from piktid_async.errors import UploadError
from piktid_async.transport.base import Body, Reader

YIELD_EVERY = 256 * 1024
"""Bytes after which the loop gets a turn: a fast receiver never makes drain wait."""
WAITING = 128 * 1024
"""Bytes of one upload that wait to be sent; over TLS, asyncio lets it be four times as many."""


class BodyPayload(Payload):
    """Write one pass over a body."""

    # Tells aiohttp not to send the body again by itself: attempts are ours to count.
    _consumed = True
    # Readers are closed by the pass that opened them.
    _autoclose = True

    def __init__(self, body: Body, content_type: str, on_sent: Callable[[int], None]) -> None:
        super().__init__(body, content_type=content_type)
        self._size = body.size
        self._body = body
        self._on_sent = on_sent
        self.sent = 0
        """Bytes that were written."""
        self.failure: Exception | None = None
        """What the source or the callback raised; aiohttp reports it as a broken connection."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002
        """Refuse: a body is never wanted as text."""
        raise TypeError("an upload has no text form")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the whole body."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self,
        writer: AbstractStreamWriter,
        content_length: int | None,  # noqa: ARG002  (the body knows its own)
    ) -> None:
        """Write exactly the announced bytes, or fail and so break the request off."""
        size = self._body.size
        next_yield = YIELD_EVERY
        if (transport := getattr(writer, "transport", None)) is not None:
            transport.set_write_buffer_limits(high=WAITING)
        ours = _Ours(self)
        with ours:
            self._on_sent(0)
            reader = self._body.open()
        try:
            while self.sent < size:
                with ours:
                    block = await self._next(reader)
                self.sent += len(block)
                # The server answers at the last byte. A writer that is still waiting then
                # costs the connection, so the last block does not wait for the drain.
                await writer.write(block, drain=self.sent < size)  # type: ignore[call-arg]
                with ours:
                    self._on_sent(self.sent)
                if next_yield <= self.sent < size:
                    next_yield = self.sent + YIELD_EVERY
                    await asyncio.sleep(0)
        finally:
            reader.close()

    async def _next(self, reader: Reader) -> bytes | bytearray:
        """Return the next block; the last one only if nothing follows it."""
        size, label = self._body.size, self._body.label
        block = await reader.read()
        if not block:
            raise UploadError(label, f"ended after {self.sent} of {size} bytes")
        left = size - self.sent - len(block)
        if left < 0 or (left == 0 and await reader.read()):
            raise UploadError(label, f"gave more than its {size} bytes")
        return block


class _Ours:
    """A step of ours: what it raises is kept, for aiohttp will not tell it."""

    __slots__ = ("_payload",)

    def __init__(self, payload: BodyPayload) -> None:
        self._payload = payload

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            self._payload.failure = error
