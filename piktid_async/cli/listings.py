"""`piktid jobs`, `identities` and `usage`: what the account holds and has used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs
from rich.table import Table

from piktid_async import CreditUsage, Identity, JobSummary, Session
from piktid_async.cli.asking import ask
from piktid_async.cli.errors import Exit, Trouble, clean
from piktid_async.cli.inputs import image_problem
from piktid_async.cli.order import check_timeout
from piktid_async.cli.progress import Lines
from piktid_async.cli.words import count
from piktid_async.errors import IdentityError

T = TypeVar("T")

NO_LINKS: Any = attrs.filters.exclude("images", "link", "face_metadata")


def jobs(
    *, project: str | None, kind: str | None, search: str | None, limit: int
) -> list[JobSummary]:
    """List the newest jobs of the account."""

    async def work(session: Session, _: Lines) -> list[JobSummary]:
        found = session.gallery.jobs(
            project=await project_key(session, project) if project else None,
            job_type=kind,
            search=search,
            max_images=1,
        )
        return await _first(found, limit)

    return ask(work, what="listing jobs")


async def project_key(session: Session, name: str) -> str:
    """Return the key of a project, given by its name or its key."""
    async for project in session.projects.list():
        if name in (project.project_name, project.project_id):
            return project.project_id
    raise Trouble(f"--project {clean(name)}: the account has no such project.", Exit.REFUSED)


def jobs_table(found: list[JobSummary]) -> Table:
    """Show jobs to people."""
    table = Table(box=None, pad_edge=False)
    for name in ("job", "kind", "status", "pictures", "project", "created"):
        table.add_column(name, no_wrap=name == "job", overflow="fold")
    for job in found:
        done, failed = job.completed_images or 0, job.failed_images or 0
        bad = f", {failed} failed" if failed else ""
        row = (
            job.job_id,
            job.job_type,
            job.job_status,
            f"{done}/{job.total_images or '?'}{bad}",
            job.project_name,
            job.created_at,
        )
        table.add_row(*(clean(each or "") for each in row))
    return table


def jobs_json(found: list[JobSummary]) -> dict[str, Any]:
    """Tell jobs to programs, without links."""
    return _told("jobs", [attrs.asdict(job, filter=NO_LINKS) for job in found])


def identities(*, search: str | None, limit: int) -> list[Identity]:
    """List the identities that the account can use."""

    async def work(session: Session, _: Lines) -> list[Identity]:
        return await _first(session.identities.list(search=search), limit)

    return ask(work, what="listing identities")


def add_identity(picture: Path, *, name: str | None, timeout: float | None) -> Identity:
    """Make an identity of a picture of one person, and wait until it can be used."""
    check_timeout(timeout)
    if problem := image_problem(picture):
        raise Trouble(f"PICTURE: {problem}. Nothing was sent.")
    code: list[str] = []

    async def work(session: Session, view: Lines) -> Identity:
        identity = await session.identities.ensure(picture, name or picture.stem)
        code.append(identity.identity_code)
        view.note(f"identity {identity.identity_code}: uploaded")
        return await session.identities.wait(identity, timeout)

    def stopped() -> str:
        if code:
            return f"Stopped; identity {code[0]} is being prepared: `piktid identities` shows it."
        return "Stopped; the identity may exist: `piktid identities` shows it."

    try:
        return ask(work, what=f"preparing the identity of {picture.name}", stopped=stopped)
    except IdentityError as error:
        raise Trouble(clean(f"{error}."), Exit.INCOMPLETE) from error


def identities_table(found: list[Identity]) -> Table:
    """Show identities to people."""
    table = Table(box=None, pad_edge=False)
    for title in ("code", "name", "status", "whose"):
        table.add_column(title, no_wrap=title == "code", overflow="fold")
    for each in found:
        status = each.preprocessing_status or ("locked" if each.locked else "")
        table.add_row(
            *(clean(cell or "") for cell in (each.identity_code, each.name, status)),
            clean(each.visibility or ""),
        )
    return table


def identities_json(found: list[Identity]) -> dict[str, Any]:
    """Tell identities to programs, without links."""
    return _told("identities", [attrs.asdict(each, filter=NO_LINKS) for each in found])


def usage(
    *,
    since: datetime | None,
    until: datetime | None,
    resolution: Literal["day", "week", "month"],
) -> CreditUsage:
    """Read the credits that were used."""
    if since and until and since > until:
        raise Trouble(f"--since: {since:%Y-%m-%d} is later than --until {until:%Y-%m-%d}.")

    async def work(session: Session, _: Lines) -> CreditUsage:
        start = since.date() if since else None
        end = f"{until:%Y-%m-%d}T23:59:59Z" if until else None
        return await session.billing.usage(start, end, resolution)

    return ask(work, what="reading the usage")


def usage_table(found: CreditUsage) -> Table:
    """Show the usage to people."""
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("from", "all")
    table.add_column("kind")
    table.add_column("jobs", justify="right")
    table.add_column("credits", f"{found.total_credits:g}", justify="right")
    for each in found.summary:
        table.add_row(
            clean((each.period_start or "")[:10]),
            clean(each.job_type or ""),
            "" if each.job_count is None else str(each.job_count),
            f"{each.total_credits:g}",
        )
    return table


def usage_json(found: CreditUsage) -> dict[str, Any]:
    """Tell the usage to programs."""
    return {"ok": True, "exit_code": 0, **attrs.asdict(found)}


async def _first(found: AsyncIterator[T], limit: int) -> list[T]:
    chosen: list[T] = []
    async for each in found:
        chosen.append(each)
        if len(chosen) >= limit:
            break
    return chosen


def _told(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ok": True, "exit_code": 0, name: rows}


def how_many(number: int, limit: int, thing: str) -> str:
    """Say how many are shown, and how to see more."""
    more = "; --limit shows more" if number >= limit else ""
    return f"{count(number, thing)}{more}."
