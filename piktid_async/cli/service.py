"""The session of a command: with the service, or with a sandbox that ends with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from piktid_async import Session, StreamSettings

PROXY_VARIABLE = "PIKTID_PROXY"
QUICK_TO_END = StreamSettings(close_wait=0.5)
"""What is not acknowledged when a command ends will be replayed, and harms nobody."""


@asynccontextmanager
async def session_with(*, sandbox: bool = False, **settings: Any) -> AsyncIterator[Session]:
    """Open a session; `settings` are those of `Session`."""
    settings.setdefault("stream", QUICK_TO_END)
    if not sandbox:
        async with Session(proxy=proxy(), **settings) as session:
            yield session
        return
    from piktid_async.sandbox import Sandbox

    async with (
        Sandbox() as server,
        Session(token=server.token, base_url=server.url, **settings) as session,
    ):
        yield session


def proxy() -> str | None:
    """Return the proxy that is set for the command line."""
    return os.environ.get(PROXY_VARIABLE) or None


def service_name() -> str:
    """Return the host that is asked, or a word for it."""
    host = urlsplit(os.environ.get("PIKTID_BASE_URL") or "").hostname
    return host or "the PiktID service"
