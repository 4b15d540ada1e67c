"""`piktid recolor`: the main job on the user's own pictures."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from rich.console import Console

from piktid_async import Session
from piktid_async.cli import stopping
from piktid_async.cli.errors import trouble_from
from piktid_async.cli.inputs import PAGE_NAME
from piktid_async.cli.order import Order
from piktid_async.cli.page import After, Page, Pair, write_page
from piktid_async.cli.progress import view_on
from piktid_async.cli.report import SANDBOX, Report
from piktid_async.cli.results import QUICK_TO_END
from piktid_async.cli.run import Run
from piktid_async.errors import PiktidError


def carry_out(order: Order, *, sandbox: bool, page: bool, console: Console) -> Report:
    """Run an order to its end. Ctrl-C raises a `Trouble` that names the jobs that go on."""
    service = SANDBOX if sandbox else service_name()
    with view_on(console) as view:
        run = Run(order, view, service=service)
        try:
            stopping.run(_carry_out(run, sandbox=sandbox), lambda: _interrupted(run.report))
        except (PiktidError, OSError) as error:
            raise trouble_from(error) from error
    if page and any(item.path for item in run.report.items):
        run.report.page = write_page(page_of(order, run.report), order.out / PAGE_NAME)
    return run.report


def page_of(order: Order, report: Report) -> Page:
    """Lay the pictures of a run side by side."""
    pairs: dict[tuple[int, int], Pair] = {}
    for number, job in enumerate(report.jobs):
        for index, source in enumerate(job.images):
            items = [item for item in job.items if item.image_index == index]
            afters = [
                After(
                    "After" if order.variations == 1 else f"After {item.variation + 1}",
                    item.path,
                    item.error or job.error,
                )
                for item in items
            ]
            pairs[number, index] = Pair(source.name, source, afters)
    made = sum(1 for item in report.items if item.path)
    asked = order.total_outputs
    return Page(
        title=report.target,
        facts=[
            f"{len(pairs)} photo{'' if len(pairs) == 1 else 's'}",
            f"{made} recolored" + (f", {asked - made} failed" if made < asked else ""),
            "local sandbox" if report.service == SANDBOX else report.service,
            f"{dt.datetime.now().astimezone():%d %B %Y}".lstrip("0"),
        ],
        pairs=list(pairs.values()),
        reference=order.reference,
    )


async def _carry_out(run: Run, *, sandbox: bool) -> None:
    async with _session(sandbox=sandbox) as session:
        try:
            await run.carry_out(session)
        except asyncio.CancelledError:
            # Of a second Ctrl-C, asyncio cancels once more: nobody waits for anything then.
            stopped = asyncio.current_task()
            if not sandbox and stopped is not None and stopped.cancelling() == 1:
                await run.look_once(session)
            raise


@asynccontextmanager
async def _session(*, sandbox: bool) -> AsyncIterator[Session]:
    if not sandbox:
        async with Session(stream=QUICK_TO_END) as session:
            yield session
        return
    from piktid_async.sandbox import Sandbox

    async with (
        Sandbox() as server,
        Session(token=server.token, base_url=server.url, stream=QUICK_TO_END) as session,
    ):
        yield session


def service_name() -> str:
    """Return the host that is asked, or a word for it."""
    host = urlsplit(os.environ.get("PIKTID_BASE_URL") or "").hostname
    return host or "the PiktID service"


def _interrupted(report: Report) -> str:
    if report.service == SANDBOX:
        return "Stopped; the sandbox and its jobs have ended."
    left = [job.name for job in report.jobs if job.goes_on]
    sure = all(job.job_id for job in report.jobs if job.goes_on)
    if left:
        verb = ("goes" if len(left) == 1 else "go") if sure else "may go"
        told = (
            f"{' and '.join(left)} {verb} on at the server and {'will' if sure else 'may'} be paid."
        )
    else:
        told = "no job of this run goes on at the server."
    commands = [
        f"piktid results {job.job_id} --out {shlex.quote(str(job.folder))}"
        for job in report.jobs
        if job.job_id and (job.goes_on or job.unsaved)
    ]
    if commands:
        told += " To have the pictures: " + " ; ".join(commands)
    if not sure:
        told += (
            f' What has no id yet would be in project "{report.project}": '
            "the gallery of the web app shows it."
        )
    return f"Stopped; {told}"
