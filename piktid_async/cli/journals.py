"""`piktid batch status`, `doubts` and `settle`: what a journal holds, without the service."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from rich.table import Table

from piktid_async import Session
from piktid_async.batch import Batch
from piktid_async.batch.peek import Standing, peek
from piktid_async.cli import stopping
from piktid_async.cli.batch_plan import NO_TOKEN
from piktid_async.cli.batch_report import name_of
from piktid_async.cli.errors import Trouble, clean, trouble_from
from piktid_async.cli.inputs import shown
from piktid_async.cli.words import count
from piktid_async.errors import InvalidRequestError, PiktidError

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


def read(journal: Path) -> Standing:
    """Read a journal, changing nothing."""
    try:
        return peek(journal)
    except PiktidError as error:
        raise trouble_from(error) from error


def standing_table(standing: Standing, journal: Path) -> Table:
    """Show counts by state, credits and doubts."""
    summary = standing.summary
    table = Table(title=shown(journal), title_justify="left", show_header=False, min_width=40)
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
    if standing.doubts:
        table.caption = f"What is in doubt: piktid batch doubts {shlex.quote(str(journal))}"
    return table


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
        "in_doubt": [attrs.asdict(each) for each in standing.doubts],
        "failed": [attrs.asdict(each) for each in summary.failures],
    }


def doubts_lines(standing: Standing, journal: Path) -> Iterator[str]:
    """List what is in doubt, and how a doubt is ended."""
    if not standing.doubts:
        yield "Nothing is in doubt."
        return
    for each in standing.doubts:
        yield clean(f"{name_of(each.key, each.line)}: sent after {each.since}; {each.reason}")
    yield (
        f"{count(len(standing.doubts), 'submission')} may have made a job in project "
        f"{clean(standing.project or '?')}. The batch looks for it when it runs again. What it "
        f"does not find is for you to settle: piktid batch settle {shlex.quote(str(journal))} "
        "KEY --job ID, or --resubmit, or --give-up"
    )


def doubts_json(standing: Standing) -> dict[str, Any]:
    """Tell the same to programs."""
    return {
        "project": standing.project,
        "in_doubt": [attrs.asdict(each) for each in standing.doubts],
    }


def settle(journal: Path, key: str, *, job: str | None, resubmit: bool, give_up: bool) -> str:
    """End a doubt; return what is told of it."""
    if [job is not None, resubmit, give_up].count(True) != 1:
        raise Trouble("Give one of --job ID, --resubmit and --give-up.")
    if job is not None and not job.strip():
        raise Trouble("--job: the id is empty.")
    read(journal)  # there is one: to open it would make it
    work = _settle(journal, key, job=job, resubmit=resubmit, give_up=give_up)
    try:
        stopping.run(work, lambda: "Stopped.")
    except InvalidRequestError as error:
        raise Trouble(f"{clean(error.rule)}.") from error
    except PiktidError as error:
        raise trouble_from(error) from error
    if give_up:
        return f"{clean(key)} counts as failed."
    then = "is submitted again" if resubmit else f"has job {clean(job or '')}"
    return f"{clean(key)} {then} when the batch is run again."


async def _settle(
    journal: Path, key: str, *, job: str | None, resubmit: bool, give_up: bool
) -> None:
    async with Session(NO_TOKEN) as session, Batch(session, journal) as batch:
        await batch.settle(key, job_id=job, resubmit=resubmit, give_up=give_up)


def _last(states: Any) -> str:
    return [state for state in STATES if states.get(state, 0)][-1]
