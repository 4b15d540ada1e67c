"""Calls that are safe to repeat are repeated."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from piktid_async import (
    DownloadError,
    JobTimeoutError,
    NotFoundError,
    PiktidError,
    ResponseFormatError,
)

T = TypeVar("T")

TRIES = 40
"""Of one call; more is a defect, not bad luck."""
PASSING = (NotFoundError, DownloadError, ResponseFormatError)
"""Where the user hopes for better: what was made a moment ago may not be there yet, and a page of
HTML in place of a picture or an answer may come from a proxy that will be well again."""


async def patiently(call: Callable[[], Awaitable[T]], retried: Counter[str] | None = None) -> T:
    """Repeat a call that is safe to repeat; count the errors after which it was."""
    for _ in range(TRIES):
        try:
            return await call()
        except PiktidError as error:
            passing = error.retryable or isinstance(error, PASSING)
            if not passing or isinstance(error, JobTimeoutError):
                raise
            if retried is not None:
                retried[type(error).__name__] += 1
        await asyncio.sleep(0.1)
    return await call()
