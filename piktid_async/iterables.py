"""Sync and async iterables, read in one way."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TypeVar

from piktid_async.errors import InvalidRequestError

T = TypeVar("T")


async def drawn(
    field: str, items: Iterable[T] | AsyncIterable[T], what: str = "requests"
) -> AsyncIterator[T]:
    """Draw from an iterable of any length, one item at a time."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif isinstance(items, Iterable):
        for item in items:
            yield item
    else:
        raise InvalidRequestError(field, f"must be a list of {what}, not {items!r}")
