"""A file that is written while more of it comes."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

from aiofiles.threadpool import wrap

from piktid_async.placing import synchronise

BATCH = 1 << 20
"""Bytes that are gathered before they are written: each batch is a hop to a thread."""


class Writing:
    """Append to a file, in a thread, one batch behind whoever brings the blocks.

    So at most two batches are in memory. What the disk refuses is raised by the next call.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._in_thread = wrap(file)
        self._gathered: list[bytes] = []
        self._size = 0
        self._batch: asyncio.Task[None] | None = None

    async def add(self, block: bytes) -> None:
        """Take a block; waits only while the batch before is still being written."""
        self._gathered.append(block)
        self._size += len(block)
        if self._size >= BATCH:
            await self._written()
            batch, self._gathered, self._size = self._gathered, [], 0
            self._batch = asyncio.create_task(
                self._in_thread.writelines(batch), name="piktid writing"
            )

    async def finish(self) -> None:
        """Write the rest; return when everything is on the disk, and the file is closed."""
        await self._written()
        await asyncio.get_running_loop().run_in_executor(None, _finish, self._file, self._gathered)

    async def aclose(self) -> None:
        """Close the file, after what is being written; whatever happens, it is closed."""
        try:
            if self._batch is not None:
                self._batch.cancel()
                # What it raises is not news any more: whoever waited for it has had it.
                await asyncio.gather(self._batch, return_exceptions=True)
        finally:
            if not self._file.closed:
                closing = asyncio.get_running_loop().run_in_executor(None, self._file.close)
                # Shielded: cancelled before its thread begins, it would leave the file open.
                await asyncio.shield(closing)

    async def _written(self) -> None:
        if self._batch is not None:
            await self._batch


def _finish(file: BinaryIO, blocks: list[bytes]) -> None:
    file.writelines(blocks)
    synchronise(file)
    file.close()
