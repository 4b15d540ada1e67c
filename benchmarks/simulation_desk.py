"""The package's governor, shared by all workers in virtual time as `LocalCoordinator` shares it."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulation_timeline import Timeline

from piktid_async.models.limits import AccountLimits
from piktid_async.protocol.governor import Governor, Place


class Desk:
    """Hands out turns."""

    def __init__(self, timeline: Timeline, limits: AccountLimits) -> None:
        self._timeline = timeline
        self._governor = Governor(limits)
        self._waiting: dict[Place, Callable[[], None]] = {}
        self._wakes_at = math.inf

    def join(self, path: str, granted: Callable[[], None]) -> Place:
        """Queue up; `granted` is called when the turn has come."""
        place = self._governor.place(path, pooled=True, now=self._timeline.now)
        self.join_again(place, granted)
        return place

    def join_again(self, place: Place, granted: Callable[[], None]) -> None:
        """Queue up after a refusal, at the same rank."""
        self._waiting[place] = granted
        self.change(lambda governor, _: governor.join(place))

    def leave(self, place: Place) -> None:
        """Give a place or a turn back: nothing has left."""
        if self._waiting.pop(place, None) is not None or place.grant is not None:
            self.change(lambda governor, _: governor.leave(place))

    def change(self, what: Callable[[Governor, float], None]) -> None:
        """Let something change, and everyone go whose turn has come by it."""
        what(self._governor, self._timeline.now)
        self._pump()

    def _pump(self) -> None:
        now = self._timeline.now
        for place in self._governor.due(now):
            self._waiting.pop(place)()
        wake = self._governor.wake_at(now)
        if wake < self._wakes_at:
            self._wakes_at = wake
            self._timeline.at(wake, self._wake, wake)

    def _wake(self, planned: float) -> None:
        if planned == self._wakes_at:
            self._wakes_at = math.inf
            self._pump()
