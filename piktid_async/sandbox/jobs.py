"""Runs jobs: one picture after the other, each step told to whoever listens.

A batch job ends with its last picture. A conversation never does: its generations are made one
after the other, because each goes on from what the one before it has left.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import weakref
from collections.abc import Coroutine, Iterable
from typing import Any

from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.identities import PREPARATION
from piktid_async.sandbox.making import Maker
from piktid_async.sandbox.notifications import NotificationBoard
from piktid_async.sandbox.state import Account, Job, Output
from piktid_async.sandbox.storage import Storage


class JobRunner:
    """Owns the tasks of the running jobs."""

    def __init__(
        self,
        *,
        account: Account,
        board: NotificationBoard,
        storage: Storage,
        maker: Maker,
        faults: Faults,
        post_process_seconds: float,
    ) -> None:
        self._account = account
        self._board = board
        self._storage = storage
        self._maker = maker
        self._faults = faults
        self._post_process_seconds = post_process_seconds
        self._turns: weakref.WeakKeyDictionary[Job, asyncio.Lock] = weakref.WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, job: Job) -> None:
        """Let a booked job run, or the first generation of a conversation."""
        if job.conversation:
            self.go_on(job, job.history)
        else:
            self._spawn(self._run(job), job)

    def go_on(self, job: Job, generation: Iterable[Output]) -> None:
        """Make one more generation of a conversation, after those before it."""
        self._spawn(self._generate(job, list(generation)), job)

    def remake(self, job: Job, output: Output) -> None:
        """Make one more version of an output; the status of the job stays as it is."""
        self._spawn(self._remake(job, output), job)

    def give_up(self, job: Job, output: Output, message: str | None) -> None:
        """Let an output fail, wherever it is; its job goes on with the next."""
        self._maker.give_up(output, message)
        self._announce(job, output)
        if job.conversation or not job.active:
            self._account.charge(job)

    def resume(self) -> None:
        """Go on with what `close` has stopped."""
        for job in self._account.jobs.values():
            if job.request.kind != PREPARATION:
                self._resume(job)

    async def close(self) -> None:
        """Stop every job where it is."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, running: Coroutine[Any, Any, None], job: Job) -> None:
        task = asyncio.create_task(running, name=f"sandbox {job.job_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resume(self, job: Job) -> None:
        waiting = [output for output in job.history if not output.ended]
        if job.conversation:
            for _, generation in itertools.groupby(waiting, key=lambda each: each.image_index):
                self.go_on(job, generation)
        elif job.status in ("pending", "processing"):
            self._spawn(self._run(job), job)
        else:
            for output in waiting:
                self.remake(job, output)
            if job.post_processing_status == "processing":
                self._spawn(self._post_process(job), job)

    async def _run(self, job: Job) -> None:
        waiting = [output for output in job.history if not output.ended]
        job.status = "processing"
        if job.request.post_process:
            job.post_processing_status = "pending"
        self._report(job)
        for output in waiting:
            await self._make(job, output)
            self._report(job)
        await self._finish(job)

    async def _generate(self, job: Job, generation: list[Output]) -> None:
        async with self._turns.setdefault(job, asyncio.Lock()):
            working = _working_image(job, generation[0].image_index)
            for output in generation:
                output.working_key = working
                await self._make(job, output)
                self._account.charge(job)
                job.updated = time.time()

    async def _remake(self, job: Job, output: Output) -> None:
        await self._make(job, output)
        self._account.charge(job)
        job.updated = time.time()

    async def _make(self, job: Job, output: Output) -> None:
        if output.ended:
            return
        # Who gives it up while it is being made announces it, too.
        if await self._maker.make(job, output):
            self._announce(job, output)

    async def _finish(self, job: Job) -> None:
        later = job.request.post_process and self._post_process_seconds > 0
        if job.successful:
            job.status = "completed"
            if job.request.post_process:
                job.post_processing_status = "processing" if later else "completed"
        else:
            job.status = "failed"
            job.post_processing_status = None
            job.error_message = f"All images failed: {job.outputs[0].error_message}"
        self._account.charge(job)
        if not later:
            self._post_processed(job)
        self._report(job)
        if later and job.status == "completed":
            await self._post_process(job)

    async def _post_process(self, job: Job) -> None:
        await asyncio.sleep(self._post_process_seconds)
        # No event is documented for it, so none is sent: only the status tells.
        self._post_processed(job)
        job.updated = time.time()
        self._account.save(job)

    def _post_processed(self, job: Job) -> None:
        if job.status != "completed" or not job.request.post_process:
            return
        job.post_processing_status = "completed"
        if self._faults.take("post_processing_fails"):
            job.post_processing_status = "failed"
            job.post_processing_error = "Post-processing failed"

    def _report(self, job: Job) -> None:
        job.updated = time.time()
        self._account.save(job)
        data: dict[str, Any] = {
            "id_task": job.job_id,
            "status": job.status,
            "total_images": len(job.outputs),
            "processed_images": job.processed,
        }
        if job.error_message is not None:
            data["error_message"] = job.error_message
        self._board.emit("batch_edit", data)

    def _announce(self, job: Job, output: Output) -> None:
        self._account.save(job)
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
        self._board.emit("image_result", data)


def _working_image(job: Job, generation: int) -> str | None:
    """Return the last output that was made before a generation."""
    made = [
        output
        for output in job.outputs
        if output.image_index < generation and output.full_key is not None
    ]
    last = max(made, key=lambda each: (each.image_index, each.group_index), default=None)
    return last.full_key if last is not None else None
