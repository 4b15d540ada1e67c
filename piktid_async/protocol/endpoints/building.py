"""What the endpoints are built of."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import attrs

from piktid_async.errors import InvalidRequestError, ResponseFormatError
from piktid_async.models.rules import checked_letters
from piktid_async.protocol import codec
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import read_object
from piktid_async.types import Json, JsonObject, Params

T = TypeVar("T")

PAGE_SIZE = 100
"""Rows asked for at once: the documented maximum."""


@attrs.frozen
class Page:
    """Rows, and whether there are more."""

    rows: tuple[JsonObject, ...]
    has_next: bool


def get(path: str, params: Params | None = None) -> Request:
    return Request(method="GET", path=path, params=params, replayable=True)


def call(request: Request, kind: type[T]) -> Call[T]:
    def parse(response: Response) -> T:
        return codec.structure(request.call, read_object(request, response), kind)

    return Call(request, parse)


def page_of(path: str, key: str, page: int, params: Params) -> Call[Page]:
    request = get(path, {**params, "page": page, "per_page": PAGE_SIZE})
    return Call(request, partial(_read_page, request, key))


def _read_page(request: Request, key: str, response: Response) -> Page:
    answer = read_object(request, response)
    rows = answer.get(key)
    if not isinstance(rows, list):
        raise ResponseFormatError(request.call, f"required field missing @ $.{key}")
    pagination = answer.get("pagination")
    has_next = isinstance(pagination, dict) and pagination.get("has_next") is True
    return Page(tuple(row for row in rows if isinstance(row, dict)), has_next)


def segment(field: str, value: str) -> str:
    # "." and ".." would be resolved away into another path.
    if not value or value in (".", ".."):
        raise InvalidRequestError(field, f"is no id: {value!r}")
    return quote(checked_letters(field, value), safe="")


def text_or_none(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def date_or_none(value: Json) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    # The service writes UTC, with or without its Z.
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
