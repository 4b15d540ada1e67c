"""A request, and how to read its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import attrs

from piktid_async.types import Json, Params

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Request:
    """One API request, before it has an origin or a token."""

    method: str
    path: str
    """Begins with a slash; segments are quoted already."""
    params: Params | None = None
    json: Json = None
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
