"""`piktid batch status`, `doubts` and `settle`: what a journal holds, without the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import attrs
from rich.console import Console
from rich.live import Live
from rich.table import Table

from piktid_async import Session
from piktid_async.batch import Batch
from piktid_async.batch.peek import Standing, look, peek
from piktid_async.batch.stores import database_store
from piktid_async.cli import stopping
from piktid_async.cli.batch_plan import NO_TOKEN
from piktid_async.cli.batch_report import name_of
from piktid_async.cli.errors import Hints, Trouble, clean, trouble_from
from piktid_async.cli.places import Place
from piktid_async.cli.words import count
from piktid_async.errors import ConnectionFailedError, InvalidRequestError, PiktidError

if TYPE_CHECKING:
    from piktid_async.batch.postgres import PostgresStore

LOOK_EVERY = 1.0
DATABASE_HINTS: Hints = ((ConnectionFailedError, "check --database, and whether it runs"),)

STATES = {
    "pending": "waiting to be submitted",
    "intent": "being submitted, or cut off there",
    "in_doubt": "in doubt: there may be a job",
    "submitted": "at the service",
    "terminal": "made, not saved",
    "saved": "saved",
    "done": "done",
    "failed": "failed",
}
"""Every state of a journal, for people."""


def read(place: Place) -> Standing:
    """Read a batch, changing nothing."""
    try:
        if place.journal is not None:
            return peek(place.journal)
        return stopping.run(_looked(place), lambda: "Stopped.")
    except PiktidError as error:
        raise trouble_from(error, hints=DATABASE_HINTS) from error


def watch(place: Place, console: Console, *, until_ended: bool = False) -> Standing:
    """Show how a batch in a database stands, until Ctrl-C or its end; return how it stood."""
    try:
        return stopping.run(
            _watched(place, console, until_ended=until_ended),
            lambda: (
                f"Stopped watching; the workers go on. Again: piktid batch status "
                f"{place.argument} --watch"
            ),
        )
    except PiktidError as error:
        raise trouble_from(error, hints=DATABASE_HINTS) from error


def standing_table(standing: Standing, place: Place) -> Table:
    """Show counts by state, credits and doubts."""
    summary = standing.summary
    table = Table(title=place.title, title_justify="left", show_header=False, min_width=40)
    table.add_column()
    table.add_column(justify="right")
    for state, words in STATES.items():
        if number := summary.states.get(state, 0):
            table.add_row(words, f"{number:,}", end_section=state == _last(summary.states))
    table.add_row("products", f"{summary.products:,}", end_section=True)
    table.add_row("pictures", f"{summary.outputs:,}")
    if summary.outputs_failed:
        table.add_row("pictures that failed", f"{summary.outputs_failed:,}")
    table.add_row("credits used", f"{summary.credits_used:g}")
    table.add_row("credits estimated", f"{summary.credits_estimated:g}")
    if place.journal is None:
        table.add_row("workers alive", f"{len(standing.workers):,}")
    if standing.doubts:
        table.caption = f"What is in doubt: piktid batch doubts {place.argument}"
    return table


def standing_line(standing: Standing) -> str:
    """Tell the same in one line."""
    states = standing.summary.states
    told = [f"{states[state]:,} {words}" for state, words in STATES.items() if states.get(state, 0)]
    return f"{'; '.join(told)}; {count(len(standing.workers), 'worker')}"


def standing_json(standing: Standing) -> dict[str, Any]:
    """Tell the same to programs."""
    summary = standing.summary
    return {
        "service": standing.service,
        "project": standing.project,
        "products": summary.products,
        "states": dict(summary.states),
        "outputs": summary.outputs,
        "outputs_failed": summary.outputs_failed,
        "credits_estimated": summary.credits_estimated,
        "credits_used": summary.credits_used,
        "credits_bound": summary.credits_bound,
        "workers": list(standing.workers),
        "in_doubt": [attrs.asdict(each) for each in standing.doubts],
        "failed": [attrs.asdict(each) for each in summary.failures],
    }


def doubts_lines(standing: Standing, place: Place) -> Iterator[str]:
    """List what is in doubt, and how a doubt is ended."""
    if not standing.doubts:
        yield "Nothing is in doubt."
        return
    for each in standing.doubts:
        yield clean(f"{name_of(each.key, each.line)}: sent after {each.since}; {each.reason}")
    yield (
        f"{count(len(standing.doubts), 'submission')} may have made a job in project "
        f"{clean(standing.project or '?')}. The batch looks for it when it runs again. What it "
        f"does not find is for you to settle: piktid batch settle {place.argument} "
        "KEY --job ID, or --resubmit, or --give-up"
    )


def doubts_json(standing: Standing) -> dict[str, Any]:
    """Tell the same to programs."""
    return {
        "project": standing.project,
        "in_doubt": [attrs.asdict(each) for each in standing.doubts],
    }


def settle(place: Place, key: str, *, job: str | None, resubmit: bool, give_up: bool) -> str:
    """End a doubt; return what is told of it."""
    if [job is not None, resubmit, give_up].count(True) != 1:
        raise Trouble("Give one of --job ID, --resubmit and --give-up.")
    if job is not None and not job.strip():
        raise Trouble("--job: the id is empty.")
    read(place)  # there is one: to open it would make it
    work = _settle(place, key, job=job, resubmit=resubmit, give_up=give_up)
    try:
        stopping.run(work, lambda: "Stopped.")
    except InvalidRequestError as error:
        raise Trouble(f"{clean(error.rule)}.") from error
    except PiktidError as error:
        raise trouble_from(error) from error
    if give_up:
        return f"{clean(key)} counts as failed."
    then = "is submitted again" if resubmit else f"has job {clean(job or '')}"
    when = "when the batch is run again" if place.journal is not None else "from now on"
    return f"{clean(key)} {then} {when}."


async def _settle(
    place: Place, key: str, *, job: str | None, resubmit: bool, give_up: bool
) -> None:
    kept = place.journal or str(place.database)
    name = place.name if place.journal is None else None
    async with Session(NO_TOKEN) as session, Batch(session, kept, name=name) as batch:
        await batch.settle(key, job_id=job, resubmit=resubmit, give_up=give_up)


async def _looked(place: Place) -> Standing:
    async with _opened(place) as store:
        return await look(store)


async def _watched(place: Place, console: Console, *, until_ended: bool) -> Standing:
    calm = not console.is_terminal or console.is_dumb_terminal
    async with _opened(place) as store:
        with (
            Live(console=console, auto_refresh=False, transient=True)
            if not calm
            else _Calm(console) as live
        ):
            while True:
                standing = await look(store)
                live.update(
                    standing_line(standing) if calm else standing_table(standing, place),
                    refresh=True,
                )
                if until_ended and not standing.under_way:
                    return standing
                await asyncio.sleep(LOOK_EVERY)


class _Calm:
    """A line whenever something has changed, for what is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, line: object, *, refresh: bool) -> None:
        """Print it, if it is another one."""
        if refresh and line != self._last:
            self._last = line
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)


@asynccontextmanager
async def _opened(place: Place) -> AsyncIterator[PostgresStore]:
    assert place.database is not None
    store = await database_store(place.database, place.name, make=False).open()
    try:
        yield store
    finally:
        await store.close()


def _last(states: Any) -> str:
    return [state for state in STATES if states.get(state, 0)][-1]
