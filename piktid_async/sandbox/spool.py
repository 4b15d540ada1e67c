"""Files on disk: uploads, result images and ZIPs. Nothing of any size is held in memory."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
import uuid
import zipfile
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import attrs

from piktid_async.sandbox.ledger import Ledger

BLOCK = 1024 * 1024
_ZEROS = bytes(BLOCK)

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen
class StoredObject:
    """A finished file."""

    path: Path
    size: int
    content_type: str


class Spool:
    """The directory of one sandbox, and the threads that read and write in it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._objects: dict[str, StoredObject] = {}
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="sandbox-disk")
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._directory: Path | None = None

    def open(self, directory: Path | None) -> None:
        """Use a directory that outlives the sandbox, or make one that does not."""
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="piktid-sandbox-")
            self._directory = Path(self._temporary.name)
            return
        directory.mkdir(exist_ok=True)
        self._directory = directory
        for key, (name, size, content_type) in self._ledger.load("file").items():
            self._objects[key] = StoredObject(directory / name, size, content_type)
        known = {stored.path for stored in self._objects.values()}
        for path in directory.iterdir():
            if path not in known:  # half an upload
                path.unlink()

    def find(self, key: str) -> StoredObject | None:
        """Look up a finished file."""
        return self._objects.get(key)

    async def receive(
        self, key: str, blocks: AsyncGenerator[bytes, None], *, content_type: str
    ) -> None:
        """Write a file block by block. It exists under `key` only once it is whole."""
        path = self._new_path()
        file = _create(path)
        try:
            async with aclosing(blocks):
                async for block in blocks:
                    await self._in_thread(_write, file, block)
            size = await self._in_thread(_finish, file)
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
        self._keep(key, StoredObject(path, size, content_type))

    async def put(self, key: str, content: bytes, *, content_type: str) -> None:
        """Write a file that is in memory already."""
        path = self._new_path()
        size = await self._in_thread(path.write_bytes, content)
        self._keep(key, StoredObject(path, size, content_type))

    async def blocks(self, stored: StoredObject) -> AsyncGenerator[bytes, None]:
        """Read a file block by block."""
        with _open(stored) as file:
            while block := await self._in_thread(file.read, BLOCK):
                yield block

    async def zip_blocks(self, members: Mapping[str, StoredObject]) -> AsyncGenerator[bytes, None]:
        """Pack files into a ZIP, block by block."""
        packing = _pack(members)
        while block := await self._in_thread(next, packing, b""):
            yield block

    def close(self) -> None:
        """End the threads and delete every file, unless the directory is to stay."""
        self._pool.shutdown(cancel_futures=True)  # a block is written in no time
        self._objects.clear()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _new_path(self) -> Path:
        assert self._directory is not None, "not open"
        return self._directory / uuid.uuid4().hex

    def _keep(self, key: str, stored: StoredObject) -> None:
        replaced = self._objects.get(key)
        self._objects[key] = stored
        self._ledger.save("file", key, (stored.path.name, stored.size, stored.content_type))
        self._ledger.commit()
        if replaced is not None:
            replaced.path.unlink(missing_ok=True)

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: call(*args, **kwargs))


# Opening takes no time, and a file that is opened in a thread is lost if its waiter is cancelled.
def _create(path: Path) -> BinaryIO:
    return path.open("wb")


def _open(stored: StoredObject) -> BinaryIO:
    return stored.path.open("rb")


def _write(file: BinaryIO, block: bytes) -> None:
    # Zeros become holes: a sparse file of 10 GB, sent to try a client, stays sparse here.
    if _ZEROS.startswith(block):
        file.seek(len(block), os.SEEK_CUR)
    else:
        file.write(block)


def _finish(file: BinaryIO) -> int:
    size = file.tell()
    file.truncate(size)
    file.close()
    return size


class _Sink(io.RawIOBase):
    """Takes what the ZIP writer writes; not seekable, so that it never goes back."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes only
        self._written.append(bytes(data))
        return len(data)

    def drain(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)


def _pack(members: Mapping[str, StoredObject]) -> Generator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, stored in members.items():
            with stored.path.open("rb") as file, archive.open(name, "w") as entry:
                while block := file.read(BLOCK):
                    entry.write(block)
                    yield sink.drain()
    yield sink.drain()
