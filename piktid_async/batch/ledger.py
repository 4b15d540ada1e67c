"""What a journal holds, and which state may follow which; pure, whatever keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from enum import StrEnum
from typing import Any, Protocol

import attrs

from piktid_async.errors import BudgetExceededError, InvalidRequestError
from piktid_async.types import Json, JsonObject


class State(StrEnum):
    """How far a product has come."""

    PENDING = "pending"
    """Certainly no job was made for it."""
    INTENT = "intent"
    """The request may leave at any moment, or has left."""
    IN_DOUBT = "in_doubt"
    """The request may have left, and its answer has not come: there may be a job."""
    SUBMITTED = "submitted"
    TERMINAL = "terminal"
    """The job has ended well; its images are not all on disk."""
    SAVED = "saved"
    """The images are on disk; nobody has been told."""
    DONE = "done"
    """The outcome was handed out, and whoever took it has come back for more."""
    FAILED = "failed"
    """Bad input, refused for good, given up, or its job failed."""


FOLLOWS: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.INTENT, State.FAILED}),
    State.INTENT: frozenset({State.PENDING, State.IN_DOUBT, State.SUBMITTED}),
    State.IN_DOUBT: frozenset({State.SUBMITTED, State.PENDING, State.FAILED}),
    # In doubt again only with `job_id=None`, by who knows that there is no such job: whoever writes
    # late that no answer has come must not drop the job that was found meanwhile.
    State.SUBMITTED: frozenset({State.TERMINAL, State.FAILED, State.IN_DOUBT}),
    State.TERMINAL: frozenset({State.SAVED, State.FAILED}),
    State.SAVED: frozenset({State.DONE, State.TERMINAL}),
    State.DONE: frozenset(),
    State.FAILED: frozenset({State.PENDING}),
}
"""Which states may follow which."""

WITH_JOB = frozenset({State.SUBMITTED, State.TERMINAL, State.SAVED, State.DONE})
MAY_COST = WITH_JOB | {State.INTENT, State.IN_DOUBT}
"""States in which there is, or may be, a job that costs credits."""


class LedgerError(RuntimeError):
    """A step that cannot be taken from where a product stands: a defect of the program."""


@attrs.frozen(kw_only=True)
class SavedFile:
    """One result on disk."""

    path: str
    """Below the results' directory."""
    size: int
    sha256: str


@attrs.frozen(kw_only=True)
class Row:
    """One product in the journal. No token and no signed URL ever stands here."""

    key: str
    seq: int
    """Order of arrival."""
    line: str | None = None
    state: State = State.PENDING
    fingerprint: str = ""
    """Of what was asked for; empty until it is known."""
    images: tuple[str, ...] = ()
    """Hashes of the images' content."""
    attempt: int = 0
    """How often a request has been about to leave."""
    intent_id: str | None = None
    t_intent: str | None = None
    """When it was; UTC, by this machine's clock."""
    kind: str | None = None
    input_ids: tuple[str, ...] = ()
    """File ids by which its job would be known."""
    job_id: str | None = None
    total_outputs: int | None = None
    estimate: float | None = None
    credits_used: float | None = None
    sunk: float = 0.0
    """Credits of jobs that were given up for another."""
    made: int = 0
    missed: int = 0
    """Images of the job that failed."""
    status: str | None = None
    result: JsonObject | None = None
    files: tuple[SavedFile, ...] = ()
    error: JsonObject | None = None
    reason: str | None = None
    """Why it is where it is, for people."""
    updated: str = ""

    @property
    def spent(self) -> float:
        """Credits that it has cost, or may have."""
        if self.credits_used is not None:
            return self.sunk + self.credits_used
        may_cost = self.state in MAY_COST or self.job_id is not None
        return self.sunk + (self.estimate or 0.0 if may_cost else 0.0)


def advanced(
    row: Row, to: State, now: str, changes: Mapping[str, Any], of: str | None = None
) -> Row:
    """Take one step; raises `LedgerError` for one that the table does not know.

    `of` is the intent of whoever takes it: one who slept through another attempt changes nothing.
    """
    if of is not None and row.intent_id != of:
        raise LedgerError(f"{row.key!r} is not at attempt {of} any more")
    if to not in FOLLOWS[row.state]:
        raise LedgerError(f"{row.key!r} is {row.state}: it cannot become {to}")
    if to is State.PENDING:
        changes = {**_forgotten(row), **changes}
    after = attrs.evolve(row, state=to, updated=now, **changes)
    if to is not State.FAILED and (after.job_id is not None) != (to in WITH_JOB):
        raise LedgerError(f"{row.key!r} cannot become {to} with job {after.job_id!r}")
    return after


def _forgotten(row: Row) -> dict[str, Any]:
    """Return what a product loses that is to be submitted anew."""
    sunk = row.spent if row.state is State.FAILED else row.sunk
    fields = ("intent_id", "t_intent", "job_id", "credits_used", "status", "result", "error")
    kept = {"sunk": sunk, "made": 0, "missed": 0, "files": (), "reason": None}
    return {**dict.fromkeys(fields), **kept}


def withdrawn(row: Row, now: str, of: str | None = None) -> Row:
    """Take back an intent, if there is one and it is this one.

    So is a doubt into which others have put it: whoever wrote the intent knows better.
    """
    mine = row.state is State.INTENT and of in (None, row.intent_id)
    mine |= row.state is State.IN_DOUBT and of is not None and of == row.intent_id
    return advanced(row, State.PENDING, now, {}) if mine else row


def abandoned(row: Row, now: str) -> Row:
    """Put in doubt what was being submitted by a program that is gone."""
    reason = {"reason": "the program ended before the answer came"}
    return advanced(row, State.IN_DOUBT, now, reason) if row.state is State.INTENT else row


def intended(row: Row, now: str, changes: Mapping[str, Any], bound: Bound) -> Row:
    """Take the step to `intent`, if the budget bears it."""
    after = advanced(row, State.INTENT, now, {**changes, "attempt": row.attempt + 1})
    bound.check(after.estimate)
    return after


@attrs.frozen
class Bound:
    """The credits that a batch may cost, over all its runs."""

    max_credits: float | None
    spent: float

    def check(self, estimate: float | None) -> None:
        """Raise `BudgetExceededError` if one job more does not fit."""
        if self.max_credits is None:
            return
        if estimate is None:
            raise InvalidRequestError(
                "request", "its price is not known, so max_credits cannot be kept: leave it out"
            )
        if self.spent + estimate > self.max_credits:
            raise BudgetExceededError(estimate, self.spent, self.max_credits)


@attrs.define
class Totals:
    """Sums over a journal, kept up with every step."""

    # Every state from the start: who reads it while it is counted finds no new key.
    states: Counter[State] = attrs.field(factory=lambda: Counter(dict.fromkeys(State, 0)))
    spent: float = 0.0
    estimated: float = 0.0
    """Of all that were ever priced."""
    used: float = 0.0
    """As the service has told it."""
    made: int = 0
    missed: int = 0

    def count(self, row: Row, sign: int = 1) -> None:
        """Add one row, or take it away."""
        self.states[row.state] += sign
        self.spent += sign * row.spent
        self.estimated += sign * (row.estimate or 0.0)
        self.used += sign * (row.credits_used or 0.0)
        self.made += sign * row.made
        self.missed += sign * row.missed

    def replace(self, before: Row | None, after: Row) -> None:
        """Put one row in the place of another."""
        if before is not None:
            self.count(before, -1)
        self.count(after)


@attrs.frozen
class Drawn:
    """What the journal knows of a product that has just been drawn."""

    row: Row
    twin: str | None = None
    """Where this run had drawn the same key before; the line, or a word for it."""
    taken: bool = False
    """Whether another program has it in hand; else it is this one's until it is freed."""


@attrs.frozen(kw_only=True)
class Uploaded:
    """One content that the service has."""

    sha256: str
    file_id: str
    filename: str
    content_type: str
    size: int


@attrs.frozen
class Stamp:
    """By what a file that has not changed is known."""

    path: str
    size: int
    mtime_ns: int


class Store(Protocol):
    """A journal. Every change is committed, for good, when its call returns.

    A call that is cancelled takes effect all the same, and before any that is made later.
    """

    label: str
    """What messages call it."""
    shared: bool
    """Whether several programs may work on it at once."""

    @property
    def totals(self) -> Totals:
        """Sums over all products."""

    @property
    def meta(self) -> Mapping[str, Json]:
        """What is known of the run itself."""

    async def keep_meta(self, **values: Json) -> None:
        """Remember something of the run itself."""

    async def agree_on(self, **values: Json) -> None:
        """Remember something of the run itself unless it is known already."""

    async def refresh(self) -> None:
        """Have `totals` and `meta` tell what other programs have written, too."""

    async def begin_run(self) -> None:
        """Forget which keys were drawn."""

    async def draw(self, key: str, line: str | None) -> Drawn:
        """Return a product's row, making it if there is none."""

    async def claim(self, key: str) -> Row | None:
        """Take a product for this program alone; None: another one has it.

        What its last program has left in `intent` is in doubt from then on.
        """

    async def free(self, *keys: str) -> None:
        """Let others have these products; all of them, if none is named."""

    async def row(self, key: str) -> Row | None:
        """Return a product's row."""

    def rows(self, *states: State) -> AsyncIterator[Row]:
        """Yield the rows in these states, in the order of their arrival."""

    async def move(
        self, key: str, to: State, *, of: str | None = None, then: str | None = None, **changes: Any
    ) -> Row:
        """Take one step; raises `LedgerError` if it is none, or the job is another's.

        `of`: only if it is still at this intent. `then`: what a queue has to do next, if the
        product is in one; it is told so in the same transaction.
        """

    async def intend(self, key: str, max_credits: float | None, **changes: Any) -> Row:
        """Take the step to `intent`; raises `BudgetExceededError`."""

    async def withdraw(self, key: str, of: str | None = None) -> None:
        """Take back an intent of which it is certain that nothing left; else do nothing."""

    async def known_jobs(self, among: Iterable[str]) -> set[str]:
        """Return those of the jobs that are, or were, of some product."""

    async def uploaded(self, hashes: Iterable[str]) -> dict[str, Uploaded]:
        """Return the contents that the service has, by hash."""

    async def keep_upload(self, upload: Uploaded) -> None:
        """Remember that a content has arrived."""

    async def hashes(self, stamps: Iterable[Stamp]) -> dict[Stamp, str]:
        """Return the hashes of files that have not changed since they were read."""

    async def keep_hash(self, stamp: Stamp, sha256: str) -> None:
        """Remember a file's hash."""
