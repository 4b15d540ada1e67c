"""`piktid results`: wait for a job that was made before, and save its pictures."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from piktid_async import Session, StreamSettings
from piktid_async.cli import stopping
from piktid_async.cli.errors import Exit, Trouble, trouble_from
from piktid_async.cli.inputs import shown
from piktid_async.cli.progress import Lines, view_on
from piktid_async.errors import DownloadError, JobError, JobTimeoutError, PiktidError

QUICK_TO_END = StreamSettings(close_wait=0.5)
"""What is not acknowledged when a command ends will be replayed, and harms nobody."""


def fetch(
    job_id: str, *, kind: str, out: Path, timeout: float | None, overwrite: bool, console: Console
) -> list[Path]:
    """Save a job's pictures. Ctrl-C leaves the job, and no half of a file."""
    with view_on(console) as view:
        work = _fetch(view, job_id, kind=kind, out=out, timeout=timeout, overwrite=overwrite)
        try:
            return stopping.run(work, lambda: f"Stopped; run it again to have job {job_id}.")
        except DownloadError as error:
            raise Trouble(str(trouble_from(error)), Exit.INCOMPLETE) from error
        except JobTimeoutError as error:
            raise Trouble(
                f"job {job_id} was not finished after {timeout:g} s; it goes on at the server.",
                Exit.INCOMPLETE,
            ) from error
        except JobError as error:
            raise Trouble(str(trouble_from(error)), Exit.INCOMPLETE) from error
        except (PiktidError, OSError) as error:
            raise trouble_from(error) from error


async def _fetch(
    view: Lines, job_id: str, *, kind: str, out: Path, timeout: float | None, overwrite: bool
) -> list[Path]:
    async with Session(stream=QUICK_TO_END) as session:
        job = session.job(job_id, kind=kind)
        result = await job.result(timeout)
        for output in result.failed:
            reason = output.error_message or "the service names no reason"
            view.note(f"failed: picture {output.image_index}: {reason}", style="red")
        saved = await job.download(out, overwrite=overwrite)
    view.note(f"{len(saved)} of {len(result.outputs)} pictures in {shown(out)}")
    if result.failed:
        raise Trouble(f"{len(result.failed)} pictures of job {job_id} failed.", Exit.INCOMPLETE)
    return saved
