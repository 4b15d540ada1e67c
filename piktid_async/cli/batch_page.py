"""The page of a batch: every product of its journal, those of earlier runs too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from piktid_async.batch import BadProduct, Product
from piktid_async.batch.ledger import Row, State
from piktid_async.batch.peek import Recorded, read_all
from piktid_async.cli import report_page
from piktid_async.cli.batch_report import BatchReport, Unmade, name_of
from piktid_async.cli.errors import trouble_from
from piktid_async.cli.report import SANDBOX
from piktid_async.cli.report_page import Entry, Made, ReportPage, write_report
from piktid_async.cli.words import count
from piktid_async.errors import PiktidError

STATES: Mapping[State, report_page.State] = {
    State.INTENT: "in_doubt",
    State.IN_DOUBT: "in_doubt",
    State.SAVED: "ok",
    State.DONE: "ok",
    State.FAILED: "failed",
}
"""What is not named is unfinished."""


def leave_page(
    report: BatchReport, products: Iterable[Product | BadProduct], title: str, path: Path
) -> None:
    """Write the page and note in `report.page` where it is; raises `Trouble`."""
    try:
        recorded = read_all(report.journal)
        report.page = write_report(page_of(report, products, recorded, title), path)
    except (PiktidError, OSError) as error:
        raise trouble_from(error) from error


def page_of(
    report: BatchReport, products: Iterable[Product | BadProduct], recorded: Recorded, title: str
) -> ReportPage:
    """Lay out the products of the list, then those that only the journal knows."""
    earlier = f"{report.earlier:,} done in earlier runs"
    return ReportPage(
        title=title,
        entries=list(_entries(report, products, recorded)),
        facts=[
            "local sandbox" if report.service == SANDBOX else report.service,
            f"journal {report.journal.name}",
            *([earlier] if report.earlier else []),
            f"{dt.datetime.now().astimezone():%d %B %Y}".lstrip("0"),
        ],
        seconds=report.seconds,
        stopped=str(report.stopped) if report.stopped is not None else None,
    )


def _entries(
    report: BatchReport, products: Iterable[Product | BadProduct], recorded: Recorded
) -> Iterator[Entry]:
    rows = {row.key: row for row in recorded.rows}
    unmade = report.every or {}
    for product in products:
        reason = unmade.get((product.key, product.line))
        row = rows.pop(product.key, None) if isinstance(product, Product) else None
        if row is not None:
            yield _entry(row, recorded, report.directory, reason)
        elif reason is not None:  # a bad line, or the key of another
            yield Entry(name=name_of(product.key, product.line), state="failed", error=reason.error)
    for row in rows.values():
        yield _entry(row, recorded, report.directory, None)


def _entry(row: Row, recorded: Recorded, directory: Path, reason: Unmade | None) -> Entry:
    outputs = list(_outputs(row, directory))
    state = STATES.get(row.state, "unfinished")
    ended = row.updated if row.job_id is not None and state in ("ok", "failed") else None
    error = row.reason if state != "ok" else None
    if reason is not None:
        told = "failed" if reason.state == "incomplete" else reason.state
        state, error = cast("report_page.State", told), reason.error
    elif state == "ok" and row.missed:
        state, error = "failed", f"{row.missed} of {count(row.made + row.missed, 'picture')} failed"
    paid = row.credits_used is not None or row.sunk
    return Entry(
        name=row.key,
        state=state,
        inputs=[recorded.paths[sha256] for sha256 in row.images if sha256 in recorded.paths],
        outputs=outputs,
        job_id=row.job_id,
        error=error,
        credits=row.sunk + (row.credits_used or 0.0) if paid else None,
        began=_seconds(row.t_intent),
        ended=_seconds(ended),
    )


def _outputs(row: Row, directory: Path) -> Iterator[Made]:
    """Match what the job told with the files: `<image_index>_<group_index>_v<version>.<ext>`."""
    saved = {
        tuple(Path(file.path).name.split("_")[:2]): directory / file.path for file in row.files
    }
    told = (row.result or {}).get("outputs")
    outputs = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    for number, output in enumerate(outputs, 1):
        path = saved.get((str(output.get("image_index")), str(output.get("group_index"))))
        failed = output.get("status") == "failed"
        yield Made(
            label="After" if len(outputs) == 1 else f"After {number}",
            path=path,
            engine=_words(output.get("model_used")),
            error=_words(output.get("error_message"))
            or ("the service names no reason" if failed else "not on the disk yet"),
        )


def _words(told: object) -> str | None:
    return told if isinstance(told, str) else None


def _seconds(moment: str | None) -> float | None:
    return dt.datetime.fromisoformat(moment).timestamp() if moment else None
