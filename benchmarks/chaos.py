"""Many jobs under all faults of the sandbox at once; at the end every book must balance.

    python benchmarks/chaos.py --jobs 500 --seeds 20
    python benchmarks/chaos.py --jobs 500 --seed 7     # one of them again
    python benchmarks/chaos.py --control guess         # a client that must be caught

A seed draws the items, their pictures and the faults; the order in which all this meets is left
to the machine. Exit codes: 0 all books balance, 1 some do not.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import textwrap
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import attrs
from chaos_books import Ledger
from chaos_client import CarefulUser
from chaos_items import KINDS, SCALE, Item, draw_items
from chaos_sides import Sides
from chaos_spoils import spoil
from chaos_weather import MET, Weather
from leaks import futures_waiting, open_descriptors, tasks_alive
from tables import table

from piktid_async import AccountLimits, Session, StreamSettings
from piktid_async.sandbox import Sandbox, SandboxLimits
from piktid_async.vtryon import VtryonSession

MOST_SHOWN = 12
"""Problems of one seed that are printed."""
WINDOW = 1.0
PER_MINUTE = dict.fromkeys(("/garment-recolor", "/create-packshot", "/flat-2-model"), 60) | {
    "/model-swap": 60,
    "/edit-chat": 60,
}
ACTIVE_JOBS = 40
TIMEOUT = 2.0
"""Seconds of a call, shorter than what stalls."""
STREAM = StreamSettings(
    keepalive=0.4,
    silent_after=1.0,
    silent_longest=4.0,
    poll_every=0.3,
    reconnect_base=0.02,
    reconnect_cap=0.3,
    open_wait=2.0,
    close_wait=15.0,
)


@attrs.define
class Report:
    """What one seed has shown."""

    seed: int
    jobs: int = 0
    credits: float = 0.0
    outputs: int = 0
    faults: Counter[str] = attrs.field(factory=Counter)
    doubts: int = 0
    found: int = 0
    again: int = 0
    acks: int = 0
    gone: int = 0
    reconnects: int = 0
    seconds: float = 0.0
    retried: Counter[str] = attrs.field(factory=Counter)
    problems: list[str] = attrs.field(factory=list)

    HEAD = ("seed", "jobs", "credits", "outputs", "faults", "in doubt", "found", "again", "acks")
    HEAD += ("gone", "reconnects", "seconds", "verdict")

    def row(self) -> tuple[object, ...]:
        """Return the line of the table."""
        counts = (self.doubts, self.found, self.again, self.acks, self.gone, self.reconnects)
        return (
            self.seed,
            self.jobs,
            f"{self.credits:g}",
            self.outputs,
            self.faults.total(),
            *counts,
            f"{self.seconds:.1f}",
            "FAILED" if self.problems else "balances",
        )


async def run_seed(seed: int, jobs: int, chosen: argparse.Namespace) -> Report:
    """Let one user and one weather loose on one sandbox, and compare the books."""
    report = Report(seed)
    began = time.monotonic()
    noise: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: noise.append(_described(context))
    )
    watching = _Errors(noise)
    logging.getLogger("piktid_async").addHandler(watching)
    before = open_descriptors(), futures_waiting()
    with tempfile.TemporaryDirectory(prefix="piktid-chaos-") as folder:
        dice = random.Random(seed)
        items = draw_items(jobs, dice, Path(folder))
        try:
            await _storm(report, items, dice, chosen)
        except Exception as error:
            report.problems.append(f"the program ended with {_told(error)}")
    logging.getLogger("piktid_async").removeHandler(watching)
    report.problems += [f"told to nobody but the log: {text}" for text in noise]
    report.problems += await _left_behind(*before, chosen.grace)
    report.seconds = time.monotonic() - began
    return report


class _Errors(logging.Handler):
    """Notes what is logged as an error: both sides do that only for what must not happen."""

    def __init__(self, noise: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._noise = noise

    def emit(self, record: logging.LogRecord) -> None:
        self._noise.append(self.format(record))


async def _storm(
    report: Report, items: list[Item], dice: random.Random, chosen: argparse.Namespace
) -> None:
    async with _sandbox(render=chosen.render or "marked") as sandbox:
        quiet = open_descriptors()["socket"]
        session, vtryon = _sessions(sandbox)
        user = CarefulUser(session, naive=chosen.control == "guess")
        beside = items[0].sources[0].parent, random.Random(dice.random())
        sides = Sides(sandbox, session, vtryon, *beside, jobs=len(items))
        weather = Weather(sandbox, random.Random(dice.random()))
        ledger = Ledger(items, sandbox.books, user.delivered, weather.foreign, user.preparing)
        if chosen.control == "guess":
            sandbox.faults.submit_lost = 3  # so that it has something to guess at
        try:
            async with (
                session,
                vtryon,
                asyncio.timeout(chosen.longest),
                user.watching(),
                sides.webhook(),
            ):
                async with weather.raging(), asyncio.TaskGroup() as group:
                    group.create_task(user.serve(items))
                    group.create_task(sides.go())
                await user.settle(items)
                if chosen.control == "spoil":
                    await spoil(session, items, weather, user.delivered)
                await _replay(sandbox, chosen.grace)
                # Closing sends the acknowledgements that still wait for another try.
                await _until(lambda: not any(ledger.notifications()), 1.0)
        except TimeoutError:
            report.problems.append(f"it hangs, after {chosen.longest:g} s")
        finally:
            report.problems += [*ledger.differences(), *sides.differences()]
            _tell(report, ledger, sandbox, user)
        if not await _until(lambda: open_descriptors()["socket"] <= quiet, chosen.grace):
            count = open_descriptors()["socket"] - quiet
            report.problems.append(f"{count} connections are open after the session has closed")


def _sandbox(*, render: bool | Literal["marked"]) -> Sandbox:
    return Sandbox(
        image_scale=SCALE,
        render=render,
        seconds_per_image=0.02,
        vtryon_seconds=0.1,
        keepalive=0.2,
        limits=SandboxLimits(active_jobs=ACTIVE_JOBS, per_minute=PER_MINUTE, window=WINDOW),
    )


def _sessions(sandbox: Sandbox) -> tuple[Session, VtryonSession]:
    session = Session(
        sandbox.token,
        base_url=sandbox.url,
        limits=AccountLimits(ACTIVE_JOBS, PER_MINUTE, WINDOW),
        timeout=TIMEOUT,
        stream=STREAM,
    )
    vtryon = VtryonSession(
        sandbox.vtryon_key, base_url=sandbox.vtryon_url, timeout=TIMEOUT, poll_interval=0.2
    )
    return session, vtryon


async def _replay(sandbox: Sandbox, grace: float) -> None:
    """Have everything that is not acknowledged shown once more."""
    before = sandbox.books.stream_connections
    await sandbox.cut_streams()
    await _until(lambda: sandbox.books.stream_connections > before, grace)


def _tell(report: Report, ledger: Ledger, sandbox: Sandbox, user: CarefulUser) -> None:
    books = sandbox.books
    report.jobs = sum(job.kind in KINDS for job in books.jobs.values())
    report.credits = books.credits_charged
    report.outputs = sum(output.status == "completed" for output in books.outputs)
    report.faults = Counter(sandbox.faults.counts)
    report.doubts = sum(each.doubts for each in ledger.generations)
    report.found = sum(each.found for each in ledger.generations)
    report.again = sum(each.refused for each in ledger.generations)
    report.acks = len(books.acknowledged)
    report.gone = len(books.notifications_gone)
    report.reconnects = books.stream_connections - 1
    report.retried = user.retried


async def _left_behind(descriptors: Counter[str], futures: int, grace: float) -> list[str]:
    problems = []
    if not await _until(lambda: not tasks_alive(), grace):
        problems.append(f"tasks are left: {', '.join(sorted(tasks_alive()))}")
    if not await _until(lambda: open_descriptors() <= descriptors, grace):
        problems.append(f"descriptors are left: {dict(open_descriptors() - descriptors)}")
    if (waiting := futures_waiting()) > futures:
        problems.append(f"{waiting - futures} futures are left waiting")
    return problems


async def _until(reached: Callable[[], bool], grace: float) -> bool:
    deadline = time.monotonic() + grace
    while not reached():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def _described(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message')} {error!r}"


def _told(error: BaseException) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return "".join(traceback.format_exception(error))


def show(reports: list[Report]) -> None:
    """Print the tables."""
    print()
    print(table(Report.HEAD, [report.row() for report in reports]))
    faults = sum((report.faults for report in reports), Counter[str]())
    print("\nfaults that happened:")
    print(table(("fault", "times"), [(name, faults[name]) for name in MET]))
    retried = sum((report.retried for report in reports), Counter[str]())
    print("\nwhat the user had to do again:")
    print(table(("after", "times"), sorted(retried.items())))


def tell_problems(report: Report, chosen: argparse.Namespace, jobs: int) -> None:
    """Print what is wrong with a seed, and how to run it again."""
    verdict = "FAILED" if report.problems else "balances"
    print(f"seed {report.seed}: {verdict}, {report.seconds:.1f} s", flush=True)
    for problem in report.problems[:MOST_SHOWN]:
        print(textwrap.indent(problem, "  "))
    if len(report.problems) > MOST_SHOWN:
        print(f"  and {len(report.problems) - MOST_SHOWN} more")
    if report.problems:
        flags = f" --control {chosen.control}" if chosen.control else ""
        print(f"  again: python benchmarks/chaos.py --jobs {jobs} --seed {report.seed}{flags}")


def main() -> int:
    """Run the seeds that were asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=500, help="items, each a job of its own")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, from --first on")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--short", action="store_true", help="25 jobs, 2 seeds")
    parser.add_argument(
        "--control",
        choices=("guess", "spoil"),
        help="a client that must be caught: it submits again on a guess, or spoils all it can",
    )
    parser.add_argument("--render", action="store_true", help="draw every picture, which is slow")
    parser.add_argument("--longest", type=float, default=600.0, help="seconds of a seed at most")
    parser.add_argument("--grace", type=float, default=15.0, help="seconds for what must end then")
    parser.add_argument("--verbose", action="store_true", help="show the client's log")
    chosen = parser.parse_args()
    jobs, seeds = (25, 2) if chosen.short else (chosen.jobs, chosen.seeds)
    logging.basicConfig(level=logging.INFO if chosen.verbose else logging.CRITICAL)
    only = chosen.seed is not None
    wanted = [chosen.seed] if only else range(chosen.first, chosen.first + seeds)
    reports = []
    for seed in wanted:
        report = asyncio.run(run_seed(seed, jobs, chosen))
        reports.append(report)
        tell_problems(report, chosen, jobs)
    show(reports)
    return int(any(report.problems for report in reports))


if __name__ == "__main__":
    sys.exit(main())
