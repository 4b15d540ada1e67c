"""Brings tasks from `queued` to their end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable

from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.rendering import PLAIN_JPEG
from piktid_async.sandbox.vtryon.cdn import Cdn
from piktid_async.sandbox.vtryon.state import Status, Task

_log = logging.getLogger(__name__)

_WIDTHS = {"2k": 2048, "4k": 4096}
_AT_ONCE = 2
"""Pictures that are drawn at the same time."""


class TaskRunner:
    """Owns what runs for each task."""

    def __init__(
        self, *, ledger: Ledger, cdn: Cdn, seconds: float, scale: float, render: bool
    ) -> None:
        self._ledger = ledger
        self._cdn = cdn
        self._seconds = seconds
        self._scale = scale
        self._render = render
        self._drawing = asyncio.Semaphore(_AT_ONCE)
        self._running: dict[int, asyncio.Task[None]] = {}

    def resume(self, tasks: Iterable[Task]) -> None:
        """Go on with those that `close` has stopped."""
        for task in tasks:
            if task.status not in ("completed", "failed"):
                self.start(task)

    def start(self, task: Task) -> None:
        """Let a task run."""
        running = asyncio.create_task(self._run(task), name=f"sandbox vtryon {task.number}")
        self._running[task.number] = running
        running.add_done_callback(lambda _: self._ended(task))

    def _ended(self, task: Task) -> None:
        self._running.pop(task.number, None)
        self._ledger.touch("vtryon")

    def drop(self, task: Task) -> None:
        """Stop a task where it is, and forget its picture."""
        if task.number in self._running:
            self._running[task.number].cancel()
        if task.result_url is not None:
            self._cdn.remove(task.result_url)

    async def close(self) -> None:
        """Stop every task where it is."""
        running = list(self._running.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, task: Task) -> None:
        status: Status
        for status in ("pending", "processing"):
            await asyncio.sleep(self._seconds / 3)
            task.status = status
        await asyncio.sleep(self._seconds / 3)
        missing = [change.target for change in task.changes if change.garment is None]
        if missing:
            task.status, task.error = "failed", f"We couldn't find the {missing[0]} in this image"
            return
        try:
            picture = await self._draw(task)
        except Exception:
            _log.exception("drawing task %d", task.number)
            task.status, task.error = "failed", "Internal error"
            return
        task.result_url = await self._cdn.add(f"{secrets.token_urlsafe(12)}.jpg", picture)
        task.status = "completed"

    async def _draw(self, task: Task) -> bytes:
        if not self._render:
            return PLAIN_JPEG
        # Imported late: a sandbox that renders nothing needs neither Pillow nor NumPy.
        from piktid_async.sandbox.vtryon.pictures import draw

        width = max(1, round(_WIDTHS[task.quality] * self._scale))
        async with self._drawing:
            return await asyncio.to_thread(draw, task.look, task.changes, width=width)
