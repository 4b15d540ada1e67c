"""How a batch stands, in numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import attrs

from piktid_async.batch.ledger import State, Totals

MOST_NAMED = 100


@attrs.frozen(kw_only=True)
class Failure:
    """One product that did not end well in this run."""

    key: str
    line: str | None
    error: str


@attrs.frozen(kw_only=True)
class BatchSummary:
    """Counts over the whole journal, earlier runs included; `failures` are of the last run."""

    states: Mapping[str, int]
    """Products by their state."""
    outputs: int
    """Images that were made."""
    outputs_failed: int
    """Images that were not, of jobs that have ended."""
    credits_estimated: float
    credits_used: float
    """As the service has told it."""
    credits_bound: float
    """What `max_credits` is held against: used, or estimated where it is not known yet."""
    seconds: float
    """Of the last run."""
    failures: tuple[Failure, ...] = ()
    """The first hundred."""
    failed: int = 0
    """How many products of the last run did not end well."""

    @classmethod
    def of(
        cls, totals: Totals, *, seconds: float, failures: Sequence[Failure] = (), failed: int = 0
    ) -> BatchSummary:
        """Sum up a journal."""
        return cls(
            states={state.value: number for state, number in totals.states.items() if number},
            outputs=totals.made,
            outputs_failed=totals.missed,
            credits_estimated=totals.estimated,
            credits_used=totals.used,
            credits_bound=totals.spent,
            seconds=seconds,
            failures=tuple(failures),
            failed=failed,
        )

    @property
    def products(self) -> int:
        """How many the journal knows."""
        return sum(self.states.values())

    @property
    def in_doubt(self) -> int:
        """Submissions that may have made a job."""
        return self.states.get(State.IN_DOUBT, 0)

    @property
    def ok(self) -> bool:
        """Whether every product that the journal knows has ended well, and the last run's have."""
        ended = self.states.get(State.DONE, 0) + self.states.get(State.SAVED, 0)
        return not self.failed and ended == self.products and not self.outputs_failed

    def to_json(self) -> str:
        """Return it as a JSON object."""
        facts = attrs.asdict(self) | {"products": self.products, "ok": self.ok}
        return json.dumps(facts, indent=2, default=str)


@attrs.frozen(kw_only=True)
class Plan:
    """What a run would do; nothing was sent."""

    products: int
    """Products that were given."""
    ended: int
    """Of them, those that have ended, well or not."""
    under_way: int
    """Of them, those with a job that is not fetched, or in doubt."""
    to_submit: int
    outputs: int
    """Images that the jobs to submit would make."""
    credits: float
    """What they would cost, as far as prices are known."""
    unpriced: int
    """Jobs to submit whose price is not known."""
    seconds: float
    """The least time that the account's limits make their submissions take."""
    bad: tuple[Failure, ...]
    """Products that cannot be submitted as they are; the first hundred."""
    bad_count: int


@attrs.define(kw_only=True)
class Enqueued:
    """What became of the products that were to be put into the queue."""

    products: int = 0
    """That were given."""
    added: int = 0
    known: int = 0
    """That were there before, and are left as they are."""
    bad: list[Failure] = attrs.field(factory=list)
    """Those that no worker can make; the first hundred."""
    bad_count: int = 0

    def refuse(self, key: str, line: str | None, error: str) -> None:
        """Note one that is not put there."""
        self.bad_count += 1
        if len(self.bad) < MOST_NAMED:
            self.bad.append(Failure(key=key, line=line, error=error))
