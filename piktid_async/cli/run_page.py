"""The page of a job command's run: each picture, or each job, with what became of it.

A command with `--report FILE` calls `check_report(path)` before anything is sent, and at the end
of its run, well or not, `leave_page(report, path)`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from piktid_async.cli.errors import trouble_from
from piktid_async.cli.report import SANDBOX, Item, JobReport, Report
from piktid_async.cli.report_page import Entry, Made, ReportPage, State, write_report


def leave_page(
    report: Report, path: Path, *, reference: Path | None = None, colors: bool = False
) -> None:
    """Write the page of a run and note in `report.page` where it is; raises `Trouble`.

    `reference` is the swatch that was asked for; `colors` shows how each colour has changed.
    """
    page = page_of(report, reference=reference, colors=colors)
    try:
        report.page = write_report(page, path)
    except OSError as error:
        # A disk that is full names no file.
        raise trouble_from(OSError(error.errno, error.strerror, str(path))) from error


def page_of(report: Report, *, reference: Path | None = None, colors: bool = False) -> ReportPage:
    """Lay the pictures of a run side by side."""
    where = "local sandbox" if report.service == SANDBOX else report.service
    each = all(item.source for item in report.items)
    project = [f"project {report.project}"] if report.project else []
    return ReportPage(
        title=report.target[:1].upper() + report.target[1:],
        entries=[entry for job in report.jobs for entry in _entries(job)],
        noun="photo" if each else "product",
        facts=[where, *project, f"{dt.datetime.now().astimezone():%d %B %Y}".lstrip("0")],
        credits=report.credits_used,
        seconds=report.seconds,
        reference=reference,
        colors=colors,
    )


def _entries(job: JobReport) -> Iterator[Entry]:
    """Give each picture an entry of its own, or all that were made of several together one."""
    if any(item.source is None for item in job.items):
        name = ", ".join(path.name for path in job.images) or job.job_id or "from words alone"
        yield _entry(job, name, list(job.images), job.items)
        return
    for source in dict.fromkeys(item.source for item in job.items):
        assert source is not None
        yield _entry(
            job, source.name, [source], [item for item in job.items if item.source == source]
        )


def _entry(job: JobReport, name: str, inputs: list[Path], items: list[Item]) -> Entry:
    made = sum(1 for item in items if item.path)
    saved = sum(1 for item in job.items if item.path)
    paid = job.credits_used * made / saved if job.credits_used is not None and saved else None
    ends = [item.ended for item in items if item.ended is not None]
    return Entry(
        name=name,
        state=_state(job, items),
        inputs=inputs,
        outputs=[
            Made(
                label="After" if len(items) == 1 else f"After {number}",
                path=item.path,
                engine=item.engine,
                error=item.error,
            )
            for number, item in enumerate(items, 1)
        ],
        job_id=job.job_id,
        error=job.error if made < len(items) else None,
        credits=paid,
        began=job.began,
        ended=max(ends, default=None),
    )


def _state(job: JobReport, items: list[Item]) -> State:
    if all(item.path for item in items):
        return "ok"
    if job.status in {"submitting", "unknown"}:
        return "in_doubt"
    return "unfinished" if job.status == "submitted" else "failed"
