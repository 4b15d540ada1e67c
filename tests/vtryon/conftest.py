"""The second service of a sandbox that renders nothing, and sessions that poll it quickly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from piktid_async.sandbox import Faults, Sandbox
from piktid_async.vtryon import VtryonSession
from tests.vtryon.support import QUICK, MakeSandbox, MakeSession


@pytest.fixture
def make_sandbox() -> MakeSandbox:
    def make(*, faults: Faults | None = None, **options: Any) -> Sandbox:
        return Sandbox(faults=faults, **{"render": False, "vtryon_seconds": 0.06} | options)

    return make


@pytest.fixture
def make_session() -> MakeSession:
    def make(sandbox: Sandbox, **options: Any) -> VtryonSession:
        chosen = {"base_url": sandbox.vtryon_url, "poll_interval": QUICK, "timeout": 10.0}
        return VtryonSession(sandbox.vtryon_key, **chosen | options)

    return make


@pytest.fixture
async def sandbox(make_sandbox: MakeSandbox) -> AsyncIterator[Sandbox]:
    async with make_sandbox() as running:
        yield running


@pytest.fixture
async def session(sandbox: Sandbox, make_session: MakeSession) -> AsyncIterator[VtryonSession]:
    async with make_session(sandbox) as opened:
        yield opened
