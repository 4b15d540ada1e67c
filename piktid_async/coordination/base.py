"""What a submission needs of whoever shares the account's limits."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from piktid_async.errors import RateLimitError
from piktid_async.models.limits import AccountLimits, LimitsReport


class Turn(Protocol):
    """Leave to submit once. Unless one of these is called, certainly no job was made."""

    def started(self, job_id: str) -> None:
        """Pass the slot to the job that was made."""

    def refused(self, error: RateLimitError) -> None:
        """Learn from a 429: it slows every caller."""

    def unsent(self) -> None:
        """Give it back whole: not a byte has left."""

    def doubtful(self) -> None:
        """Hold the slot for a job that may have been made."""

    def settled(self, job_id: str | None) -> None:
        """End the doubt, maybe long after the turn: the job was found, or taken not to exist."""


class Place(Protocol):
    """A place in the queue; it keeps its rank when a turn was refused."""


class Coordinator(Protocol):
    """Hand out turns: first come, first served within an endpoint, going round between them."""

    def place(self, path: str, *, pooled: bool) -> Place:
        """Queue up for an endpoint."""

    def turn(self, place: Place) -> AbstractAsyncContextManager[Turn]:
        """Wait for the turn; the window and slot are held until the answer is known."""

    def occupied(self, job_id: str) -> None:
        """Count a running job that was made elsewhere, or before."""

    def ended(self, job_id: str) -> None:
        """Free the slot of a job that has ended."""

    def room(self) -> None:
        """Hear that a job of somebody else on the account has ended."""

    def set_limits(self, limits: AccountLimits) -> None:
        """Keep other limits from now on."""

    def report(self) -> LimitsReport:
        """Tell what is waiting for what, and until when."""
