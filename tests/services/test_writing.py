from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from piktid_async.writing import BATCH, Writing


class Held(io.FileIO):
    """A file whose writes wait until they may, and then do as they are told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "xb")
        self.begun = threading.Event()
        self.may = threading.Event()
        self.failure: OSError | None = None

    def writelines(self, lines: Iterable[Any], /) -> None:
        self.begun.set()
        assert self.may.wait(10)
        if self.failure is not None:
            raise self.failure
        super().writelines(lines)


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path / "part")


def writing_to(held: Any) -> Writing:
    return Writing(held)


@pytest.fixture(autouse=True)
def _wrappable() -> None:
    from aiofiles.threadpool import wrap
    from aiofiles.threadpool.binary import AsyncFileIO

    wrap.register(Held)(lambda file, *, loop=None, executor=None: AsyncFileIO(file, loop, executor))


async def test_blocks_are_taken_while_the_batch_before_is_written(
    held: Held, tmp_path: Path
) -> None:
    writing = writing_to(held)
    await writing.add(bytes(BATCH))
    await writing.add(b"more")  # the first batch is still being written
    assert await asyncio.to_thread(held.begun.wait, 10)
    held.may.set()
    await writing.finish()
    assert held.closed
    await writing.aclose()
    assert (tmp_path / "part").read_bytes() == bytes(BATCH) + b"more"


async def test_what_the_disk_refuses_is_raised_by_the_next_call(held: Held) -> None:
    held.failure = OSError(28, "No space left on device")
    held.may.set()
    writing = writing_to(held)
    await writing.add(bytes(BATCH))
    with pytest.raises(OSError, match="No space left"):
        await writing.finish()
    await writing.aclose()
    assert held.closed


async def test_a_file_that_is_given_up_is_closed_and_leaves_no_task(held: Held) -> None:
    writing = writing_to(held)
    await writing.add(bytes(BATCH))
    assert await asyncio.to_thread(held.begun.wait, 10)
    closing = asyncio.create_task(writing.aclose())
    held.may.set()
    await closing
    assert held.closed
