"""Runs jobs: one picture after the other, each step told to whoever listens."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from piktid_async.sandbox.notifications import NotificationBoard
from piktid_async.sandbox.rendering import Renderer, RenderError
from piktid_async.sandbox.state import Account, Job, Output
from piktid_async.sandbox.storage import Storage, result_key

_log = logging.getLogger(__name__)


class JobRunner:
    """Owns the tasks of the running jobs."""

    def __init__(
        self,
        *,
        account: Account,
        board: NotificationBoard,
        storage: Storage,
        renderer: Renderer,
        seconds_per_image: float,
    ) -> None:
        self._account = account
        self._board = board
        self._storage = storage
        self._renderer = renderer
        self._seconds_per_image = seconds_per_image
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, job: Job) -> None:
        """Let a booked job run."""
        task = asyncio.create_task(self._run(job), name=f"sandbox {job.job_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop every job where it is."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        job.status = "processing"
        self._report(job)
        for output in job.outputs:
            output.status = "processing"
            await asyncio.sleep(self._seconds_per_image)
            await self._make(job, output)
            self._board.emit("image_result", self._image_result(job, output))
            self._report(job)
        self._finish(job)

    async def _make(self, job: Job, output: Output) -> None:
        started = time.monotonic()
        try:
            await self._draw(job, output)
        except RenderError as error:
            output.status, output.error_message = "failed", str(error)
        except Exception:
            _log.exception("rendering image %d of %s", output.image_index, job.job_id)
            output.status, output.error_message = "failed", "Internal error"
        else:
            output.status = "completed"
        output.processing_time = round(time.monotonic() - started + self._seconds_per_image, 3)

    async def _draw(self, job: Job, output: Output) -> None:
        picture = await self._renderer.render(job.request, output)
        stem = f"{output.image_index}_{output.group_index}_v0"
        full = result_key(job.job_id, f"{stem}.jpg")
        thumbnail = result_key(job.job_id, f"{stem}_thumbnail.jpg")
        await self._storage.spool.put(full, picture.full, content_type="image/jpeg")
        await self._storage.spool.put(thumbnail, picture.thumbnail, content_type="image/jpeg")
        output.full_key, output.thumbnail_key = full, thumbnail

    def _finish(self, job: Job) -> None:
        if job.successful:
            job.status = "completed"
            if job.request.post_process:
                job.post_processing_status = "completed"
        else:
            job.status = "failed"
            job.error_message = f"All images failed: {job.outputs[0].error_message}"
        self._account.charge(job)
        self._report(job)

    def _report(self, job: Job) -> None:
        job.updated = time.time()
        data: dict[str, Any] = {
            "id_task": job.job_id,
            "status": job.status,
            "total_images": len(job.outputs),
            "processed_images": job.processed,
        }
        if job.error_message is not None:
            data["error_message"] = job.error_message
        self._board.emit("batch_edit", data)

    def _image_result(self, job: Job, output: Output) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id_task": job.job_id,
            "image_index": output.image_index,
            "group_index": output.group_index,
            "status": output.status,
            "output_link": output.full_key and self._storage.download_url(output.full_key),
            "output_thumbnail_link": output.thumbnail_key
            and self._storage.download_url(output.thumbnail_key),
        }
        if output.error_message is not None:
            data["error_message"] = output.error_message
        return data
