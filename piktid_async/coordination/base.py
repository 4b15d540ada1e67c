"""What a submission needs of whoever shares the account's limits."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from piktid_async.errors import RateLimitError


class Turn(Protocol):
    """Leave to submit once."""

    def started(self, job_id: str) -> None:
        """Pass the slot to the job that was made."""

    def refused(self, error: RateLimitError) -> None:
        """Learn from a 429: it slows every caller."""

    def unsent(self) -> None:
        """Give it back whole: not a byte has left."""


class Place(Protocol):
    """A place in the queue; it keeps its rank when a turn was refused."""


class Coordinator(Protocol):
    """Hand out turns, first come first served."""

    def place(self, path: str, *, pooled: bool) -> Place:
        """Queue up for an endpoint."""

    def turn(self, place: Place) -> AbstractAsyncContextManager[Turn]:
        """Wait for the turn; the window and slot are held until the answer is known."""

    def ended(self, job_id: str) -> None:
        """Free the slot of a job that has ended."""
