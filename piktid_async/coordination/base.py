"""What a submission needs of whoever shares the account's limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

import attrs

from piktid_async.errors import RateLimitError
from piktid_async.models.limits import AccountLimits, LimitsReport
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.feed import Synced


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

    @property
    def path(self) -> str:
        """The endpoint's."""


Item: TypeAlias = WireNotification | Synced
"""What an event stream tells."""


@attrs.frozen
class Page:
    """What is new in the shared inbox, and how its one stream does."""

    items: list[Item]
    more: bool
    """Whether the next page can be read at once."""
    epoch: int
    """Which leader it is; each has a higher one."""
    held: bool
    """Whether somebody leads."""
    live: bool
    """Whether somebody does, and the stream is up."""


class Inbox(Protocol):
    """One reader's view of the notifications that several processes share.

    Whoever leads follows the event stream and writes down what it tells; everybody reads all of
    it, in the same order. Each method raises `ConnectionFailedError` when the store is away.
    """

    lease: float
    """Seconds that the lead is kept without a sign of life."""

    async def read(self) -> Page:
        """Return what has come since the last call; first, all that is kept."""

    async def changed(self, timeout: float) -> None:
        """Wait until something may be new, or time is up."""

    async def lead(self) -> int | None:
        """Take the lead when nobody has it: return the epoch."""

    async def renew(self, epoch: int) -> bool:
        """Keep the lead; False: it is lost. So it is for the next two."""

    async def show(self, epoch: int, *, live: bool) -> bool:
        """Tell everybody whether the stream is up."""

    async def deliver(self, epoch: int, items: Sequence[Item]) -> bool:
        """Append what is new to the log."""

    async def resign(self, epoch: int) -> None:
        """Give the lead up."""

    async def orphans(self) -> list[tuple[str, float]]:
        """Take some jobs that hold a slot and are followed by nobody, and their ages in seconds."""


class Coordinator(Protocol):
    """Hand out turns: first come, first served within an endpoint, going round between them."""

    def bind(self, account: str | None, limits: AccountLimits | None) -> None:
        """Hear whose limits they are, as a hash, where that is known, and which, where given."""

    def inbox(self) -> Inbox | None:
        """Return a new view of the shared inbox; None: each session has a stream of its own."""

    def join(self) -> None:
        """Hear that a session uses it in the running loop."""

    async def leave(self, job_ids: Iterable[str], timeout: float) -> None:
        """Hear that a session does so no more, and leaves these jobs running."""

    def place(self, path: str, *, pooled: bool) -> Place:
        """Queue up for an endpoint."""

    def turn(self, place: Place) -> AbstractAsyncContextManager[Turn]:
        """Wait for the turn; the window and slot are held until the answer is known."""

    def occupied(self, job_id: str) -> None:
        """Count a running job that was made elsewhere, or before."""

    def ended(self, job_id: str) -> None:
        """Free the slot of a job that has ended."""

    def found(self, job_id: str) -> None:
        """Pass the slot of a doubt to its job, which was found otherwise than by the turn."""

    def room(self) -> None:
        """Hear that a job of somebody else on the account has ended."""

    def set_limits(self, limits: AccountLimits) -> None:
        """Keep other limits from now on."""

    def report(self) -> LimitsReport:
        """Tell what is waiting for what, and until when."""
