"""`piktid batch run --database` and `piktid worker`: a queue, and those who empty it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

from piktid_async import AccountLimits, PostgresCoordinator, Session
from piktid_async.batch import Batch, Enqueued, Worker
from piktid_async.batch.peek import Standing
from piktid_async.cli import stopping
from piktid_async.cli.batch import BATCH_HINTS
from piktid_async.cli.batch_report import name_of
from piktid_async.cli.errors import Exit, Hints, Trouble, clean, trouble_from
from piktid_async.cli.inputs import check_output, shown
from piktid_async.cli.journals import DATABASE_HINTS, standing_json, watch
from piktid_async.cli.places import Place
from piktid_async.cli.products import Products
from piktid_async.cli.progress import view_on
from piktid_async.cli.service import session_with
from piktid_async.cli.words import count
from piktid_async.errors import PiktidError

HINTS: Hints = (*BATCH_HINTS[:-1], *DATABASE_HINTS)


@attrs.frozen
class QueueReport:
    """What was put into the queue, and how the batch stood when nothing was under way any more."""

    place: Place
    out: Path
    told: Enqueued
    standing: Standing

    @property
    def code(self) -> Exit:
        """How the command ends."""
        return Exit.OK if self.standing.summary.ok and not self.told.bad_count else Exit.INCOMPLETE

    def lines(self) -> Iterator[str]:
        """Sum up for people."""
        summary = self.standing.summary
        for each in (*self.told.bad, *summary.failures):
            yield clean(f"{name_of(each.key, each.line)}: {each.error}")
        done = summary.states.get("saved", 0) + summary.states.get("done", 0)
        yield (
            f"{done} of {count(summary.products, 'product')} are done; "
            f"the pictures are in {shown(self.out)}."
        )
        yield (
            f"{count(summary.outputs, 'picture')}, {summary.credits_used:g} credits "
            f"({summary.credits_estimated:g} estimated)."
        )
        if summary.in_doubt:
            yield f"What is in doubt may be paid: piktid batch doubts {self.place.argument}"

    def as_json(self) -> dict[str, Any]:
        """Sum up for programs."""
        return {
            "ok": self.code is Exit.OK,
            "exit_code": int(self.code),
            "added": self.told.added,
            "known": self.told.known,
            "refused": [attrs.asdict(each) for each in self.told.bad],
            **standing_json(self.standing),
        }


def enqueue(
    products: Products,
    place: Place,
    *,
    out: Path,
    project: str | None,
    max_credits: float | None,
    console: Console,
) -> QueueReport:
    """Put products into the queue, and show how the workers get on until all has ended."""
    check_output(out, [], overwrite=True)
    adding = _enqueued(products, place, out=out, project=project, max_credits=max_credits)
    with view_on(console) as view:
        try:
            told = stopping.run(
                adding,
                lambda: "Stopped; what is in the queue stays there. Run it again for the rest.",
            )
        except (PiktidError, OSError) as error:
            raise trouble_from(error, hints=HINTS) from error
        words = f", {told.known:,} were there before" if told.known else ""
        view.note(f"{count(told.added, 'product')} put into the queue{words}")
        view.note(f"They are made by: piktid worker {place.argument}")
    return QueueReport(place, out, told, watch(place, console, until_ended=True))


def limits_of(*, kept: bool, active_jobs: int | None, per_minute: int | None) -> AccountLimits:
    """Return what the account allows; raises `Trouble` for what cannot be meant."""
    if not kept:
        if active_jobs is not None or per_minute is not None:
            raise Trouble("Give --no-limits, or --active-jobs and --per-minute; not both.")
        return AccountLimits.unlimited()
    known = AccountLimits()
    return AccountLimits(
        active_jobs=known.active_jobs if active_jobs is None else active_jobs,
        per_minute=known.per_minute
        if per_minute is None
        else dict.fromkeys(known.per_minute, per_minute),
    )


def work(place: Place, *, out: Path | None, limits: AccountLimits, console: Console) -> None:
    """Work on a batch until Ctrl-C, which raises a `Trouble` that tells what goes on."""
    workers: list[Worker] = []

    def stopped() -> str:
        jobs = workers[0].jobs if workers else 0
        left = (
            f" {count(jobs, 'job')} at the service: other workers go on with them." if jobs else ""
        )
        return f"Stopped; what was in hand is finished.{left}"

    with view_on(console) as view:
        view.note(f"working on {place.title}; Ctrl-C ends it in good order")
        try:
            stopping.run(_worked(place, out, limits, workers), stopped)
        except (PiktidError, OSError) as error:
            raise trouble_from(error, hints=HINTS) from error


async def _worked(
    place: Place, out: Path | None, limits: AccountLimits, workers: list[Worker]
) -> None:
    database = str(place.database)
    async with _session(database, limits) as session:
        workers.append(Worker(session, database, place.name, directory=out))
        await workers[0].run()


async def _enqueued(
    products: Products, place: Place, *, out: Path, project: str | None, max_credits: float | None
) -> Enqueued:
    database = str(place.database)
    async with _session(database) as session:
        found = await session.projects.ensure(project) if project else None
        async with Batch(
            session, database, max_credits, name=place.name, directory=out, project=found
        ) as batch:
            return await batch.enqueue(products)


def _session(
    database: str, limits: AccountLimits | None = None
) -> AbstractAsyncContextManager[Session]:
    return session_with(coordinator=PostgresCoordinator(database, limits=limits))
