"""The public names as a type checker sees them. Checked by `make types`, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

from piktid_async import (
    AccountLimits,
    BatchEdit,
    GarmentRecolor,
    IdentityPreprocessing,
    ImageResult,
    InsufficientCreditsError,
    Job,
    JobFailedError,
    JobProgress,
    JobResult,
    JobStatus,
    Notification,
    Output,
    PiktidError,
    Project,
    RateLimitError,
    Session,
    Source,
    StreamSource,
    SubmissionUnknownError,
    UnknownPayload,
    UploadedFile,
    UploadGroupError,
    UploadOutcome,
    UploadProgress,
)
from piktid_async.vtryon import ColorChange, Recolor, Task, TaskResult, VtryonSession


async def fresh_token() -> str:
    return "token"


async def chunks() -> AsyncIterator[bytes]:
    yield b""


def on_progress(at: UploadProgress) -> None:
    assert_type(at.source, Source)
    assert_type((at.sent, at.total), tuple[int, int])


async def the_first_screen() -> None:
    async with Session() as session:
        project = assert_type(await session.projects.ensure("spring-drop"), Project)
        images = assert_type(
            await session.upload_many(["front.jpg", "back.jpg"]), list[UploadedFile]
        )
        request = GarmentRecolor(project=project, images=images, reference_text="forest green")
        job = assert_type(await session.submit(request), Job)
        async for output in job.outputs():
            assert_type(output, Output)
            assert_type((output.image_index, output.url), tuple[int, str | None])
        assert_type(await job.result(timeout=900), JobResult)
        assert_type(await job, JobResult)
        assert_type(await job.download("out/"), list[Path])


def sessions() -> None:
    Session("token", base_url="https://host", limits=AccountLimits.unlimited(), max_credits=10)
    Session(fresh_token, upload_concurrency=2, download_concurrency=2, ack="manual", timeout=5)
    Session(stream=False, max_retries=0, proxy="http://proxy:3128", limits=AccountLimits())


async def uploads(session: Session) -> None:
    stream = StreamSource(chunks(), 3, "front.jpg")
    assert_type(await session.upload(b"", filename="front.jpg"), UploadedFile)
    assert_type(await session.upload(stream), UploadedFile)
    with Path("front.jpg").open("rb") as file:
        await session.upload(file)
    try:
        await session.upload_many([Path("front.jpg"), b"", stream], on_progress=on_progress)
    except UploadGroupError as error:
        assert_type(error.exceptions, tuple[PiktidError | ExceptionGroup[PiktidError], ...])
        for file_id in error.uploaded.values():
            assert_type(file_id, UploadedFile)
    async for outcome in session.upload_each(Path().glob("*.jpg")):
        assert_type(outcome, UploadOutcome)
        assert_type(outcome.file, UploadedFile | None)
        assert_type(outcome.error, PiktidError | None)


async def jobs(session: Session, request: GarmentRecolor) -> None:
    assert_type((request.total_outputs, request.credits), tuple[int, float | None])
    assert_type(await session.run(request, timeout=900), JobResult)
    job = session.job("id", kind="garment_recolor", total_outputs=2)
    assert_type((job.id, job.kind, job.status, job.done), tuple[str, str, str, bool])
    assert_type(job.progress, JobProgress)
    assert_type(job.progress.percent, float | None)
    assert_type(await job.fetch_status(), JobStatus)
    result = assert_type(await job.fetch_results(), JobResult)
    assert_type(result.ok, tuple[Output, ...])
    assert_type(result.credits_used, float | None)
    assert_type(await result.ok[0].save("front.jpg"), Path)
    assert_type(await job.download_zip("all.zip"), Path)
    try:
        await session.submit(request)
    except SubmissionUnknownError as error:
        assert_type(await error.reconcile(), Job | None)
    except InsufficientCreditsError as error:
        assert_type(error.user_credits, float | None)
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except JobFailedError as error:
        assert_type((error.job_id, error.result), tuple[str, JobResult | None])


async def notifications(session: Session, job: Job) -> None:
    async with session.notifications(names=["batch_edit"], jobs=[job]) as feed:
        async for note in feed:
            assert_type(note, Notification)
            assert_type(
                note.payload, BatchEdit | ImageResult | IdentityPreprocessing | UnknownPayload
            )
            await note.ack()
    async for note in job.events():
        assert_type(note, Notification)


async def vtryon() -> None:
    async with VtryonSession("key", base_url="https://host", poll_interval=3) as session:
        change = ColorChange("blouse", "royal blue")
        recolor = Recolor(pose_image_generation_id=936, color_changes=[change], image_quality="4k")
        assert_type(recolor.color_changes, tuple[ColorChange, ...])
        task = assert_type(await session.recolor(recolor), Task)
        assert_type((task.id, task.status, task.done), tuple[int, str, bool])
        assert_type(task.result_url, str | None)
        assert_type(await task, TaskResult)
        result = assert_type(await task.result(timeout=60), TaskResult)
        assert_type((result.id, result.status, result.result_url), tuple[int, str, str | None])
        assert_type(await task.download("look.jpg"), Path)
        async for each in session.tasks(page_size=10):
            assert_type(each, Task)
        await session.delete(task)
        await session.delete(session.task(501).id)
