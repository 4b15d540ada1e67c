"""The weather of a chaos run: every fault of the sandbox, in a random order, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.faults import ANYWHERE, TIMES

GUST = (0.01, 0.08)
"""Seconds between faults of the first round, in which each happens once at least."""
SPELL = (0.3, 1.5)
"""Seconds for which the probabilities stay, and after which something standing comes."""
USUAL = 0.01
"""Probability of a fault at each occasion, on average, but for those below."""
LIKELY = dict.fromkeys(ANYWHERE, 0.005) | {
    "restarts": 0.0006,
    "connections_refused": 0.001,
    "stall_before": 0.002,
    "stall_after": 0.002,
    "backlog_expired": 0.01,
    "stream_hangs_up": 0.1,
    "stream_silent": 0.004,
    "stream_enormous_event": 0.001,
    "acks_fail": 0.05,
    "submit_lost": 0.02,
    "download_url_expired": 0.004,  # every picture of every list is an occasion
    "download_url_skewed": 0.004,
    "identities_fail": 0.2,
    "webhook_reorder": 0.1,
    "vtryon_create_lost": 0.2,
    "vtryon_delete_lost": 0.2,
    "vtryon_poll_errors": 0.1,
}
STANDING: dict[str, Callable[[random.Random], Any]] = {
    "stream_refuse": lambda _: True,
    "stream_cut_after_events": lambda dice: dice.randrange(4),
    "stream_cut_mid_event": lambda dice: dice.randrange(4),
    "submit_delay": lambda dice: dice.uniform(0.05, 0.5),
    "submit_status": lambda dice: dice.choices((400, 402, 403, 409, 500, 502, 503), k=2),
    "status_404_for": lambda dice: dice.uniform(0.1, 1.0),
    "retry_after": lambda dice: dice.uniform(0.1, 0.5),
}
"""What holds until it is set back some tenths of a second later."""
LASTS = (0.1, 0.5)
"""Seconds that such a fault lasts."""
MET = sorted({*TIMES, *STANDING})


def mild() -> dict[str, Any]:
    """Return how hard the faults are, so that a run takes no longer than it must."""
    return {
        "stall_seconds": 2.5,
        "down_seconds": 0.15,
        "slow_seconds": 0.5,
        "enormous_bytes": 2 << 20,
        "error_burst": 2,
    }


class Weather:
    """Commits faults on one sandbox until it is told to stop."""

    def __init__(self, sandbox: Sandbox, dice: random.Random) -> None:
        self._sandbox = sandbox
        self._dice = dice
        self.foreign: set[int] = set()
        """Ids of notifications of somebody else's jobs."""

    @contextlib.asynccontextmanager
    async def raging(self) -> AsyncIterator[None]:
        """Let faults happen while the block runs; after it all is calm."""
        self._sandbox.faults.change({"seed": self._dice.getrandbits(32), **mild()})
        storm = asyncio.create_task(self._rage())
        try:
            yield
        finally:
            storm.cancel()
            await asyncio.gather(storm, return_exceptions=True)
            self._sandbox.faults.clear()

    async def _rage(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._begin())
            while True:
                self._sandbox.faults.change({"rates": self._rates()})
                await self._stand(self._dice.choice(sorted(STANDING)))
                self.speak_of_others()
                await asyncio.sleep(self._dice.uniform(*SPELL))

    async def _begin(self) -> None:
        """Let every fault happen once."""
        deck = list(MET)
        self._dice.shuffle(deck)
        for name in deck:
            if name in STANDING:
                await self._stand(name)
            else:
                faults = self._sandbox.faults
                faults.change({name: getattr(faults, name) + 1})
                await asyncio.sleep(self._dice.uniform(*GUST))

    def _rates(self) -> dict[str, float]:
        names = [name for name in MET if name not in STANDING]
        return {name: LIKELY.get(name, USUAL) * self._dice.uniform(0, 2) for name in names}

    async def _stand(self, name: str) -> None:
        faults = self._sandbox.faults
        faults.change({name: STANDING[name](self._dice)})
        await asyncio.sleep(self._dice.uniform(*LASTS))
        faults.change({name: getattr(Faults(), name)})

    def speak_of_others(self) -> int:
        """Send a notification of a job that is not the user's; return its id."""
        job_id = f"job_of_others_{self._dice.randrange(10)}"
        data = {"id_task": job_id, "status": "processing", "processed_images": 1}
        note_id = self._sandbox.emit("batch_edit", data)
        self.foreign.add(note_id)
        return note_id
