"""A request, and how to read its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import attrs

from piktid_async.models.rules import as_json, checked_letters, sendable
from piktid_async.types import Json, Params

T = TypeVar("T")


class Reader(Protocol):
    """One pass over a source's bytes."""

    async def read(self) -> bytes | bytearray:
        """Return the next block, which nobody changes any more; b"" when there is no more."""

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


def _sendable_query(_: object, __: object, params: Params | None) -> None:
    for name, value in (params or {}).items():
        as_json(checked_letters("params", name), value)


def _sendable_texts(_: object, __: object, fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        checked_letters(name, value)


def _sendable_name(_: object, __: object, filename: str) -> None:
    checked_letters("filename", filename)


@attrs.frozen(kw_only=True)
class Form:
    """A multipart form: texts, and one file."""

    fields: Mapping[str, str] = attrs.field(validator=_sendable_texts)
    name: str
    """Of the file's field."""
    filename: str = attrs.field(validator=_sendable_name)
    content_type: str
    file: Body


@attrs.define(eq=False)
class Probe:
    """Whether a request may be in the server's hands; kept true by the transport."""

    sent: bool = False
    """False until the first byte may have left, and again once it was plainly refused."""


@attrs.frozen(kw_only=True)
class Request:
    """One API request, before it has an origin or a token.

    Raises `InvalidRequestError` for what cannot be written in one: so it is known before anything
    waits for its turn, or is sent.
    """

    method: str
    path: str
    """Begins with a slash; segments are quoted already."""
    params: Params | None = attrs.field(default=None, validator=_sendable_query)
    json: Json = attrs.field(default=None, repr=False, validator=sendable)
    form: Form | None = None
    """Sent in place of `json`."""
    replayable: bool = False
    """Whether sending it twice does no harm. Submitting a job is not: it costs credits."""
    beside: bool = False
    """Sent over connections of its own, for what comes in masses and nobody waits for."""
    probe: Probe | None = attrs.field(default=None, repr=False, eq=False)
    """For who must know what became of it, even when no answer and no error tells."""

    @property
    def call(self) -> str:
        """Method and path, as errors name it; never the query."""
        return f"{self.method} {self.path}"


@attrs.frozen(kw_only=True)
class Response:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Looked up in lower case."""
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class Call(Generic[T]):
    """A request with the function that turns its answer into a value, or raises."""

    request: Request
    parse: Callable[[Response], T]

    def probed(self, probe: Probe) -> Call[T]:
        """Return the same call with a probe on its request."""
        return Call(attrs.evolve(self.request, probe=probe), self.parse)
