"""A file that is written while more of it comes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from piktid_async.placing import create
from piktid_async.threads import to_its_end

BATCH = 1 << 20
"""Bytes that are gathered before they are written: each batch is a hop to a thread."""
MOST = 1024
"""Blocks that the system takes at once."""


class Writing:
    """Append to a new file, in a thread, one batch behind whoever brings the blocks.

    So at most two batches are in memory. What the disk refuses is raised by the next call.
    """

    def __init__(self, part: Path) -> None:
        self._file = _NewFile(part)
        self._gathered: list[bytes] = []
        self._size = 0
        self._running: asyncio.Future[None] | None = None

    async def add(self, block: bytes) -> None:
        """Take a block; waits only while the batch before is still being written."""
        self._gathered.append(block)
        self._size += len(block)
        if self._size >= BATCH:
            await self._ran()
            batch, self._gathered, self._size = self._gathered, [], 0
            self._run(self._file.append, batch)

    async def finish(self) -> None:
        """Write the rest; return when everything is on the disk, and the file is closed."""
        await self._ran()
        self._run(self._file.finish, self._gathered)
        await self._ran()

    async def aclose(self) -> None:
        """Close the file, after what is being written; whatever happens, it is closed."""
        try:
            if self._running is not None:
                # What it raises is not news any more: whoever waited for it has had it.
                with contextlib.suppress(OSError):
                    await to_its_end(self._running)
        finally:
            if self._file.is_open:
                await to_its_end(self._run(self._file.close))

    def _run(self, work: Callable[..., None], *args: Any) -> asyncio.Future[None]:
        # No task: those are cancelled at the end of `asyncio.run`, and the thread is not.
        self._running = running = asyncio.get_running_loop().run_in_executor(None, work, *args)
        return running

    async def _ran(self) -> None:
        if self._running is not None:
            # Shielded: a thread goes on, whoever is cancelled.
            await asyncio.shield(self._running)


class _NewFile:
    """The file itself, which only threads touch.

    They make it, too: a file system that is busy with its journal has one wait for milliseconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    @property
    def is_open(self) -> bool:
        return self._fd is not None

    def append(self, blocks: Sequence[bytes]) -> None:
        if self._fd is None:
            self._fd = create(self._path)
        # In one call: each one has to wait for the interpreter's lock when it comes back.
        written = os.writev(self._fd, blocks) if len(blocks) <= MOST else 0
        if written < sum(map(len, blocks)):
            rest = memoryview(b"".join(blocks))[written:]
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def finish(self, blocks: Sequence[bytes]) -> None:
        self.append(blocks)
        assert self._fd is not None
        os.fsync(self._fd)
        self.close()

    def close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
