"""A product's images before anything is sent: readable, pictures, known by their content."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from piktid_async.batch.ledger import Stamp, Store
from piktid_async.errors import UploadError
from piktid_async.models.images import Source, StreamSource
from piktid_async.pictures import HEAD, extension_of

SMALL = 1 << 18
"""Bytes that are hashed sooner than a thread begins."""


@attrs.frozen
class Picture:
    """One image, known by its content."""

    source: str | Path | bytes = attrs.field(repr=False)
    sha256: str
    size: int


async def look(sources: Sequence[Source], store: Store) -> list[Picture]:
    """Read and check images; files that have not changed since they were read are not read again.

    Raises `UploadError` for the first that cannot be read, or is no picture.
    """
    held = [await _held(source) for source in sources]
    stamps = [_stamp(each) for each in held]
    wanted = [stamp for stamp in stamps if stamp is not None]
    known = await store.hashes(wanted) if wanted else {}
    return [
        Picture(source, known[stamp], stamp.size)
        if stamp is not None and stamp in known
        else await _read(source, stamp, store)
        for source, stamp in zip(held, stamps, strict=True)
    ]


def extension(picture: Picture) -> str:
    """Return the extension that goes with a picture's first bytes."""
    source = picture.source
    try:
        head = source[:HEAD] if isinstance(source, bytes) else _head(Path(source))
    except OSError as error:
        raise UploadError(str(source), f"cannot be read ({error.strerror})") from None
    return extension_of(head) or "jpg"


async def _read(source: str | Path | bytes, stamp: Stamp | None, store: Store) -> Picture:
    small = isinstance(source, bytes) and len(source) <= SMALL
    picture = _checked(source) if small else await asyncio.to_thread(_checked, source)
    if stamp is not None:
        await store.keep_hash(stamp, picture.sha256)
    return picture


def _checked(source: str | Path | bytes) -> Picture:
    label = f"<{len(source)} bytes>" if isinstance(source, bytes) else str(source)
    try:
        if isinstance(source, bytes):
            head, size, digest = source[:HEAD], len(source), hashlib.sha256(source)
        else:
            with Path(source).open("rb") as file:
                head = file.read(HEAD)
                file.seek(0)
                digest, size = hashlib.file_digest(file, "sha256"), file.tell()
    except OSError as error:
        raise UploadError(label, f"cannot be read ({error.strerror})") from None
    if not size:
        raise UploadError(label, "is empty")
    if extension_of(head) is None:
        raise UploadError(label, "is no picture that is known: give a JPEG, PNG or WebP file")
    return Picture(source, digest.hexdigest(), size)


def _stamp(source: str | Path | bytes) -> Stamp | None:
    if isinstance(source, bytes):
        return None
    # No Path is made: a second run over thousands of images does little else.
    try:
        found = os.stat(source)  # noqa: PTH116
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UploadError(str(source), f"cannot be read ({reason})") from None
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for its writer
        raise UploadError(str(source), "is no regular file")
    return Stamp(os.path.abspath(source), found.st_size, found.st_mtime_ns)  # noqa: PTH100


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


async def _held(source: Any) -> str | Path | bytes:
    """Return a path, or the bytes: what can be read any number of times."""
    match source:
        case bytes() | str() | Path():
            return source
        case os.PathLike():
            return Path(os.fspath(source))
        case StreamSource():
            data = b"".join([chunk async for chunk in source.chunks])
            if len(data) != source.size:
                label = source.filename or "<stream>"
                raise UploadError(label, f"has {len(data)} bytes, not {source.size}")
            return data
        case _ if hasattr(source, "read"):
            read = await asyncio.to_thread(source.read)
            if isinstance(read, bytes):
                return read
    raise UploadError(type(source).__name__, "takes a path, bytes, a binary file or a StreamSource")
