from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from piktid_async import writing as module
from piktid_async.threads import to_its_end
from piktid_async.writing import BATCH, MOST, Writing


class Disk:
    """A disk whose writes wait until they may, and then do as they are told."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may = threading.Event()
        self.failure: OSError | None = None
        self.at_once = 1 << 30
        """Bytes that it takes in one call."""

    def writev(self, fd: int, blocks: Sequence[bytes]) -> int:
        self.begun.set()
        assert self.may.wait(10)
        if self.failure is not None:
            raise self.failure
        return os.write(fd, b"".join(blocks)[: self.at_once])


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(module.os, "writev", disk.writev)
    return disk


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "part"


def open_descriptors(path: Path) -> int:
    return sum(os.path.realpath(name) == str(path) for name in Path("/proc/self/fd").iterdir())


async def test_blocks_are_taken_while_the_batch_before_is_written(disk: Disk, part: Path) -> None:
    writing = Writing(part)
    await writing.add(bytes(BATCH))
    await writing.add(b"more")  # the first batch is still being written
    assert await asyncio.to_thread(disk.begun.wait, 10)
    disk.may.set()
    await writing.finish()
    assert open_descriptors(part) == 0
    await writing.aclose()
    assert part.read_bytes() == bytes(BATCH) + b"more"


async def test_what_the_disk_refuses_is_raised_by_the_next_call(disk: Disk, part: Path) -> None:
    disk.failure = OSError(28, "No space left on device")
    disk.may.set()
    writing = Writing(part)
    await writing.add(bytes(BATCH))
    with pytest.raises(OSError, match="No space left"):
        await writing.finish()
    assert open_descriptors(part) == 1
    await writing.aclose()
    assert open_descriptors(part) == 0


async def test_file_that_cannot_be_made_is_told_and_leaves_nothing_to_close(part: Path) -> None:
    writing = Writing(part / "below")
    part.touch()
    await writing.add(b"block")
    with pytest.raises(NotADirectoryError):
        await writing.finish()
    await writing.aclose()


async def test_what_the_disk_takes_only_in_part_is_written_on(disk: Disk, part: Path) -> None:
    disk.may.set()
    disk.at_once = 3
    writing = Writing(part)
    await writing.add(b"first ")
    await writing.add(b"second")
    await writing.finish()
    assert part.read_bytes() == b"first second"


async def test_more_blocks_than_the_system_takes_at_once(part: Path) -> None:
    writing = Writing(part)
    for number in range(MOST + 1):
        await writing.add(b"%04d" % number)
    await writing.finish()
    assert part.read_bytes() == b"".join(b"%04d" % number for number in range(MOST + 1))


async def test_a_file_that_is_given_up_is_closed_only_when_its_thread_has_ended(
    disk: Disk, part: Path
) -> None:
    writing = Writing(part)
    await writing.add(bytes(BATCH))
    assert await asyncio.to_thread(disk.begun.wait, 10)
    closing = asyncio.create_task(writing.aclose())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()  # again and again
    await asyncio.sleep(0)
    assert not closing.done()
    assert open_descriptors(part) == 1
    disk.may.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert open_descriptors(part) == 0


async def test_thread_is_waited_for_though_every_task_of_the_loop_is_cancelled(
    disk: Disk, part: Path
) -> None:
    """As at the end of `asyncio.run`."""
    writing = Writing(part)
    await writing.add(bytes(BATCH))
    assert await asyncio.to_thread(disk.begun.wait, 10)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    closing = asyncio.create_task(writing.aclose())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not closing.done()
    disk.may.set()
    await closing
    assert open_descriptors(part) == 0
    assert part.stat().st_size == BATCH


async def test_cancelled_wait_asks_the_thread_to_stop_and_outlasts_it() -> None:
    stop, ended = threading.Event(), threading.Event()

    def work() -> None:
        assert stop.wait(10)
        ended.set()

    running = asyncio.get_running_loop().run_in_executor(None, work)
    waiting = asyncio.create_task(to_its_end(running, stop.set))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
