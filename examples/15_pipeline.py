"""An asyncio pipeline with back-pressure: read, upload, recolor, save, each stage at its own pace.

Between two stages is a queue of bounded length: a slow stage slows those before it, and memory
stays flat. The session's own limits hold back the submissions.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from piktid_async import GarmentRecolor, Job, Session, UploadedFile

AHEAD = 4  # pictures, or jobs, that wait between two stages


async def upload(session: Session, paths: Iterable[Path], out: asyncio.Queue) -> None:
    async for outcome in session.upload_each(paths):
        if outcome.file is None:
            print(f"{outcome.source}: {outcome.error}")
        else:
            await out.put(outcome.file)
    await out.put(None)


async def submit(session: Session, files: asyncio.Queue, out: asyncio.Queue) -> None:
    project = await session.projects.ensure("pipeline")
    while (file := await files.get()) is not None:
        request = GarmentRecolor(project=project, images=[file], reference_text="navy")
        await out.put((file, await session.submit(request)))
    await out.put(None)


async def save(file: UploadedFile, job: Job) -> None:
    await job.download(Path("pipeline") / Path(file.filename).stem)
    print(f"{file.filename}: {(await job).status}")


async def run(pictures: Iterable[Path]) -> None:
    files: asyncio.Queue = asyncio.Queue(AHEAD)
    jobs: asyncio.Queue = asyncio.Queue(AHEAD)
    async with Session() as session, asyncio.TaskGroup() as group:
        group.create_task(upload(session, pictures, files))
        group.create_task(submit(session, files, jobs))
        while (made := await jobs.get()) is not None:
            group.create_task(save(*made))


asyncio.run(run(sorted(Path().glob("*.jpg"))))
