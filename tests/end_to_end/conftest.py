"""The main job against a sandbox that wastes no time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from piktid_async import (
    AccountLimits,
    GarmentRecolor,
    Job,
    Session,
    StreamSettings,
    UploadedFile,
)
from piktid_async.sandbox import Faults, Sandbox

QUICK = StreamSettings(
    keepalive=0.2,
    silent_after=0.5,
    silent_longest=2.0,
    poll_every=0.1,
    reconnect_base=0.01,
    reconnect_cap=0.1,
    open_wait=1.0,
    close_wait=2.0,
)

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
"""Enough of a JPEG for a sandbox that renders nothing."""


@pytest.fixture
def make_sandbox() -> Callable[..., Sandbox]:
    def make(*, faults: Faults | None = None, **options: object) -> Sandbox:
        chosen = {"render": False, "seconds_per_image": 0.01, "limits": False, "keepalive": 0.1}
        return Sandbox(faults=faults, **{**chosen, **options})  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_session() -> Callable[..., Session]:
    def make(sandbox: Sandbox, **options: object) -> Session:
        chosen = {"limits": AccountLimits.unlimited(), "stream": QUICK, "timeout": 10.0}
        return Session(sandbox.token, base_url=sandbox.url, **{**chosen, **options})  # type: ignore[arg-type]

    return make


@pytest.fixture
def submit_jobs() -> Callable[[Session, int], Awaitable[list[Job]]]:
    async def submit(session: Session, count: int, *, images: int = 2) -> list[Job]:
        import asyncio

        project = await session.projects.ensure("spring-drop")
        files: list[UploadedFile] = await session.upload_many([PICTURE] * images)
        request = GarmentRecolor(project=project, images=files, reference_text="forest green")
        return await asyncio.gather(*(session.submit(request) for _ in range(count)))

    return submit
