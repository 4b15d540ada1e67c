"""Kill and freeze three workers while they empty one queue, and read the books."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import attrs

from piktid_async import GarmentRecolor, PostgresCoordinator, Session
from piktid_async.batch import Batch, read_folder
from piktid_async.batch.ledger import State
from piktid_async.sandbox import Faults, Sandbox, SandboxLimits
from tests.batch.killing import Plan, Show, draw_products
from tests.batch.program import SETTINGS
from tests.batch.worker_program import STALE

WORKERS = 3
FROZEN = 7.0
"""Seconds; more than twice as long as a worker may be silent."""
UNDER_WAY = {State.PENDING, State.INTENT, State.SUBMITTED, State.TERMINAL}
PATIENCE = 240.0
PROGRAMS = Path(__file__).parent
# The worker's program shares names with the tests, which an installed package does not bring along.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROGRAMS.parents[1])}


@attrs.frozen(kw_only=True)
class WorkPlan(Plan):
    """How often, besides being killed, a worker is frozen."""

    freezes: int


@attrs.frozen(kw_only=True)
class WorkBooks:
    """What was found when all was over."""

    program: str
    products: int
    kills: int
    freezes: int
    jobs: int
    credits_charged: float
    files: int
    left_over: int
    """Half-written files."""
    lost_answers: int
    refused_with_5xx: int
    caught: int
    """Submissions that were under way in a worker that was killed or frozen."""
    found: int
    """Doubts that the workers have settled by themselves."""
    in_doubt: int
    """Doubts that nobody but the user could settle."""
    listed: int
    """Of them, those that `piktid batch doubts --database` tells."""
    lost_in_doubt: int
    """Jobs that the ledger did not know by then."""
    states: dict[str, int]
    seconds: float


class Crew(Show):
    """Three programs on one sandbox, killed and frozen by turns."""

    def __init__(
        self, plan: WorkPlan, sandbox: Sandbox, arguments: Callable[[int], list[str]]
    ) -> None:
        super().__init__(plan, Path(), sandbox)
        self._arguments = arguments
        self._crew: list[asyncio.subprocess.Process] = []
        self._freezes = plan.freezes
        self._kills = plan.kills
        self._waking: set[asyncio.Task[None]] = set()
        self.kills = self.freezes = 0

    async def hire(self) -> None:
        self._crew = [await self._start(number) for number in range(WORKERS)]

    async def harass(self, caught: Callable[[], object], over: Callable[[], bool]) -> None:
        """Kill and freeze as planned, as requests come in."""
        span = self._plan.products * 5
        blows = [True] * self._kills + [False] * self._freezes
        self._dice.shuffle(blows)
        points = sorted(self._dice.sample(range(1, span), len(blows)))
        for point, deadly in zip(points, blows, strict=True):
            self._spoil()
            await _until(lambda point=point: self._requests() >= point or over())
            await asyncio.sleep(self._dice.uniform(0, 0.05))
            await (self._kill() if deadly else self._freeze())
            caught()
        self._spoil()

    async def dismiss(self) -> None:
        for task in self._waking:
            task.cancel()
        await asyncio.gather(*self._waking, return_exceptions=True)
        for process in self._crew:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    def all_ended(self) -> bool:
        return all(process.returncode is not None for process in self._crew)

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments(number),
            env=ENVIRONMENT,
        )

    def _victim(self) -> int | None:
        alive = [each for each in range(WORKERS) if self._crew[each].returncode is None]
        return self._dice.choice(alive) if alive else None

    async def _kill(self) -> None:
        if (number := self._victim()) is not None:
            self._crew[number].send_signal(signal.SIGKILL)
            await self._crew[number].wait()
            self.kills += 1
            self._crew[number] = await self._start(number)

    async def _freeze(self) -> None:
        if (number := self._victim()) is not None:
            process = self._crew[number]
            process.send_signal(signal.SIGSTOP)
            self.freezes += 1
            task = asyncio.create_task(self._wake(process))
            self._waking.add(task)
            task.add_done_callback(self._waking.discard)

    async def _wake(self, process: asyncio.subprocess.Process) -> None:
        await asyncio.sleep(FROZEN)
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)


async def play_workers(plan: WorkPlan, folder: Path, database: str) -> WorkBooks:
    """Make the products with workers that are killed and frozen; settle what is left."""
    began, name = time.monotonic(), uuid.uuid4().hex[:12]
    images = folder / "products"
    draw_products(images, plan)
    async with _sandbox(plan) as sandbox:
        coordinator = PostgresCoordinator(database, lease=STALE)
        crew = Crew(
            plan,
            sandbox,
            lambda _: [
                *(str(PROGRAMS / "worker_program.py"), sandbox.url, sandbox.token),
                *(database, name, plan.limits),
            ],
        )
        async with (
            Session(sandbox.token, base_url=sandbox.url, coordinator=coordinator) as session,
            Batch(session, database, name=name, directory=folder / "results") as batch,
        ):
            told = await batch.enqueue(read_folder(images, (GarmentRecolor, SETTINGS)))
            assert told.added == plan.products, told
            seen: set[str] = set()
            looking = asyncio.create_task(_watch_doubts(batch, seen))
            try:
                await crew.hire()
                await crew.harass(lambda: None, lambda: False)
                await _ended(batch)
                doubts = [doubt.product.key async for doubt in batch.in_doubt()]
                listed = await _listed(database, name)
                known = await batch._store.known_jobs(sandbox.books.jobs)
                lost = sandbox.books.jobs_created - len(known)
                sandbox.faults.submit_status, sandbox.faults.submit_lost = [], 0
                for key in doubts:
                    await batch.settle(key, resubmit=True)
                await _ended(batch)
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
                await crew.dismiss()
            faults = sandbox.faults.counts
            return WorkBooks(
                program="workers",
                products=plan.products,
                kills=crew.kills,
                freezes=crew.freezes,
                jobs=sandbox.books.jobs_created,
                credits_charged=sandbox.books.credits_charged,
                files=len(list((folder / "results").rglob("*.jpg"))),
                left_over=len(list((folder / "results").rglob(".piktid-*"))),
                lost_answers=faults["submit_lost"],
                refused_with_5xx=faults["submit_status"],
                caught=len(seen),
                found=len(seen - set(doubts)),
                in_doubt=len(doubts),
                listed=listed,
                lost_in_doubt=lost,
                states=dict(batch.summary.states),
                seconds=time.monotonic() - began,
            )


async def play_naive(plan: WorkPlan, folder: Path) -> WorkBooks:
    """Put three programs without a ledger through the same, each with a third of the products."""
    began = time.monotonic()
    draw_products(folder / "products", plan)
    for number, product in enumerate(sorted((folder / "products").iterdir())):
        part = folder / f"part-{number % WORKERS}" / "products"
        part.mkdir(parents=True, exist_ok=True)
        product.rename(part / product.name)
    async with _sandbox(plan) as sandbox:
        crew = Crew(
            plan,
            sandbox,
            lambda number: [
                *(str(PROGRAMS / "program.py"), "naive", sandbox.url, sandbox.token),
                *(str(folder / f"part-{number}" / "products"), plan.limits),
            ],
        )
        try:
            await crew.hire()
            await crew.harass(lambda: None, crew.all_ended)
            await _until(crew.all_ended)
        finally:
            await crew.dismiss()
        results = [path for path in folder.rglob("naive/**/*.jpg") if path.is_file()]
        return WorkBooks(
            program="without a ledger",
            products=plan.products,
            kills=crew.kills,
            freezes=crew.freezes,
            jobs=sandbox.books.jobs_created,
            credits_charged=sandbox.books.credits_charged,
            files=len(results),
            left_over=0,
            lost_answers=sandbox.faults.counts["submit_lost"],
            refused_with_5xx=sandbox.faults.counts["submit_status"],
            caught=0,
            found=0,
            in_doubt=0,
            listed=0,
            lost_in_doubt=0,
            states={},
            seconds=time.monotonic() - began,
        )


def _sandbox(plan: WorkPlan) -> Sandbox:
    limits = SandboxLimits(
        active_jobs=plan.active_jobs,
        per_minute={"/garment-recolor": plan.per_window},
        window=plan.window,
    )
    return Sandbox(
        render=False, limits=limits, seconds_per_image=plan.seconds_per_image, faults=Faults()
    )


async def _listed(database: str, name: str) -> int:
    """Count the doubts as the user sees them."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "piktid_async", "batch", "doubts", "--json"),
        *("--database", database, "--name", name),
        stdout=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )
    told, _ = await process.communicate()
    return len(json.loads(told)["in_doubt"])


async def _watch_doubts(batch: Batch, seen: set[str]) -> None:
    while True:
        seen |= {doubt.product.key async for doubt in batch.in_doubt()}
        await asyncio.sleep(0.2)


async def _ended(batch: Batch) -> None:
    """Wait until nothing is under way, and what is in doubt has been looked for."""
    async with asyncio.timeout(PATIENCE):
        settled = 0
        while settled < 2:
            await batch.refresh()
            await asyncio.sleep(0.5)
            states = batch.summary.states
            if any(states.get(state, 0) for state in UNDER_WAY):
                settled = 0
            elif states.get(State.IN_DOUBT, 0):
                settled += 1
                await asyncio.sleep(2 * STALE)  # within which they are looked for again
            else:
                return


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
