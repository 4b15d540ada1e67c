"""Results to disk: whole files under their final names, or none."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import attrs
from aiofiles.threadpool import wrap

from piktid_async.connections import Connected, LoopConnections
from piktid_async.errors import ConnectionFailedError, DownloadError, PiktidError, StatusError
from piktid_async.models.jobs import Output
from piktid_async.pictures import HEAD, extension_of
from piktid_async.transport.base import Incoming

BLOCK = 1 << 20
"""Bytes gathered before they are written: each write is a hop to a thread."""
MAX_IMAGE = 512 << 20
"""Bytes; more than any image of 7000 pixels."""
MAX_ZIP = 64 << 30

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
    target = Path(path)
    async with fetched(runtime, _image(output, output.url, None), target.parent) as (part, _):
        part.replace(target)
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
    url = output.thumbnail_url if thumbnail else output.url
    download = _image(output, url, on_progress)
    async with fetched(runtime, download, directory) as (part, extension):
        suffix = "_thumbnail" if thumbnail else ""
        target = directory / f"{image}_{group}_v{version}{suffix}.{extension}"
        if overwrite or not target.exists():
            part.replace(target)
        elif not await asyncio.to_thread(_same, part, target):
            raise DownloadError(
                str(target),
                "the file exists with other content: choose another folder for each job, or "
                "pass overwrite=True",
            )
    return target


async def save_zip(runtime: Connected, url: str, label: str, path: str | PathLike[str]) -> Path:
    """Fetch a ZIP to exactly this path, replacing what is there."""
    target = Path(path)
    download = Download(url=url, label=label, max_bytes=MAX_ZIP, is_zip=True)
    async with fetched(runtime, download, target.parent) as (part, _):
        part.replace(target)
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
        with _disk(download):
            _make(directory)
        extension = await connections.caller.repeat(
            lambda: _attempt(connections, download, part), again=_again
        )
        with _disk(download):
            yield part, extension
    except (ConnectionFailedError, StatusError) as error:
        raise DownloadError(download.label, str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


async def _attempt(connections: LoopConnections, download: Download, part: Path) -> str:
    async with connections.downloads, connections.transport.get(download.url) as incoming:
        return await _write(incoming, download, part)


async def _write(incoming: Incoming, download: Download, part: Path) -> str:
    _check_size(download, incoming.size or 0)
    received = 0
    gathered = bytearray()
    head = b""
    async with _created(download, part) as write:
        _tell(download, 0, incoming)
        async for block in incoming.blocks():
            received += len(block)
            _check_size(download, received)
            if len(head) < HEAD:
                head = (head + block)[:HEAD]
            gathered += block
            if len(gathered) >= BLOCK:
                await write(bytes(gathered))
                gathered.clear()
            _tell(download, received, incoming)
        await write(bytes(gathered))
    if incoming.size is not None and received != incoming.size:
        raise ConnectionFailedError(download.label, "the answer broke off")
    return _extension(download, head)


@contextlib.asynccontextmanager
async def _created(
    download: Download, part: Path
) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """Create the part file and give what writes to it, in a thread."""
    with _disk(download):
        file = _create(part)
    in_thread = wrap(file)

    async def write(data: bytes) -> None:
        with _disk(download):
            await in_thread.write(data)

    try:
        yield write
    finally:
        closing = asyncio.get_running_loop().run_in_executor(None, file.close)
        with _disk(download):
            # Shielded: cancelled before its thread begins, it would leave the file open.
            await asyncio.shield(closing)


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)


def _create(part: Path) -> BinaryIO:
    # Not in a thread: if the waiter is cancelled, the thread may make the file all the same,
    # after it was looked for and removed.
    return part.open("wb")


@contextlib.contextmanager
def _disk(download: Download) -> Iterator[None]:
    try:
        yield
    except PiktidError:
        raise  # one of them is an OSError, too
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise DownloadError(download.label, reason) from error


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
        raise DownloadError(first.target, first.reason + more, tuple(saved)) from first
    raise first
