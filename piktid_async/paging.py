"""Lists of the service, row by row over all their pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from piktid_async.errors import InvalidRequestError
from piktid_async.models.rules import checked_text
from piktid_async.protocol.endpoints import Page
from piktid_async.protocol.messages import Call
from piktid_async.runtime import Runtime
from piktid_async.types import JsonObject, Params

T = TypeVar("T")


async def each(
    runtime: Runtime,
    pages: Callable[[int], Call[Page]],
    read: Callable[[JsonObject], T],
    key: Callable[[T], str],
) -> AsyncIterator[T]:
    """Yield every row, one request per hundred.

    A row that is added meanwhile pushes others onto the next page, where they would be seen
    twice: what the page before has shown is left out.
    """
    caller = runtime.connect().caller
    page, more = 1, True
    shown: set[str] = set()
    while more:
        answer = await caller.execute(pages(page))
        rows = [read(row) for row in answer.rows]
        for row in rows:
            if key(row) not in shown:
                yield row
        before, shown = shown, {key(row) for row in rows}
        # "More", behind a page that is empty or the one before, would keep us asking for ever.
        page, more = page + 1, answer.has_next and bool(rows) and shown != before


def chosen(**filters: str | float | tuple[str, ...] | None) -> Params:
    """Return the filters that are set; True and False as JSON writes them."""
    return {name: _written(value) for name, value in filters.items() if value is not None}


def choice(field: str, value: str, *allowed: str) -> str:
    """Return what is one of the documented values."""
    if value not in allowed:
        raise InvalidRequestError(field, f"must be one of {', '.join(allowed)}, not {value!r}")
    return value


def number(field: str, value: object, low: int, high: int) -> int:
    """Return a whole number within its documented bounds."""
    if type(value) is not int or not low <= value <= high:
        raise InvalidRequestError(
            field, f"must be a whole number from {low} to {high}, not {value!r}"
        )
    return value


def text(field: str, value: object) -> str:
    """Return text that says something."""
    return checked_text(field, value)


def _written(value: str | float | tuple[str, ...]) -> str | int | float | tuple[str, ...]:
    return str(value).lower() if isinstance(value, bool) else value
