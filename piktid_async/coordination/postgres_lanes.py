"""The order in which one process asks the database for turns; nothing here waits."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator
from uuid import UUID

import attrs

from piktid_async.models.limits import WaitsFor


@attrs.define(eq=False)
class Place:
    """A place in the queue, and the token of its turn once it waits for one."""

    number: int
    path: str
    pooled: bool
    since: float
    token: UUID | None = None


@attrs.frozen
class Look:
    """What the database has said of an endpoint, and when that was."""

    reason: WaitsFor | None
    """What holds its submissions back; None: nothing did."""
    until: float | None
    """Until when; None: until something happens."""
    allowed: int | None
    used: int
    full_until: float
    again: float
    """Until when there is no use in asking: nothing that rings can change it."""


class Lanes:
    """One queue per endpoint: first come, first served; the lanes go round."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._rounds = itertools.count(1)
        self._lanes: dict[str, list[Place]] = {}
        # By path: the round in which it was served last.
        self._served: dict[str, int] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._lanes.get(place.path, ())

    def __iter__(self) -> Iterator[tuple[Place, int]]:
        """Yield all who wait, in order of arrival, and how many of their lane go before each."""
        found = [(each, ahead) for lane in self._lanes.values() for ahead, each in enumerate(lane)]
        return iter(sorted(found, key=lambda each: each[0].number))

    def place(self, path: str, *, pooled: bool, now: float) -> Place:
        """Make a place; it ranks by its number, whenever it joins."""
        return Place(next(self._numbers), path, pooled, now)

    def join(self, place: Place) -> None:
        """Queue up, for the first time or again after a refusal."""
        bisect.insort(self._lanes.setdefault(place.path, []), place, key=_rank)

    def leave(self, place: Place) -> None:
        """Leave the queue."""
        self._lanes[place.path].remove(place)

    def serve(self, place: Place) -> None:
        """Leave the queue because the turn has come."""
        self.leave(place)
        self._served[place.path] = next(self._rounds)

    def next(self, shut: Iterable[str]) -> Place | None:
        """Return who is to ask next, of the endpoints that are not shut."""
        fronts = [lane[0] for path, lane in self._lanes.items() if lane and path not in shut]
        return min(fronts, key=self._turn, default=None)

    def _turn(self, place: Place) -> tuple[int, int]:
        return self._served.get(place.path, 0) if place.pooled else 0, place.number


def _rank(place: Place) -> int:
    return place.number
