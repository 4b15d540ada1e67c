"""What all job commands have in common: check, carry out, tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console

from piktid_async.cli import stopping
from piktid_async.cli.errors import Trouble, trouble_from
from piktid_async.cli.framing import console_on, tell
from piktid_async.cli.inputs import shown
from piktid_async.cli.needs import check_sandbox, check_service
from piktid_async.cli.order import Order
from piktid_async.cli.progress import view_on
from piktid_async.cli.report import SANDBOX, Report
from piktid_async.cli.report_page import check_report
from piktid_async.cli.run import Run
from piktid_async.cli.run_page import leave_page
from piktid_async.cli.service import service_name, session_with
from piktid_async.errors import PiktidError


def do(
    place: Callable[[], Order], *, sandbox: bool, page: Path | None = None, as_json: bool = False
) -> None:
    """Do what a job command is for: `place` checks the order; the outcome is printed."""
    (check_sandbox if sandbox else check_service)()
    if page is not None:
        check_report(page)
    report = carry_out(place(), sandbox=sandbox, page=page, console=console_on(err=True))
    tell_report(report, as_json=as_json)
    raise typer.Exit(report.code)


def tell_report(report: Report, *, as_json: bool) -> None:
    """Print the outcome; the page's path comes last, alone on its line."""
    tell(report.as_json() if as_json else report.lines())
    if report.page and not as_json:
        typer.echo(str(report.page.resolve()))


def carry_out(order: Order, *, sandbox: bool, page: Path | None, console: Console) -> Report:
    """Run an order to its end. Ctrl-C raises a `Trouble` that names the jobs that go on."""
    service = SANDBOX if sandbox else service_name()
    with view_on(console) as view:
        run = Run(order, view, service=service)
        try:
            stopping.run(_carry_out(run, sandbox=sandbox), lambda: interrupted(run.report))
        except (PiktidError, OSError) as error:
            raise trouble_from(error) from error
        except Trouble as error:
            if any(job.job_id for job in run.report.jobs):
                error.details["jobs"] = run.report.as_json()["jobs"]
            raise
    if page is not None:
        with view_on(console) as view:
            view.note(f"writing {shown(page)}")
            _leave(order, run.report, page)
    return run.report


def _leave(order: Order, report: Report, page: Path) -> None:
    """Write the page; the pictures are here, whatever becomes of it."""
    try:
        leave_page(report, page, reference=order.more.get("reference"), colors=order.colors)
    except Trouble as error:
        report.trouble = str(error)


async def _carry_out(run: Run, *, sandbox: bool) -> None:
    async with session_with(sandbox=sandbox) as session:
        try:
            await run.carry_out(session)
        except asyncio.CancelledError:
            # Of a second Ctrl-C, asyncio cancels once more: nobody waits for anything then.
            stopped = asyncio.current_task()
            if not sandbox and stopped is not None and stopped.cancelling() == 1:
                await run.look_once(session)
            raise


def interrupted(report: Report) -> str:
    """Tell what goes on at the server when nobody waits any more, and how to have it."""
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
    if not sure:
        place = f'in project "{report.project}"' if report.project is not None else "on the account"
        told += f" What has no id yet would be {place}: the gallery of the web app shows it."
    commands = [job.command for job in report.jobs if job.job_id and (job.goes_on or job.unsaved)]
    if commands:
        told += " To have the pictures:\n" + "\n".join(commands)
    return f"Stopped; {told}"
