"""Where an upload's bytes come from: paths, bytes, file objects, sized streams."""

from __future__ import annotations

import asyncio
import io
import os
import re
import stat
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from piktid_async.errors import UploadError
from piktid_async.models.images import Source, StreamSource
from piktid_async.pictures import extension_of
from piktid_async.transport.base import Body, Reader

BLOCK = 120 * 1024
"""Bytes read at once.

Small enough to be in the core's cache still when they are encrypted and sent, and a little less
than what the C library asks the system for fresh pages for, each time.
"""

# Any: to the type checker, a binary file object cannot be one of these.
_TEXT: Any = io.TextIOBase
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@attrs.frozen
class Opened:
    """A source that was found to be readable."""

    filename: str | None
    body: Body
    repeatable: bool
    """Whether it can be read again for another attempt."""


def describe(source: Source, filename: str | None) -> Opened:
    """Look at a source before anything is sent; raises `UploadError` if it cannot be read."""
    if filename is not None and not isinstance(filename, str):
        raise UploadError(repr(filename), "filename must be a text")
    match source:
        case str() | os.PathLike():
            return _path(os.fsdecode(source), filename)
        case bytes():
            return _bytes(source, filename)
        case StreamSource():
            return _stream(source, filename)
        case _ if hasattr(source, "read"):
            return _file_object(source, filename)
    kind = type(source).__name__
    raise UploadError(kind, "takes a path, bytes, a binary file or a StreamSource")


def _path(path: str, filename: str | None) -> Opened:
    try:
        # As a text: to make a `Path` is dearer than the look at the file.
        found = os.stat(path)  # noqa: PTH116
        if not stat.S_ISREG(found.st_mode):
            raise UploadError(path, "is no regular file; give the files in it one by one")
        if not os.access(path, os.R_OK):
            raise UploadError(path, "may not be read (permission denied)")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UploadError(path, f"cannot be read ({reason})") from None
    body = _FileBody(path, _sized(path, found.st_size))
    return Opened(_named(filename or path), body, True)


def _bytes(data: bytes, filename: str | None) -> Opened:
    label = filename or f"<{len(data)} bytes>"
    _sized(label, len(data))
    name = filename or _invented(data[:32])
    return Opened(_named(name), _BytesBody(data, label), True)


def _file_object(file: BinaryIO, filename: str | None) -> Opened:
    own = getattr(file, "name", None)
    name = filename or (Path(own).name if isinstance(own, str) else None)
    label = name or f"<{type(file).__name__}>"
    if isinstance(file, _TEXT):
        raise UploadError(label, "was opened as text; open it with mode 'rb'")
    try:
        readable = getattr(file, "readable", None)
        if readable is not None and not readable():
            raise UploadError(label, "was not opened for reading; open it with mode 'rb'")
        start = file.tell()
        size = file.seek(0, os.SEEK_END) - start
        file.seek(start)
        head = file.read(32)
        file.seek(start)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        reason = f"cannot tell its size ({error}); give a StreamSource with a size"
        raise UploadError(label, reason) from None
    if not isinstance(head, bytes):
        raise UploadError(label, f"gives {type(head).__name__}, not bytes; open it with mode 'rb'")
    body = _FileObjectBody(file, label, start, _sized(label, size))
    return Opened(_named(name or _invented(head)), body, True)


def _stream(source: StreamSource, filename: str | None) -> Opened:
    name = filename or source.filename
    label = name or "<stream>"
    if type(source.size) is not int:
        raise UploadError(label, f"size must be a whole number of bytes, not {source.size!r}")
    _sized(label, source.size)
    if not hasattr(source.chunks, "__aiter__"):
        raise UploadError(label, "chunks must be an async iterable of bytes")
    # An iterator is its own iterable: what it has given is gone.
    repeatable = not isinstance(source.chunks, AsyncIterator)
    return Opened(_named(name), _StreamBody(source, label, repeatable), repeatable)


def _sized(label: str, size: int) -> int:
    if size < 1:
        raise UploadError(label, "is empty")
    return size


def _named(filename: str | None) -> str | None:
    if filename is None:
        return None
    plain = _CONTROL.sub("", filename.replace("\\", "/").rpartition("/")[2]).strip()
    # A name on disk need not be text at all, but JSON is.
    return plain.encode("utf-8", "replace").decode()[-200:] or None


def _invented(head: bytes) -> str | None:
    # The service chooses the content type by the name's extension.
    extension = extension_of(head)
    return f"{uuid.uuid4().hex}.{extension}" if extension else None


@attrs.frozen
class _BytesBody:
    data: bytes = attrs.field(repr=False)
    label: str

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self) -> Reader:
        return _BytesReader(self.data)


class _BytesReader:
    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    async def read(self) -> bytes:
        block, self._rest = self._rest[:BLOCK], self._rest[BLOCK:]
        return bytes(block)

    def close(self) -> None:
        self._rest.release()


@attrs.frozen
class _FileBody:
    label: str
    """Its path."""
    size: int

    def open(self) -> Reader:
        return _FileReader(self.label, self.size)


class _FileReader:
    """Read a file in blocks: on the loop what the page cache has, else in a thread."""

    def __init__(self, path: str, size: int) -> None:
        self._label = path
        self._left = size
        self._offset = 0
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UploadError(path, f"cannot be read ({error.strerror})") from None
        self._reading: asyncio.Future[bytes] | None = None

    async def read(self) -> bytes | bytearray:
        length = min(BLOCK, self._left)
        if not length:
            if os.fstat(self._fd).st_size > self._offset:
                raise UploadError(self._label, "grew while it was read")
            return b""
        try:
            block: bytes | bytearray | None = _read_cached(self._fd, length, self._offset)
            if block is None:
                self._reading = asyncio.get_running_loop().run_in_executor(
                    None, os.pread, self._fd, length, self._offset
                )
                block = await self._reading
        except OSError as error:
            raise UploadError(self._label, f"cannot be read ({error.strerror})") from None
        self._offset += len(block)
        self._left -= len(block)
        return block

    def close(self) -> None:
        fd, reading = self._fd, self._reading
        if reading is None or (reading.done() and not reading.cancelled()):
            os.close(fd)
            return
        # A thread may still read from the descriptor; its number must not be given away.
        asyncio.get_running_loop().run_in_executor(None, os.close, fd)


def _read_cached(fd: int, length: int, offset: int) -> bytearray | None:
    """Read what needs no disk; None when it does, or where the system cannot tell."""
    nowait = getattr(os, "RWF_NOWAIT", None)
    if nowait is None:
        return None
    # A fresh buffer each time: the transport may keep what it could not send yet.
    buffer = bytearray(length)
    try:
        count = os.preadv(fd, [buffer], offset, nowait)
    except OSError:
        # Not cached (EAGAIN), or a file system that does not know the flag (tmpfs).
        return None
    del buffer[count:]
    return buffer or None


@attrs.frozen
class _FileObjectBody:
    file: BinaryIO
    label: str
    start: int
    size: int

    def open(self) -> Reader:
        try:
            self.file.seek(self.start)
        except (OSError, ValueError) as error:
            raise UploadError(self.label, f"cannot be read again ({error})") from None
        return _FileObjectReader(self.file, self.label, self.start)


class _FileObjectReader:
    def __init__(self, file: BinaryIO, label: str, start: int) -> None:
        self._file = file
        self._label = label
        self._offset = start

    async def read(self) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, self._read)
        except UploadError:
            raise
        except Exception as error:  # it may be any object with a `read`
            raise UploadError(self._label, f"cannot be read ({error})") from error

    def _read(self) -> bytes:
        # Two uploads of one file object would share its position, and mix their bytes.
        if self._file.tell() != self._offset:
            reason = "was moved while it was read; open the file once for each upload"
            raise UploadError(self._label, reason)
        block = self._file.read(BLOCK)
        self._offset += len(block)
        return block

    def close(self) -> None:
        """Leave the file open: it is the caller's."""


class _StreamBody:
    def __init__(self, source: StreamSource, label: str, repeatable: bool) -> None:
        self.size = source.size
        self.label = label
        self._source = source
        self._repeatable = repeatable
        self._opened = False

    def open(self) -> Reader:
        if self._opened and not self._repeatable:
            raise UploadError(self.label, "the stream cannot be read a second time")
        self._opened = True
        return _StreamReader(self._source.chunks.__aiter__(), self.label)


class _StreamReader:
    def __init__(self, chunks: AsyncIterator[Any], label: str) -> None:
        self._chunks = chunks
        self._label = label
        self._rest = memoryview(b"")

    async def read(self) -> bytes:
        while not self._rest:
            try:
                chunk = await self._chunks.__anext__()
            except StopAsyncIteration:
                return b""
            except Exception as error:
                reason = f"its chunks failed ({type(error).__name__}: {error})"
                raise UploadError(self._label, reason) from error
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise UploadError(self._label, f"gave {type(chunk).__name__} instead of bytes")
            self._rest = memoryview(bytes(chunk))
        block, self._rest = self._rest[:BLOCK], self._rest[BLOCK:]
        return bytes(block)

    def close(self) -> None:
        """Leave the iterator to its owner."""
