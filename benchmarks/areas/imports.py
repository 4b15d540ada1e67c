"""Import and start: what a program pays before it has done anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from benchmarks.harness import ROOT, Bar, Figure, Run

SESSION = """
import asyncio, piktid_async
async def main():
    async with piktid_async.Session("benchmark-token"):
        pass
asyncio.run(main())
"""
AIOHTTP_SESSION = """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession():
        pass
asyncio.run(main())
"""
BARE = "import aiohttp"


def starting(*arguments: str) -> Callable[[Run], float]:
    """Start Python some times, with its bytecode written, and return the shortest, in ms."""

    def measure(run: Run) -> float:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(run.folder)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def seconds() -> float:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            return used.ru_utime + used.ru_stime

        seconds()
        with run.timed():
            return 1e3 * min(seconds() for _ in range(run.pick(full=7, tiny=1)))

    return measure


FIGURES = (
    Figure(
        key="import",
        title="Import and start, processor time",
        unit="ms",
        cases={
            "python alone": starting("-c", "pass"),
            BARE: starting("-c", BARE),
            "import piktid_async": starting("-c", "import piktid_async"),
            "a Session, opened and closed": starting("-c", SESSION),
            "an aiohttp.ClientSession, opened and closed": starting("-c", AIOHTTP_SESSION),
            "piktid --help": starting("-m", "piktid_async", "--help"),
        },
        bars=(
            Bar("import piktid_async", of=BARE, at_most=0.5),
            Bar("a Session, opened and closed", of=BARE, at_most=1.5),
        ),
        about="The shortest of seven starts with warm files, Python's own start included.",
    ),
)
