"""How much of what the account's limits allow is used: 60 submissions beside the best schedule.

    python benchmarks/limits.py                        # a window of 6 s, five runs, 18 minutes
    python benchmarks/limits.py --window 60 --runs 1   # the service's own minute
    python benchmarks/limits.py --only windows --runs 1

The sandbox keeps the documented limits, in a shorter minute: 5 submissions in a window for each
endpoint, and 5 jobs at once. No schedule is shorter than the bound that is printed: a window
opens when the fifth last submission is a window old, a slot when a job ends. Exit codes: 0 all
is well, 1 something was refused, or the median of the runs is above `--most` times the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import platform
import statistics
import sys
import time

import attrs
from tables import table

from piktid_async import (
    AccountLimits,
    CreatePackshot,
    GarmentRecolor,
    PackshotInstruction,
    Session,
    StreamSettings,
)
from piktid_async.models.requests import JobRequest
from piktid_async.sandbox import Sandbox, SandboxLimits

JOBS = 60
ACTIVE_JOBS = 5
PER_WINDOW = 5
PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
STREAM = StreamSettings(close_wait=30.0)


@attrs.frozen
class Scenario:
    """What holds the submissions back."""

    name: str
    endpoints: int
    windows_per_job: float
    """How long a job runs, in windows."""

    def bound(self, window: float) -> float:
        """Return the seconds that no schedule can fall below."""
        job = self.windows_per_job * window
        of_each = math.ceil(JOBS / self.endpoints)
        by_windows = (math.ceil(of_each / PER_WINDOW) - 1) * window + job
        by_slots = math.ceil(JOBS / ACTIVE_JOBS) * job
        return max(by_windows, by_slots)


SCENARIOS = (
    Scenario("windows", endpoints=1, windows_per_job=0.1),
    Scenario("slots", endpoints=1, windows_per_job=1.2),
    Scenario("two endpoints", endpoints=2, windows_per_job=0.6),
)


@attrs.frozen
class Run:
    """One run: how long it took, and how often the sandbox said no."""

    seconds: float
    refused: int


async def play(scenario: Scenario, window: float) -> Run:
    """Submit all at once, and wait for all."""
    limits = dict.fromkeys(("/garment-recolor", "/create-packshot"), PER_WINDOW)
    server = Sandbox(
        render=False,
        seconds_per_image=scenario.windows_per_job * window,
        limits=SandboxLimits(active_jobs=ACTIVE_JOBS, per_minute=limits, window=window),
    )
    ours = AccountLimits(ACTIVE_JOBS, limits, window)
    async with (
        server as sandbox,
        Session(sandbox.token, base_url=sandbox.url, limits=ours, stream=STREAM) as session,
    ):
        requests = (await _requests(session))[: scenario.endpoints]
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(JOBS):
                group.create_task(session.run(requests[number % len(requests)]))
        seconds = time.monotonic() - began
        asked = sum(sandbox.books.api_requests[f"POST {path}"] for path in limits)
        return Run(seconds, asked - sandbox.books.jobs_created)


async def _requests(session: Session) -> list[JobRequest]:
    project = await session.projects.ensure("limits")
    file = await session.upload(PICTURE)
    return [
        GarmentRecolor(project=project, images=[file], reference_text="navy"),
        CreatePackshot(
            project=project, images=[file], instructions=[PackshotInstruction(style="flat_lay")]
        ),
    ]


async def main() -> int:
    """Play what was chosen, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--window", type=float, default=6.0, help="seconds of the sandbox's minute")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=[each.name for each in SCENARIOS])
    parser.add_argument("--most", type=float, default=1.05, help="times the bound")
    chosen = parser.parse_args()
    print(
        f"Python {platform.python_version()} on {platform.machine()}; {JOBS} jobs, {PER_WINDOW} "
        f"in {chosen.window:g} s for each endpoint, {ACTIVE_JOBS} at once\n"
    )
    rows, well = [], True
    for scenario in SCENARIOS:
        if chosen.only not in (None, scenario.name):
            continue
        runs = [await play(scenario, chosen.window) for _ in range(chosen.runs)]
        bound = scenario.bound(chosen.window)
        median = statistics.median(run.seconds for run in runs)
        refused = sum(run.refused for run in runs)
        well &= not refused and median <= chosen.most * bound
        worst = max(run.seconds for run in runs) / bound
        rows.append(
            (
                *(scenario.name, f"{bound:.2f}", f"{median:.2f}"),
                *(f"{median / bound:.4f}", f"{worst:.4f}", refused),
            )
        )
    print(table(("held back by", "bound s", "median s", "ratio", "worst", "429s"), rows))
    print("\nall is well" if well else "\nFAILED")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
