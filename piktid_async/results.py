"""Results to disk: whole files under their final names, or none."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from os import PathLike
from pathlib import Path

import attrs
from aiofiles.os import wrap

from piktid_async.connections import Connected, LoopConnections
from piktid_async.errors import (
    ConnectionFailedError,
    DownloadError,
    PiktidError,
    ResponseFormatError,
    StatusError,
)
from piktid_async.models.events import DownloadFinished
from piktid_async.models.jobs import Output
from piktid_async.pictures import HEAD, extension_of
from piktid_async.placing import checked_path, make_folder, place, replace
from piktid_async.transport.base import Incoming
from piktid_async.writing import Writing

BLOCK = 1 << 20
"""Bytes of two files that are compared at once."""
MAX_IMAGE = 512 << 20
"""Bytes; more than any image of 7000 pixels."""
MAX_ZIP = 64 << 30
"""Bytes of one ZIP file; what is in it has bounds of its own, see `archives`."""
LINK_EXPIRED = (403, 404, 410)
"""What storage answers when a signed URL is past its time."""

Check = Callable[[bytes], str | None]


@attrs.frozen
class DownloadProgress:
    """How far one file has come."""

    output: Output
    received: int
    """Bytes; goes back to 0 when an attempt is repeated."""
    total: int | None
    """Bytes, where the server announces them."""


OnProgress = Callable[[DownloadProgress], None]


@attrs.frozen(kw_only=True)
class Download:
    """One file to fetch."""

    url: str = attrs.field(repr=False)
    label: str
    max_bytes: int
    is_zip: bool = False
    on_received: Callable[[int, int | None], None] | None = None


async def save_output(runtime: Connected, output: Output, path: str | PathLike[str]) -> Path:
    """Fetch one output to exactly this path, replacing what is there."""
    target = checked_path("path", path)
    async with fetched(runtime, _image(output, output.url, None), target.parent) as (part, _):
        replace(part, target)
    return target


async def save_into(
    runtime: Connected,
    output: Output,
    directory: Path,
    *,
    thumbnail: bool,
    overwrite: bool,
    on_progress: OnProgress | None,
) -> Path:
    """Fetch one output into a folder under its standard name."""
    image, group, version = output.key
    download = _image(output, output.thumbnail_url if thumbnail else output.url, on_progress)
    async with fetched(runtime, download, directory) as (part, extension):
        suffix = "_thumbnail" if thumbnail else ""
        target = directory / f"{image}_{group}_v{version}{suffix}.{extension}"
        if overwrite:
            replace(part, target)
        elif not (place(part, target) or await wrap(_same)(part, target)):
            raise DownloadError(
                str(target),
                "the file exists with other content: choose another folder for each job, or "
                "pass overwrite=True",
            )
    return target


async def save_zip(runtime: Connected, url: str, label: str, path: str | PathLike[str]) -> Path:
    """Fetch a ZIP to exactly this path, replacing what is there."""
    from piktid_async import archives  # few programs pack, and it is dear

    target = checked_path("path", path)
    download = Download(url=url, label=label, max_bytes=MAX_ZIP, is_zip=True)
    del url  # error trackers send the variables of a frame along
    async with fetched(runtime, download, target.parent) as (part, _):
        stop = threading.Event()
        try:
            await asyncio.to_thread(archives.check, part, label, stop.is_set)
        finally:
            stop.set()  # the thread of one that is cancelled delays no end
        replace(part, target)
    return target


@contextlib.asynccontextmanager
async def fetched(
    runtime: Connected, download: Download, directory: Path
) -> AsyncIterator[tuple[Path, str]]:
    """Fetch into a hidden file beside the target; give it with its extension.

    The block moves it to its name. Whatever happens, no part file is left.
    """
    connections = runtime.connect()
    part = directory / f".piktid-{uuid.uuid4().hex}.part"
    try:
        with disk(download.label):
            make_folder(directory)
        began = time.monotonic()
        extension = await connections.caller.repeat(
            lambda: _attempt(connections, download, part), again=_again
        )
        if (tell := connections.tell) is not None:
            seconds, size = time.monotonic() - began, part.stat().st_size
            tell(DownloadFinished(label=download.label, size=size, seconds=seconds))
        with disk(download.label):
            yield part, extension
    except (ConnectionFailedError, StatusError, ResponseFormatError) as error:
        # Whoever asks for the results again is given a fresh link.
        expired = isinstance(error, StatusError) and error.status in LINK_EXPIRED
        raise DownloadError(
            download.label, error.summary, retryable=error.retryable or expired
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


async def _attempt(connections: LoopConnections, download: Download, part: Path) -> str:
    async with connections.downloads, connections.transport.get(download.url) as incoming:
        head = await _write(incoming, download, part)
    return _extension(download, head)


async def _write(incoming: Incoming, download: Download, part: Path) -> bytes:
    """Write what comes to a file and return its first bytes."""
    _check_size(download, incoming.size or 0)
    received = 0
    head = b""
    async with _created(download, part) as writing:
        _tell(download, 0, incoming)
        async for block in incoming.blocks():
            received += len(block)
            _check_size(download, received)
            if len(head) < HEAD:
                head = (head + block)[:HEAD]
            with disk(download.label):
                await writing.add(block)
            _tell(download, received, incoming)
        if incoming.size is not None and received != incoming.size:
            raise ConnectionFailedError(download.label, "the answer broke off")
        with disk(download.label):
            await writing.finish()
    return head


@contextlib.asynccontextmanager
async def _created(download: Download, part: Path) -> AsyncIterator[Writing]:
    """Give what writes to the part file, in a thread."""
    writing = Writing(part)
    try:
        yield writing
    finally:
        with disk(download.label):
            await writing.aclose()


class disk:  # noqa: N801 - used like a function
    """Turn what the disk refuses into a `DownloadError`."""

    __slots__ = ("_label",)

    def __init__(self, label: str) -> None:
        self._label = label

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # One of ours is an OSError, too.
        if isinstance(error, OSError) and not isinstance(error, PiktidError):
            reason = f"cannot be written ({error.strerror or error})"
            raise DownloadError(self._label, reason) from error


def _check_size(download: Download, size: int) -> None:
    if size > download.max_bytes:
        raise DownloadError(download.label, f"longer than {download.max_bytes} bytes")


def _tell(download: Download, received: int, incoming: Incoming) -> None:
    if download.on_received is not None:
        download.on_received(received, incoming.size)


def _extension(download: Download, head: bytes) -> str:
    if download.is_zip:
        if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return "zip"
        raise DownloadError(download.label, "the answer is no ZIP file")
    extension = extension_of(head)
    if extension is None:
        raise DownloadError(download.label, "the answer is no picture")
    return extension


def _again(error: BaseException) -> bool:
    return isinstance(error, ConnectionFailedError | StatusError) and error.retryable


def _image(output: Output, url: str | None, on_progress: OnProgress | None) -> Download:
    image, group, version = output.key
    label = f"output {image}_{group}_v{version} of job {output.job_id}"
    if url is None:
        raise DownloadError(label, "the service has given no link")

    def on_received(received: int, total: int | None) -> None:
        if on_progress is not None:
            on_progress(DownloadProgress(output, received, total))

    return Download(url=url, label=label, max_bytes=MAX_IMAGE, on_received=on_received)


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(BLOCK):
            if block != second.read(BLOCK):
                return False
    return True


def raise_first(errors: list[PiktidError], saved: list[Path]) -> None:
    """Raise the first failure of several files, with those that are complete."""
    if not errors:
        return
    first = errors[0]
    if isinstance(first, DownloadError):
        more = f" ({len(errors) - 1} more failed)" if len(errors) > 1 else ""
        again = any(error.retryable for error in errors)
        raise DownloadError(first.target, first.reason + more, tuple(saved), again) from first
    raise first
