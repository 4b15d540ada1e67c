"""What a run makes of jobs that go wrong, with a scripted session in place of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from piktid_async import GarmentRecolor, JobResult, Output, Project, UploadedFile, UploadOutcome
from piktid_async.cli import run as run_module
from piktid_async.cli.order import Inputs, Order
from piktid_async.cli.progress import Lines
from piktid_async.cli.report import Report
from piktid_async.cli.run import Run
from piktid_async.cli.work import interrupted
from piktid_async.errors import (
    AuthenticationError,
    DownloadError,
    InsufficientCreditsError,
    JobFailedError,
    PiktidError,
    SubmissionUnknownError,
)
from piktid_async.types import Link

WORDS = ("recoloring", "recolored")
RESULT = JobResult(
    job_id="job-1",
    kind="garment_recolor",
    status="completed",
    outputs=tuple(
        Output(job_id="job-1", image_index=index, group_index=0, status="completed")
        for index in (0, 1)
    ),
)


@attrs.define
class ScriptedJob:
    """A job that ends as it is told."""

    id: str = "job-1"
    status: str = "completed"
    ends: PiktidError | JobResult = RESULT
    lost: DownloadError | None = None

    async def outputs(self) -> AsyncIterator[Output]:
        for output in RESULT.outputs:
            yield output

    async def result(self) -> JobResult:
        if isinstance(self.ends, PiktidError):
            raise self.ends
        return self.ends

    async def download(self, folder: Path, *, overwrite: bool, on_progress: Any) -> list[Path]:
        if self.lost is not None:
            raise self.lost
        return [folder / f"{index}_0_v0.jpg" for index in (0, 1)]


@attrs.define
class ScriptedSession:
    """A session whose submissions end as they are told; everything else goes well."""

    submit: Callable[[Any], Awaitable[Any]]

    @property
    def projects(self) -> ScriptedSession:
        return self

    async def ensure(self, name: str) -> Project:
        return Project(project_id="p", project_name=name)

    async def upload_each(self, sources: Any, on_progress: Any) -> AsyncIterator[UploadOutcome]:
        for source in sources:
            file = UploadedFile(file_id=str(source), filename="", content_type="image/jpeg")
            yield UploadOutcome(source, file)


def order(tmp_path: Path, jobs: int = 1) -> Order:
    sets = [(Path(f"{job}-front.jpg"), Path(f"{job}-back.jpg")) for job in range(jobs)]
    return Order(sets=sets, out=tmp_path, build=build, target="red", words=WORDS)


def build(inputs: Inputs) -> GarmentRecolor:
    return GarmentRecolor(project=inputs.project, images=inputs.images, reference_text="red")


async def carry_out(order: Order, *steps: Any) -> Report:
    """Run an order whose submissions meet these jobs and errors, one after the other."""
    left = list(steps)

    async def submit(request: Any) -> Any:
        step = left.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    run = Run(order, Lines(Console(quiet=True)), service="host")
    await run.carry_out(ScriptedSession(submit))  # type: ignore[arg-type]
    assert left == []
    return run.report


async def test_a_failed_job_keeps_what_it_made(tmp_path: Path) -> None:
    partial = attrs.evolve(RESULT, status="failed", credits_used=3.0)
    job = ScriptedJob(status="failed", ends=JobFailedError("job-1", "out of colour", partial))
    report = await carry_out(order(tmp_path), job)
    assert report.code == 1
    assert report.jobs[0].status == "failed"
    assert report.jobs[0].error == "job job-1: out of colour."
    assert (report.credits_used, report.credits_estimated) == (3.0, 10.0)
    assert ", 3 credits (10 estimated)." in list(report.lines())[-1]
    assert [item.path for item in report.items] == [
        tmp_path / "0_0_v0.jpg",
        tmp_path / "1_0_v0.jpg",
    ]


async def test_a_lost_download_keeps_the_files_that_came(tmp_path: Path) -> None:
    lost = DownloadError("image 1.0", "connection reset", (tmp_path / "0_0_v0.jpg",))
    report = await carry_out(order(tmp_path), ScriptedJob(lost=lost))
    assert report.code == 1
    assert report.jobs[0].error == "download of image 1.0: connection reset."
    assert [item.path for item in report.items] == [tmp_path / "0_0_v0.jpg", None]


async def test_one_refused_job_does_not_stop_the_other(tmp_path: Path) -> None:
    refusal = InsufficientCreditsError(402, "POST /garment-recolor", "Insufficient credits")
    report = await carry_out(order(tmp_path, jobs=2), refusal, ScriptedJob())
    assert report.code == 1
    assert [job.status for job in report.jobs] == ["not submitted", "completed"]
    assert all(item.path for item in report.jobs[1].items)


async def test_one_cause_is_told_once(tmp_path: Path) -> None:
    refusals = [AuthenticationError(401, "POST /garment-recolor", "expired") for _ in range(3)]
    report = await carry_out(order(tmp_path, jobs=3), *refusals)
    assert report.code == 3
    assert "\n".join(report.lines()).count("401 on") == 1


async def test_a_doubtful_submission_is_looked_for_and_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_LOOKS", 0)
    looks = iter([None, None, ScriptedJob(id="found")])

    async def reconcile() -> Any:
        return next(looks)

    request = build(Inputs("p", ("a",), {}))
    unknown = SubmissionUnknownError(request, "connection reset", Link(reconcile))
    report = await carry_out(order(tmp_path), unknown)
    assert report.jobs[0].job_id == "found"
    assert report.code == 0


async def test_a_submission_that_is_not_found_may_have_been_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_LOOKS", 0)

    async def reconcile() -> None:
        return None

    request = build(Inputs("p", ("a",), {}))
    unknown = SubmissionUnknownError(request, "connection reset", Link(reconcile))
    report = await carry_out(order(tmp_path), unknown)
    assert (report.code, report.jobs[0].status) == (1, "unknown")
    assert report.jobs[0].error is not None
    assert "look into project piktid-cli before you run this again" in report.jobs[0].error


def test_a_stopped_run_tells_what_goes_on_and_may_be_paid(tmp_path: Path) -> None:
    report = Run(order(tmp_path, jobs=2), Lines(Console(quiet=True)), service="host").report
    first, second = report.jobs
    assert interrupted(report) == "Stopped; no job of this run goes on at the server."
    first.job_id, first.status = "job-7", "submitted"
    command = f"To have the pictures:\npiktid results job-7 --out {first.folder}"
    assert interrupted(report) == (
        f"Stopped; job job-7 goes on at the server and will be paid. {command}"
    )
    second.status = "submitting"
    assert interrupted(report) == (
        "Stopped; job job-7 and a job of 2 pictures whose answer had not come yet may go on at "
        'the server and may be paid. What has no id yet would be in project "piktid-cli": '
        f"the gallery of the web app shows it. {command}"
    )
    first.status = "completed"
    second.status = "not submitted"
    assert interrupted(report) == (f"Stopped; no job of this run goes on at the server. {command}")
    report.service = "sandbox"
    assert interrupted(report) == "Stopped; the sandbox and its jobs have ended."
