"""A worker to be killed and frozen: python worker_program.py URL TOKEN DATABASE NAME LIMITS."""

from __future__ import annotations

import asyncio
import sys

from piktid_async import AccountLimits, PostgresCoordinator, Session
from piktid_async.batch import Worker
from tests.batch.program import QUICK

HEARTBEAT = 0.5
STALE = 3.0
"""Seconds; shorter than a freeze, so that who wakes was taken for dead."""
DOUBT_HELD = 5.0
"""Ten windows, like the ten minutes of windows that last one."""


async def main(url: str, token: str, database: str, name: str, limits: str) -> None:
    active, per_window, window = limits.split(",")
    kept = AccountLimits(int(active), {"/garment-recolor": int(per_window)}, float(window))
    coordinator = PostgresCoordinator(database, limits=kept, lease=STALE, doubt_held=DOUBT_HELD)
    async with Session(
        token, base_url=url, coordinator=coordinator, stream=QUICK, timeout=10.0
    ) as session:
        await Worker(session, database, name, heartbeat=HEARTBEAT, stale=STALE).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
