"""Images on their way up: sources, uploaded files, notes, progress."""

from __future__ import annotations

from collections.abc import AsyncIterable
from os import PathLike
from typing import BinaryIO, TypeAlias

import attrs

from piktid_async.errors import InvalidRequestError, PiktidError
from piktid_async.models.rules import checked_letters
from piktid_async.types import redact_url, shown


@attrs.frozen(eq=False)
class StreamSource:
    """Bytes that come from elsewhere, with their size known beforehand.

    `chunks` is sent again after a fault only if it can be iterated again, that is, if its
    `__aiter__` returns a fresh iterator; a running generator is used once and then fails.
    """

    chunks: AsyncIterable[bytes]
    size: int
    """Bytes, exactly: storage takes no upload of unknown length."""
    filename: str | None = None


Source: TypeAlias = "str | PathLike[str] | bytes | BinaryIO | StreamSource"
"""A path, the bytes themselves, a binary file object, or a stream with its size."""


@attrs.frozen(kw_only=True)
class UploadedFile:
    """An image that has arrived."""

    file_id: str
    """What job requests take."""
    filename: str
    content_type: str
    """As the service chose it from the file's name."""
    download_url: str | None = attrs.field(default=None, repr=redact_url)
    """A signed URL of limited life."""


@attrs.frozen
class AnnotatedImage:
    """An uploaded image with a note on what it shows, such as "back view"."""

    file_id: str
    note: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.note is not None and not isinstance(self.note, str):
            raise InvalidRequestError("note", f"must be a text, not {self.note!r}")
        checked_letters("note", self.note or "")


@attrs.frozen
class UploadProgress:
    """How far one source has come."""

    source: Source = attrs.field(repr=shown)
    sent: int
    """Bytes; goes back to 0 when an attempt is repeated."""
    total: int
    """Bytes."""


@attrs.frozen
class UploadOutcome:
    """How one source of `upload_each` ended: exactly one of `file` and `error` is set."""

    source: Source = attrs.field(repr=shown)
    file: UploadedFile | None = None
    error: PiktidError | None = None


def file_id_of(field: str, image: UploadedFile | AnnotatedImage | str) -> str:
    """Return the id of an uploaded image, however it is given."""
    found = image if isinstance(image, str) else getattr(image, "file_id", None)
    if not isinstance(found, str) or not found.strip():
        raise InvalidRequestError(
            field, f"takes an UploadedFile or its file_id, not {shown(image)}: see session.upload"
        )
    return checked_letters(field, found)


def unannotated(field: str, image: UploadedFile | AnnotatedImage | str) -> str:
    """Return the id of an uploaded image where the service takes no note on it."""
    if isinstance(image, AnnotatedImage) and image.note is not None:
        raise InvalidRequestError(
            field, "the service takes no note on this image: pass its file_id alone"
        )
    return file_id_of(field, image)
