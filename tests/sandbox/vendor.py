"""Programs written after the vendor's guides with plain `requests`, run one by one.

They stand in `guides/`; each is a process of its own, in a folder that holds its pictures.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from piktid_async.sandbox import Sandbox

GUIDES = Path(__file__).parent / "guides"


@attrs.frozen
class Ran:
    """How a program ended."""

    code: int | None
    printed: list[str]
    complaints: str

    def told(self, word: str) -> list[list[str]]:
        """Return the words of every line that begins with one, without it."""
        return [rest for first, *rest in map(str.split, self.printed) if first == word]


@asynccontextmanager
async def running(
    sandbox: Sandbox, place: Path, name: str, *arguments: str, **variables: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program; what still runs at the end is killed."""
    known = {
        "PIKTID_BASE_URL": sandbox.url,
        "PIKTID_API_TOKEN": sandbox.token,
        "VTRYON_BASE_URL": sandbox.vtryon_url,
        "VTRYON_API_KEY": sandbox.vtryon_key,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-W", "error", str(GUIDES / f"{name}.py"), *arguments),
        cwd=place,
        env=os.environ | {"NO_PROXY": "*", "PYTHONPATH": "", **known, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run(sandbox: Sandbox, place: Path, name: str, *arguments: str) -> Ran:
    """Run a program to its end."""
    async with running(sandbox, place, name, *arguments) as process:
        printed, complaints = await process.communicate()
    return Ran(process.returncode, printed.decode().splitlines(), complaints.decode())


async def done(sandbox: Sandbox, place: Path, name: str, *arguments: str) -> Ran:
    """Run a program that has nothing to complain of."""
    ran = await run(sandbox, place, name, *arguments)
    assert (ran.code, ran.complaints) == (0, ""), ran
    return ran
