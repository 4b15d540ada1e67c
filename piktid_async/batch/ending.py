"""From a job that was made to its images on disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path
from typing import Any

from piktid_async.batch.ledger import Row, SavedFile, State
from piktid_async.batch.products import safe_name
from piktid_async.batch.recorded import error_json, result_json
from piktid_async.batch.shared import Run
from piktid_async.errors import (
    DownloadError,
    JobAbortedError,
    JobError,
    JobFailedError,
    NotFoundError,
)
from piktid_async.jobs import Job
from piktid_async.models.jobs import JobResult
from piktid_async.types import redact_text


class Ending:
    """Follow one product's job to its end, and save what it made."""

    def __init__(self, run: Run, key: str) -> None:
        self._run = run
        self._key = key
        self.result: JobResult | None = None
        """With URLs, if it was read in this run."""

    async def reach(self, row: Row, job: Job | None) -> tuple[Row, JobError | None]:
        """Go from where the journal has it to the end; return the error of a job that failed."""
        if row.state is State.SAVED and not await asyncio.to_thread(self._there, row):
            row = await self._run.store.move(self._key, State.TERMINAL)
        if row.state not in (State.SUBMITTED, State.TERMINAL):
            return row, None
        job = job or self.job_of(row)
        if row.state is State.SUBMITTED:
            row, error = await self.end(job)
            if error is not None:
                return row, error
        return await self.save(job), None

    def job_of(self, row: Row) -> Job:
        """Pick up the job that the journal knows."""
        assert row.job_id is not None
        assert row.kind is not None
        return self._run.session.job(
            row.job_id, kind=row.kind, total_outputs=row.total_outputs or None
        )

    async def end(self, job: Job, then: str | None = None) -> tuple[Row, JobError | None]:
        """Wait for the end of its job, and note it; of a job that failed, save what it made.

        A job that the service does not know, also after the while in which a new one may not be
        seen yet, leaves the product in doubt, and raises `NotFoundError`.
        """
        try:
            result = self.result = await job.result()
        except (JobFailedError, JobAbortedError) as error:
            return await self._failed(job, error), error
        except NotFoundError:
            reason = (
                f"the service knows no job {job.id}: tell which one it is, or that there is none, "
                "with Batch.settle or `piktid batch settle`"
            )
            await self._run.store.move(self._key, State.IN_DOUBT, job_id=None, reason=reason)
            raise
        row = await self._run.store.move(self._key, State.TERMINAL, then=then, **_told(result))
        return row, None

    async def save(self, job: Job) -> Row:
        """Save what its job has made."""
        files = await self._download(job)
        return await self._run.store.move(self._key, State.SAVED, files=files)

    async def _failed(self, job: Job, error: JobError) -> Row:
        result = self.result = error.result
        files: tuple[SavedFile, ...] = ()
        if result is not None and result.ok:
            with contextlib.suppress(DownloadError):  # the job's own error tells more
                files = await self._download(job)
        told = {} if result is None else _told(result)
        return await self._run.store.move(
            self._key,
            State.FAILED,
            **{**told, "status": job.status},
            files=files,
            error=error_json(error),
            reason=redact_text(str(error)),
        )

    async def _download(self, job: Job) -> tuple[SavedFile, ...]:
        if not self._run.download:
            return ()
        directory = self._run.directory
        folder = directory / safe_name(self._key)
        await asyncio.to_thread(_sweep, folder)
        paths = await job.download(folder)
        return await asyncio.to_thread(lambda: tuple(_saved(path, directory) for path in paths))

    def _there(self, row: Row) -> bool:
        return all(
            (path := self._run.directory / file.path).is_file() and path.stat().st_size == file.size
            for file in row.files
        )


def _told(result: JobResult) -> dict[str, Any]:
    return {
        "status": result.status,
        "credits_used": result.credits_used,
        "made": len(result.ok),
        "missed": len(result.failed),
        "result": result_json(result),
    }


def _sweep(folder: Path) -> None:
    """Remove what a program that was killed has left half-written."""
    for part in folder.glob(".piktid-*.part"):
        part.unlink(missing_ok=True)


def _saved(path: Path, directory: Path) -> SavedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return SavedFile(path=str(path.relative_to(directory)), size=file.tell(), sha256=digest)
