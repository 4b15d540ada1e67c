"""`piktid results`, `download` and `zip`: the pictures of jobs that were made before."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from piktid_async import DownloadProgress, Job, JobResult, Session
from piktid_async.cli.asking import ask
from piktid_async.cli.errors import Exit, Trouble, clean, trouble_from
from piktid_async.cli.inputs import check_output, shown
from piktid_async.cli.listings import project_key
from piktid_async.cli.order import check_timeout
from piktid_async.cli.progress import Lines
from piktid_async.cli.words import count
from piktid_async.errors import DownloadError, JobError, JobTimeoutError, NotFoundError, PiktidError
from piktid_async.models.jobs import TERMINAL
from piktid_async.protocol.names import safe_name

RECOLOR = "garment_recolor"
"""What a job is taken for whose kind nobody knows."""
CONVERSATION = "edit_chat"
PREPARATION = "identity_preprocessing"


@attrs.define
class Fetched:
    """What became of one job."""

    job_id: str
    status: str = "unknown"
    files: list[Path] = attrs.field(factory=list)
    failed: list[str] = attrs.field(factory=list)
    """Pictures that the service could not make, each with the reason."""
    credits_used: float | None = None
    error: str | None = None

    def enter(self, result: JobResult) -> None:
        """Write down what the service tells."""
        self.status, self.credits_used = result.status, result.credits_used
        self.failed = [
            clean(f"picture {each.image_index}: {each.error_message or 'no reason is named'}")
            for each in result.failed
        ]

    def lines(self) -> Iterator[str]:
        """Sum up for people."""
        yield from (shown(path) for path in self.files)
        yield from (f"job {self.job_id}, {each}" for each in self.failed)
        if self.error:
            yield self.error


@attrs.frozen
class Fetching:
    """What became of the jobs that were asked for."""

    jobs: Sequence[Fetched]

    @property
    def code(self) -> Exit:
        """0 if every picture of every job is here."""
        well = not any(job.error or job.failed for job in self.jobs)
        return Exit.OK if well else Exit.INCOMPLETE

    def lines(self) -> Iterator[str]:
        """Sum up for people."""
        for job in self.jobs:
            yield from job.lines()

    def as_json(self) -> dict[str, Any]:
        """Sum up for programs. Holds paths, never URLs."""
        jobs = [
            {**attrs.asdict(job), "files": [str(path) for path in job.files]} for job in self.jobs
        ]
        return {"ok": self.code is Exit.OK, "exit_code": int(self.code), "jobs": jobs}


def fetch(
    job_id: str, *, kind: str | None, out: Path | None, timeout: float | None, overwrite: bool
) -> Fetching:
    """Wait for a job and save its pictures. Ctrl-C leaves the job, and no half of a file."""
    check_timeout(timeout)
    folder = _folder(job_id) if out is None else out
    check_output(folder, [], overwrite=True)

    async def work(session: Session, view: Lines) -> Fetching:
        with view.waiting(f"looking for job {clean(job_id)}"):
            known = await _standing(session, job_id)
        known.check(job_id)
        job = session.job(job_id, kind=kind or known.kind)
        found = Fetched(job_id)
        if not known.ended:
            await _watch(job, view, known.total, timeout)
        await _save(job, found, view, out=folder, timeout=timeout, overwrite=overwrite)
        return Fetching([found])

    return ask(
        work,
        stopped=lambda: f"Stopped; run it again to have job {job_id}.",
    )


def download(
    job_ids: Sequence[str], *, project: str | None, out: Path, thumbnails: bool, overwrite: bool
) -> Fetching:
    """Save the pictures of jobs that have ended, each in a folder of its own."""
    if not job_ids and project is None:
        raise Trouble("Which jobs? Give their ids (`piktid jobs` lists them), or --project NAME.")
    check_output(out, [], overwrite=True)
    found: list[Fetched] = []

    async def work(session: Session, view: Lines) -> Fetching:
        if project is not None:
            key = await project_key(session, project)
            wanted = [job.job_id async for job in session.gallery.jobs(project=key)]
        else:
            wanted = list(dict.fromkeys(job_ids))
        if not wanted:
            raise Trouble(f"--project {clean(str(project))}: no jobs are in it.", Exit.INCOMPLETE)
        found.extend(map(Fetched, wanted))
        for each in found:
            await _take(session, view, each, out / _folder(each.job_id), thumbnails, overwrite)
        return Fetching(found)

    def stopped() -> str:
        here = sum(1 for each in found if each.files)
        return f"Stopped; {count(here, 'job')} of {len(found)} are here, and no half of a file."

    return ask(work, what="reading the jobs", stopped=stopped)


def save_zip(
    job_ids: Sequence[str], *, out: Path, timeout: float | None, overwrite: bool
) -> dict[str, Any]:
    """Wait for jobs and save all their pictures as one ZIP file."""
    check_timeout(timeout)
    check_output(out.parent, [], overwrite=True)
    if out.is_dir():
        raise Trouble(f"--out: {shown(out)} is a folder, not a file.")
    if out.exists() and not overwrite:
        raise Trouble(f"--out: {shown(out)} exists: name another file, or add --overwrite.")

    left_out: list[str] = []

    async def work(session: Session, view: Lines) -> Path:
        jobs = []
        for each in dict.fromkeys(job_ids):
            known = await _standing(session, each)
            try:
                known.check(each)
            except Trouble as error:
                left_out.append(str(error))
            else:
                jobs.append(session.job(each, kind=known.kind))
        if not jobs:
            raise Trouble(" ".join(left_out), Exit.INCOMPLETE)
        for job in jobs:
            await job.result(timeout)
        with view.waiting(f"fetching {shown(out)}"):
            return await (
                jobs[0].download_zip(out) if len(jobs) == 1 else session.download_zip(jobs, out)
            )

    try:
        path = ask(
            work,
            what=f"waiting for {count(len(job_ids), 'job')}",
            stopped=lambda: "Stopped; the jobs go on at the server, and no half of a file is left.",
        )
    except (JobError, DownloadError, OSError) as error:
        again = f"piktid zip {' '.join(map(clean, job_ids))} --out {shlex.quote(str(out))}"
        raise _incomplete(error, timeout, again) from error
    return {
        "ok": not left_out,
        "exit_code": int(Exit.INCOMPLETE if left_out else Exit.OK),
        "path": str(path),
        "bytes": path.stat().st_size,
        "jobs": list(job_ids),
        "error": " ".join(left_out) or None,
    }


def _folder(job_id: str) -> Path:
    return Path(safe_name(job_id, "job"))


@attrs.frozen
class Standing:
    """What the service tells of a job before it is followed."""

    kind: str = RECOLOR
    status: str = "unknown"
    total: int = 0

    def check(self, job_id: str) -> None:
        """Raise `Trouble` for a job that makes no pictures."""
        if self.kind == PREPARATION:
            raise Trouble(
                f"job {clean(job_id)} prepares an identity and has no pictures.", Exit.INCOMPLETE
            )

    @property
    def ended(self) -> bool:
        """Whether nothing more will come; a conversation counts as ended at any time."""
        return self.status in TERMINAL and self.kind != CONVERSATION


async def _standing(session: Session, job_id: str) -> Standing:
    """Ask for kind and status of a job; one that is not to be seen yet may be a recolor."""
    if not job_id.strip():
        raise Trouble("JOB: the id is empty.")
    try:
        told = await session.request("GET", f"/jobs/{quote(job_id, safe='')}/status")
    except NotFoundError:
        return Standing()
    known = told if isinstance(told, dict) else {}
    total = known.get("total_images")
    return Standing(
        kind=str(known.get("job_type") or RECOLOR),
        status=str(known.get("status") or "unknown"),
        total=total if isinstance(total, int) else 0,
    )


async def _watch(job: Job, view: Lines, total: int, timeout: float | None) -> None:
    """Show each picture as it is made."""
    view.note(f"job {job.id}: waiting for its pictures")
    view.start_outputs(total, ("making pictures", "made"))
    try:
        async with asyncio.timeout(timeout) as limit:
            async for output in job.outputs():
                failed = output.status == "failed"
                reason = clean(output.error_message or "no reason is named") if failed else None
                view.output(f"picture {output.image_index}_{output.group_index}", reason)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise _too_late(job.id, timeout) from error


async def _take(
    session: Session, view: Lines, found: Fetched, out: Path, thumbnails: bool, overwrite: bool
) -> None:
    """Save what one job has made, if it has ended; its trouble stops no other."""
    try:
        known = await _standing(session, found.job_id)
        found.status = known.status
        known.check(found.job_id)
        if known.status not in TERMINAL:
            found.error = (
                f"job {clean(found.job_id)} is {clean(known.status)}: "
                f"`piktid results {clean(found.job_id)}` waits for it."
            )
            return
        job = session.job(found.job_id, kind=known.kind)
        await _save(job, found, view, out=out, overwrite=overwrite, thumbnails=thumbnails)
    except Trouble as error:
        found.error = str(error)
    except NotFoundError as error:
        found.error = str(trouble_from(error))


async def _save(
    job: Job,
    found: Fetched,
    view: Lines,
    *,
    out: Path,
    timeout: float | None = None,
    overwrite: bool = False,
    thumbnails: bool = False,
) -> None:
    def saving(at: DownloadProgress) -> None:
        image, group, version = at.output.key
        view.saving(f"{image}_{group}_v{version}", at.received, at.total)

    try:
        result = await job.result(timeout)
        found.enter(result)
        if result.ok:
            view.start_saving(job.id, len(result.ok))
        found.files = await job.download(
            out, overwrite=overwrite, thumbnails=thumbnails, on_progress=saving
        )
    except (JobError, DownloadError, OSError) as error:
        if isinstance(error, DownloadError):
            found.files = list(error.saved)
        again = f"piktid results {clean(job.id)} --out {shlex.quote(str(out))}"
        raise _incomplete(error, timeout, again) from error


def _incomplete(error: PiktidError | OSError, timeout: float | None, again: str) -> Trouble:
    if isinstance(error, JobTimeoutError):
        return _too_late(error.job_id, timeout)
    return Trouble(str(trouble_from(error, again=again)), Exit.INCOMPLETE)


def _too_late(job_id: str, timeout: float | None) -> Trouble:
    return Trouble(
        f"job {job_id} was not finished after {timeout:g} s; it goes on at the server.",
        Exit.INCOMPLETE,
    )
