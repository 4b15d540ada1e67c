"""Runs the programs of `benchmarks/` as a user does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import attrs

FOLDER = Path(__file__).parents[2] / "benchmarks"


@attrs.frozen
class Ended:
    """How a program ended."""

    code: int | None
    out: str
    err: str

    @property
    def told(self) -> str:
        """All that it has printed, for a test that fails."""
        return f"{self.out}\n{self.err}"


async def run(program: str, *arguments: str) -> Ended:
    """Run one to its end, with warnings as errors."""
    return await _run(str(FOLDER / program), *arguments)


async def run_module(module: str, *arguments: str) -> Ended:
    """Run one that is a module of a package."""
    return await _run("-m", module, *arguments)


async def _run(*arguments: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", *arguments),
        cwd=FOLDER.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode, out.decode(), err.decode())
