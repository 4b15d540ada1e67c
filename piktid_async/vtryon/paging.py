"""Lists of the service, row by row over all their pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar

from piktid_async.errors import NotFoundError
from piktid_async.protocol.messages import Call
from piktid_async.vtryon.endpoints import Rows
from piktid_async.vtryon.service import Service


class Numbered(Protocol):
    """A row with an id of its own."""

    @property
    def id(self) -> int:
        """The service's number of it."""


T = TypeVar("T", bound=Numbered)


async def each(service: Service, pages: Callable[[int], Call[Rows[T]]]) -> AsyncIterator[T]:
    """Yield every row once, page by page."""
    seen: set[int] = set()
    page, more = 1, True
    while more:
        try:
            found = await service.connect().caller.execute(pages(page))
        except NotFoundError:
            if page == 1:
                raise
            return  # rows were deleted meanwhile, and the last page with them
        for row in found.rows:
            # One that is made meanwhile pushes others onto the next page.
            if row.id not in seen:
                seen.add(row.id)
                yield row
        page, more = page + 1, found.has_next
