"""Pictures, and the command line as a program."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from piktid_async.sandbox import Sandbox
from tests.cli.support import Command, Ended, draw_garment, environment, secrets_in


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three small pictures in one folder."""
    return [draw_garment(tmp_path / "photos" / f"look-{number}.jpg") for number in (1, 2, 10)]


@pytest.fixture
def piktid() -> Command:
    """Run the command line as its own process, as a user does."""

    async def run(*args: Any, **env: str | None) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "piktid_async"),
            *map(str, args),
            env=environment(**env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        ended = Ended(process.returncode, out.decode(), err.decode())
        assert not secrets_in(ended, env)
        return ended

    return run


@pytest.fixture
def service(sandbox: Sandbox) -> dict[str, str]:
    """Make the sandbox the service that the command line knows."""
    return {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
