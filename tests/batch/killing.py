"""Kill a program again and again while it works against a faulty sandbox, and read the books."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path

import attrs

import piktid_async
from piktid_async import Session
from piktid_async.batch import Batch
from piktid_async.sandbox import Faults, Sandbox, SandboxLimits
from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.batch.program import NOT_ALL_WELL

PROGRAM = Path(__file__).with_name("program.py")
REQUESTS_PER_PRODUCT = 6
"""Fewer than a product takes, so that the last kill comes before the end."""
PRICE = 3
"""Credits of a product's one image at 1024 pixels."""


@attrs.frozen(kw_only=True)
class Plan:
    """How much, how often, how badly."""

    products: int
    kills: int
    seed: int = 1
    active_jobs: int = 5
    per_window: int = 10
    window: float = 0.5
    seconds_per_image: float = 0.05

    @property
    def limits(self) -> str:
        return f"{self.active_jobs},{self.per_window},{self.window}"


@attrs.frozen(kw_only=True)
class Books:
    """What was found when all was over."""

    program: str
    products: int
    kills: int
    jobs: int
    credits_charged: float
    files: int
    left_over: int
    """Half-written files."""
    uploads: int
    contents: int
    """Different images."""
    caught: int
    """Submissions that were under way when the program was killed."""
    lost_answers: int
    refused_with_5xx: int
    resubmitted: int
    """Doubts that only the user could settle: the sandbox had no job for them."""
    settleable: int
    """Jobs in the sandbox that the journal did not know although all runs were over."""
    states: dict[str, int]
    seconds: float


def draw_products(folder: Path, plan: Plan) -> int:
    """Write the images; every tenth product is a twin of the one before. Return the contents."""
    contents = set()
    for number in range(plan.products):
        content = number - 1 if number % 10 == 9 else number
        contents.add(content)
        product = folder / f"product-{number:05}"
        product.mkdir(parents=True)
        (product / "front.jpg").write_bytes(PLAIN_JPEG + b"%d" % content)
    return len(contents)


class Show:
    """One program, one sandbox, and what becomes of them."""

    def __init__(self, plan: Plan, folder: Path, sandbox: Sandbox) -> None:
        self._plan = plan
        self._folder = folder
        self._sandbox = sandbox
        self._dice = random.Random(plan.seed)
        self.caught = 0

    async def play(self, program: str) -> int:
        """Run the program to its end, killing it on the way; return how often it was killed."""
        span = self._plan.products * REQUESTS_PER_PRODUCT
        kills = 0
        for point in sorted(self._dice.sample(range(1, span), self._plan.kills)):
            self._spoil()
            kills += await self._run(program, point)
            self.caught += under_way(self._folder.parent / "batch.sqlite")
        self._spoil()
        await self._run(program, None)
        return kills

    async def _run(self, program: str, until: int | None) -> bool:
        """Start the program; kill it once so many requests have come in all."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(str(PROGRAM), program, self._sandbox.url, self._sandbox.token),
            *(str(self._folder), self._plan.limits),
            env={**os.environ, "PYTHONPATH": str(Path(piktid_async.__file__).parents[1])},
        )
        ended = asyncio.create_task(process.wait())
        try:
            while not ended.done() and (until is None or self._requests() < until):
                await asyncio.wait([ended], timeout=0.01)
            if not ended.done():
                # Somewhere between two requests, or in the middle of one.
                await asyncio.wait([ended], timeout=self._dice.uniform(0, 0.05))
        finally:
            if not ended.done():
                process.send_signal(signal.SIGKILL)
            code = await ended
        if code not in (0, NOT_ALL_WELL, -signal.SIGKILL):
            raise RuntimeError(f"the program ended with {code}")
        return code == -signal.SIGKILL

    def _requests(self) -> int:
        return sum(self._sandbox.books.api_requests.values())

    def _spoil(self) -> None:
        """Have some of what comes next go wrong."""
        faults, share = self._sandbox.faults, self._plan.products / (self._plan.kills + 1)
        faults.submit_lost = round(share * 0.1) + 1
        faults.submit_status = [self._dice.choice((500, 502, 503)) for _ in range(2)]
        faults.upload_reset = faults.storage_errors = round(share * 0.05) + 1
        faults.stream_cut_after_events = self._dice.randrange(20, 60)
        faults.acks_fail = 3
        # Held back while the job runs already, so that many a kill comes in between.
        faults.submit_delay = 0.2


def under_way(journal: Path) -> int:
    """Count the intents that a program has left behind."""
    if not journal.exists():
        return 0
    with contextlib.closing(sqlite3.connect(journal)) as db:
        try:
            return int(
                db.execute("SELECT count(*) FROM products WHERE state = 'intent'").fetchone()[0]
            )
        except sqlite3.OperationalError:  # killed before its tables were made
            return 0


async def play(program: str, plan: Plan, folder: Path) -> Books:
    """Make the products with a program that is killed; settle what is left; read the books."""
    began = time.monotonic()
    images = folder / "products"
    contents = draw_products(images, plan)
    limits = SandboxLimits(
        active_jobs=plan.active_jobs,
        per_minute={"/garment-recolor": plan.per_window},
        window=plan.window,
    )
    async with Sandbox(
        render=False, limits=limits, seconds_per_image=plan.seconds_per_image, faults=Faults()
    ) as sandbox:
        show = Show(plan, images, sandbox)
        kills = await show.play(program)
        settleable, resubmitted, states = 0, 0, {}
        if program == "batch":
            settleable, resubmitted = await settle(sandbox, folder / "batch.sqlite")
            sandbox.faults.submit_status, sandbox.faults.submit_lost = [], 0
            await show._run(program, None)
            states = await final_states(sandbox, folder / "batch.sqlite")
    results = folder / program
    faults = sandbox.faults.counts
    return Books(
        program=program,
        products=plan.products,
        kills=kills,
        jobs=sandbox.books.jobs_created,
        credits_charged=sandbox.books.credits_charged,
        files=len([path for path in results.rglob("*.jpg") if path.is_file()]),
        left_over=len(list(results.rglob(".piktid-*"))),
        uploads=sandbox.books.api_requests["POST /upload"],
        contents=contents,
        caught=show.caught,
        lost_answers=faults["submit_lost"],
        refused_with_5xx=faults["submit_status"],
        resubmitted=resubmitted,
        settleable=settleable,
        states=states,
        seconds=time.monotonic() - began,
    )


async def settle(sandbox: Sandbox, journal: Path) -> tuple[int, int]:
    """Do what the user would: submit again what the sandbox certainly has no job of."""
    async with (
        Session(sandbox.token, base_url=sandbox.url) as session,
        Batch(session, journal) as batch,
    ):
        known = await batch._store.known_jobs(sandbox.books.jobs)
        doubts = [doubt async for doubt in batch.in_doubt()]
        for doubt in doubts:
            await batch.settle(doubt.product.key, resubmit=True)
        return sandbox.books.jobs_created - len(known), len(doubts)


async def final_states(sandbox: Sandbox, journal: Path) -> dict[str, int]:
    async with (
        Session(sandbox.token, base_url=sandbox.url) as session,
        Batch(session, journal) as batch,
    ):
        return dict(batch.summary.states)
