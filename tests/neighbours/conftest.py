"""A sandbox that is reached over faulty lines."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import pytest

from piktid_async import (
    AccountLimits,
    ConnectionFailedError,
    GarmentRecolor,
    Session,
    StreamSettings,
)
from piktid_async.sandbox import Faults, Sandbox
from tests.neighbours.tcp_proxy import TcpProxy, tcp_proxy

REQUIRED = os.environ.get("TESTS_REQUIRE", "").split(",")
"""Neighbours without which the run fails, such as `nginx,localstack`; `.ci/run` sets it."""


def needs(neighbour: str, found: bool, why_not: str) -> pytest.MarkDecorator:
    """Skip a module's tests where their neighbour is missing, except where it must not be."""
    assert found or neighbour not in REQUIRED, f"{neighbour} is required here, but {why_not}"
    return pytest.mark.skipif(not found, reason=why_not)


QUICK = StreamSettings(
    keepalive=0.3,
    silent_after=0.5,
    silent_longest=1.0,
    poll_every=0.1,
    reconnect_base=0.01,
    reconnect_cap=0.1,
    open_wait=2.0,
    close_wait=5.0,
)
PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 200


@attrs.frozen
class Lines:
    """A session, a sandbox, and a proxy in front of each of its two origins."""

    sandbox: Sandbox
    api: TcpProxy
    storage: TcpProxy
    session: Session

    async def recolor(self, **options: Any) -> GarmentRecolor:
        """Return a request whose picture has been uploaded."""
        project = await self.session.projects.ensure("lines")
        file = await self.session.upload(PICTURE)
        return GarmentRecolor(
            project=project, images=[file], **{"reference_text": "navy", **options}
        )

    async def acknowledged(self) -> None:
        """Wait until every notification has been deleted at the sandbox."""
        await self.api.until(lambda: not self.sandbox.books.notifications_outstanding)


async def refused(url: str) -> None:
    """Submit a job where nobody listens; it must be certain that nothing left."""
    request = GarmentRecolor(project="p", images=["a"], reference_text="navy")
    async with Session("t", base_url=url, stream=False, max_retries=0) as session:
        with pytest.raises(ConnectionFailedError, match="no connection to") as raised:
            await session.submit(request)
    assert not raised.value.sent
    assert raised.value.retryable


OpenLines = Callable[..., AbstractAsyncContextManager[Lines]]


@pytest.fixture
def open_lines() -> OpenLines:
    @asynccontextmanager
    async def lines(
        *, faults: Faults | None = None, sandbox: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[Lines]:
        chosen = {"render": False, "seconds_per_image": 0.01, "limits": False, "keepalive": 0.1}
        async with (
            Sandbox(faults=faults, **{**chosen, **(sandbox or {})}) as running,
            tcp_proxy(running.url) as api,
            tcp_proxy(running._parts.storage.origin) as storage,
        ):
            running._parts.storage.origin = storage.url  # what tickets and results lead to
            settings = {"limits": AccountLimits.unlimited(), "stream": QUICK, "timeout": 5.0}
            async with Session(
                running.token, base_url=api.url, **{**settings, **options}
            ) as session:
                yield Lines(running, api, storage, session)

    return lines
