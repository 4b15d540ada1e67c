"""What the services need from a network, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from piktid_async.protocol.messages import Body as Body
from piktid_async.protocol.messages import Reader as Reader
from piktid_async.protocol.messages import Request, Response


@attrs.frozen(kw_only=True)
class Put:
    """One upload to a signed URL."""

    url: str = attrs.field(repr=False)
    """Sent byte for byte."""
    content_type: str
    body: Body
    stall: float
    """Seconds without a byte of progress after which the attempt is given up."""
    on_sent: Callable[[int], None]
    """Told the bytes sent in this attempt, from 0."""


class Incoming(Protocol):
    """A download under way."""

    @property
    def size(self) -> int | None:
        """Bytes that the server announced."""

    @property
    def content_type(self) -> str:
        """As the server calls it."""

    def blocks(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they come."""


class Transport(Protocol):
    """Connections of one event loop."""

    async def send(self, request: Request) -> Response:
        """Send an API request with the token; raises `ConnectionFailedError` without an answer."""

    def stream(
        self, request: Request, idle: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the event stream; `idle` seconds without a byte end it."""

    async def put(self, put: Put) -> Response:
        """Upload to a signed URL, with nothing of ours but the body and its type."""

    def get(self, url: str) -> AbstractAsyncContextManager[Incoming]:
        """Download without a token."""

    async def aclose(self) -> None:
        """Close every connection."""
