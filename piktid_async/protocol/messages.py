"""A request, and how to read its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import attrs

from piktid_async.types import Json, Params

T = TypeVar("T")


class Reader(Protocol):
    """One pass over a source's bytes."""

    async def read(self) -> bytes:
        """Return the next block; b"" when there is no more."""

    def close(self) -> None:
        """Let go of the source. Must not wait: the answer may have come already."""


class Body(Protocol):
    """Bytes to upload, which can be read once per attempt."""

    @property
    def label(self) -> str:
        """How errors name the source."""

    @property
    def size(self) -> int:
        """Bytes."""

    def open(self) -> Reader:
        """Begin a pass; raises `UploadError` if the source cannot be read again."""


@attrs.frozen(kw_only=True)
class Form:
    """A multipart form: texts, and one file."""

    fields: Mapping[str, str]
    name: str
    """Of the file's field."""
    filename: str
    content_type: str
    file: Body


@attrs.frozen(kw_only=True)
class Request:
    """One API request, before it has an origin or a token."""

    method: str
    path: str
    """Begins with a slash; segments are quoted already."""
    params: Params | None = None
    json: Json = attrs.field(default=None, repr=False)
    form: Form | None = None
    """Sent in place of `json`."""
    replayable: bool = False
    """Whether sending it twice does no harm. Submitting a job is not: it costs credits."""

    @property
    def call(self) -> str:
        """Method and path, as errors name it; never the query."""
        return f"{self.method} {self.path}"


@attrs.frozen(kw_only=True)
class Response:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Names in lower case."""
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class Call(Generic[T]):
    """A request with the function that turns its answer into a value, or raises."""

    request: Request
    parse: Callable[[Response], T]
