"""Pictures, and the command line as a program."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from piktid_async.sandbox import Sandbox
from tests.cli.support import (
    Command,
    Ended,
    Main,
    Reached,
    Stage,
    draw_garment,
    environment,
    hear_interrupts,
    secrets_in,
)


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
def reach(record_property: Callable[[str, object], None]) -> Any:
    """Start a command, and come back when it has reached some stage of its work."""

    @asynccontextmanager
    async def start(
        *args: Any, reached: Reached | bytes, sandbox: Sandbox | None = None, **env: str
    ) -> AsyncIterator[Stage]:
        if sandbox is not None:
            env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "piktid_async"),
            *map(str, args),
            env=environment(**env),
            preexec_fn=hear_interrupts,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(30):
                if isinstance(reached, bytes):
                    while reached not in (line := await process.stderr.readline()):
                        assert line, "the command ended early"
                else:
                    while not reached():
                        assert process.returncode is None, "the command ended early"
                        await asyncio.sleep(0.01)
            yield Stage(process, record_property)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    return start


@pytest.fixture
def main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Main:
    """Run the command line within the test, in the test's own folder: for what ends soon."""
    from piktid_async.cli.app import run

    def call(*args: Any, **env: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["piktid", *map(str, args)])
        for name in [name for name in os.environ if name.startswith("PIKTID_")]:
            monkeypatch.delenv(name)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return call


@pytest.fixture
def service(sandbox: Sandbox) -> dict[str, str]:
    """Make the sandbox the service that the command line knows."""
    return {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
