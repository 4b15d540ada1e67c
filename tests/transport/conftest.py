"""A transport of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from piktid_async.transport._aiohttp import AiohttpTransport, NetworkConfig
from piktid_async.transport.tokens import Tokens, TokenSource
from piktid_async.types import Secret

TOKEN = "sekrit-token-0815"

OpenTransport = Callable[..., AiohttpTransport]


@pytest.fixture
async def open_transport() -> AsyncIterator[OpenTransport]:
    """Open transports that are closed when the test ends."""
    async with AsyncExitStack() as stack:

        def open_one(
            base_url: str, *, token: TokenSource | None = None, **options: Any
        ) -> AiohttpTransport:
            config = NetworkConfig(
                base_url=base_url,
                **{"timeout": 5.0, "upload_concurrency": 4, "download_concurrency": 4, **options},
            )
            transport = AiohttpTransport(config, Tokens(token or Secret(TOKEN)))
            stack.push_async_callback(transport.aclose)
            return transport

        yield open_one
