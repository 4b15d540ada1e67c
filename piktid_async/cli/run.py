"""Carry out an order on a session: upload, submit, follow, download.

One job that fails stops no other. Whatever happens, `Run.report` tells what is known so far.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from piktid_async import (
    DownloadProgress,
    Job,
    JobResult,
    Output,
    Project,
    Session,
    UploadedFile,
)
from piktid_async.cli.errors import Exit, Trouble, clean, explain, trouble_from
from piktid_async.cli.inputs import shown
from piktid_async.cli.order import STAND_IN, File, Inputs, Order, named
from piktid_async.cli.progress import Lines
from piktid_async.cli.report import SANDBOX, Item, JobReport, Report
from piktid_async.errors import DownloadError, JobError, PiktidError, SubmissionUnknownError
from piktid_async.models.requests import JobRequest

LOOKS = 3
"""How often a job is looked for whose submission was not answered."""
SECONDS_BETWEEN_LOOKS = 3.0
SECONDS_FOR_LAST_LOOK = 1.0
"""For all jobs together, when the run is stopped."""


class Run:
    """One order on its way."""

    def __init__(self, order: Order, view: Lines, *, service: str) -> None:
        self._order = order
        self._view = view
        self._began = time.monotonic()
        self.report: Report = Report(
            target=order.target,
            service=service,
            project=order.project,
            jobs=order.job_reports(),
            done=order.words[1],
            next_step=order.next_step,
        )
        self._requests: list[tuple[JobRequest, JobReport]] = []

    async def carry_out(self, session: Session) -> None:
        """Do it all. Raises only for what stops the whole run before anything is paid."""
        try:
            project = await self._project(session)
            files = await self._upload(session)
            more: dict[str, File] = {name: files[path] for name, path in self._order.more.items()}
            if self._order.identity_image is not None:
                more["identity"] = await self._identity(session, self._order.identity_image)
            self._view.start_outputs(self._order.total_outputs, self._order.words)
            async with asyncio.TaskGroup() as jobs:
                for job in self.report.jobs:
                    images = tuple(files[path] for path in job.images)
                    request = self._order.build(Inputs(project, images, more))
                    jobs.create_task(self._job(session, request, job))
        finally:
            self.report.seconds = time.monotonic() - self._began

    async def look_once(self, session: Session) -> None:
        """Look for the jobs whose answers nobody waits for any more; brief, and never an error."""
        looks = [
            self._look(unknown, report)
            for unknown in session.in_doubt
            for request, report in self._requests
            if unknown.request is request
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_FOR_LAST_LOOK):
                await asyncio.gather(*looks)

    async def _look(self, unknown: SubmissionUnknownError, report: JobReport) -> None:
        with contextlib.suppress(PiktidError):
            job = await unknown.reconcile()
            if job is not None:
                report.job_id, report.status = job.id, "submitted"

    async def _project(self, session: Session) -> Project | str:
        if self._order.project is None:
            return STAND_IN
        with self._view.waiting("finding the project"):
            return await session.projects.ensure(self._order.project)

    async def _identity(self, session: Session, picture: Path) -> str:
        with self._view.waiting(f"preparing the identity of {picture.name}"):
            identity = await session.identities.ensure(picture, named(picture))
            ready = await session.identities.wait(identity, self._order.timeout)
        self._view.note(f"identity {ready.identity_code}: ready")
        return ready.identity_code

    async def _upload(self, session: Session) -> Mapping[Path, UploadedFile]:
        order = self._order
        pictures = (path for images in order.sets for path in images)
        sources = list(dict.fromkeys([*pictures, *order.more.values()]))
        if not sources:
            return {}
        self._view.start_uploads(len(sources))
        files: dict[Path, UploadedFile] = {}
        failed: list[str] = []
        outcomes = session.upload_each(
            sources,
            on_progress=lambda at: self._view.upload(Path(str(at.source)), at.sent, at.total),
        )
        async for outcome in outcomes:
            path = Path(str(outcome.source))
            error = explain(outcome.error) if outcome.error else None
            self._view.uploaded(path, error)
            if outcome.file is not None:
                files[path] = outcome.file
            else:
                failed.append(error or f"{shown(path)} did not arrive.")
        if failed:
            raise Trouble(
                f"{len(failed)} of {len(sources)} files were not uploaded: {failed[0]} "
                "Nothing was submitted, so nothing was paid.",
                Exit.REFUSED,
            )
        return files

    async def _job(self, session: Session, request: JobRequest, report: JobReport) -> None:
        """Do one job; its trouble goes into its report instead of ending the other jobs."""
        try:
            job = await self._submit(session, request, report)
            report.job_id, report.status = job.id, "submitted"
            self._view.submitted(job.id, len(report.items))
            result = await self._follow(job, report)
            report.status = result.status
            if request.conversation_id is None:  # else the sum is that of all its steps
                report.credits_used = result.credits_used
            await self._save(job, result, report)
        except Trouble as error:
            report.error = str(error)
        except (PiktidError, OSError) as error:
            again = None if self.report.service == SANDBOX else report.command
            report.error = str(trouble_from(error, again=again))

    async def _submit(self, session: Session, request: JobRequest, report: JobReport) -> Job:
        self._requests.append((request, report))
        report.credits_estimated = request.credits
        report.status, report.began = "submitting", time.time()
        try:
            return await session.submit(request)
        except SubmissionUnknownError as error:
            report.status = "unknown"
            return await self._find(error)
        except asyncio.CancelledError:
            if not any(doubt.request is request for doubt in session.in_doubt):
                report.status = "not submitted"  # it was still waiting for its turn
            raise
        except PiktidError:
            report.status = "not submitted"
            raise

    async def _find(self, unknown: SubmissionUnknownError) -> Job:
        """Look for a job whose submission got no answer; it is never submitted twice."""
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            job = await unknown.reconcile()
            if job is not None:
                return job
        raise Trouble(
            f"A submission got no answer ({clean(unknown.reason)}) and its job was not found: "
            f"look into {self._place} before you run this again, since the job may exist and be "
            "paid.",
            Exit.INCOMPLETE,
        )

    @property
    def _place(self) -> str:
        project = self._order.project
        return f"project {clean(project)}" if project is not None else "the gallery of the web app"

    async def _follow(self, job: Job, report: JobReport) -> JobResult:
        try:
            async with asyncio.timeout(self._order.timeout) as limit:
                async for output in job.outputs():
                    self._tell(output, report)
                return await job.result()
        except JobError as error:
            report.status = job.status
            if error.result is not None:
                report.credits_used = error.result.credits_used
                await self._save(job, error.result, report)
            raise
        except TimeoutError as error:
            if not limit.expired():  # a request's own time-out
                raise
            raise Trouble(
                f"{report.name} was not finished after {self._order.timeout:g} s; "
                f"{self.report.afterwards}.",
                Exit.INCOMPLETE,
            ) from error

    def _tell(self, output: Output, report: JobReport) -> None:
        item = _item(report, output)
        if item is not None:
            item.ended = time.time()
        if item is None or item.source is None:
            name = f"picture {report.items.index(item) + 1 if item else output.image_index}"
        else:
            name = item.source.name
            if any(other.variation for other in report.items):
                name += f", variation {output.group_index + 1}"
        self._view.output(name, _failure(output) if output.status == "failed" else None)

    async def _save(self, job: Job, result: JobResult, report: JobReport) -> None:
        for output in result.outputs:
            if item := _item(report, output):
                item.engine = output.model_used
                if output.status == "failed":
                    item.error = _failure(output)
        if not result.ok:
            return
        self._view.start_saving(job.id, len(result.ok))
        try:
            saved = await job.download(
                report.folder, overwrite=self._order.overwrite, on_progress=self._saving
            )
        except DownloadError as error:
            _enter(report, error.saved)
            raise
        _enter(report, saved)

    def _saving(self, at: DownloadProgress) -> None:
        image, group, version = at.output.key
        self._view.saving(f"{image}_{group}_v{version}", at.received, at.total)


def _enter(report: JobReport, saved: Iterable[Path]) -> None:
    """Write down which picture is in which file: `<image_index>_<group_index>_v<version>`."""
    for path in saved:
        image, variation, _ = path.name.split("_", 2)
        for item in report.items:
            if (item.image_index, item.variation) == (int(image), int(variation)):
                item.path, item.error = path, None


def _item(report: JobReport, output: Output) -> Item | None:
    """Find the picture that an output belongs to.

    Of a job of each picture, image_index counts inputs from 0. What it counts of others, the
    vendor's pages and programs tell differently, so outputs take their places as they come.
    """
    place = (output.image_index, output.group_index)
    free = None
    for item in report.items:
        if (item.image_index, item.variation) == place:
            return item
        if item.image_index is None and free is None:
            free = item
    if free is not None:
        free.image_index, free.variation = place
    return free


def _failure(output: Output) -> str:
    return clean(output.error_message or "the service names no reason")
