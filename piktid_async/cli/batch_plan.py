"""`piktid batch run --dry-run` and `piktid estimate`: what a batch would do and cost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from piktid_async import AccountLimits, Session
from piktid_async.batch import Batch, BatchSummary, Plan
from piktid_async.cli import stopping
from piktid_async.cli.batch_report import name_of
from piktid_async.cli.errors import Exit, clean, trouble_from
from piktid_async.cli.products import Products
from piktid_async.cli.words import count, span
from piktid_async.errors import PiktidError

NO_TOKEN = "nothing-is-sent"


@attrs.frozen
class Forecast:
    """A plan, and what the journal knows already."""

    plan: Plan
    summary: BatchSummary
    max_credits: float | None = None

    @property
    def code(self) -> Exit:
        """0 if every product can be submitted."""
        return Exit.INCOMPLETE if self.plan.bad_count or self._short else Exit.OK

    def lines(self) -> Iterator[str]:
        """Tell it to people."""
        plan = self.plan
        for each in plan.bad:
            yield clean(f"{name_of(each.key, each.line)}: {each.error}.")
        if more := plan.bad_count - len(plan.bad):
            yield f"and {count(more, 'more product')}."
        yield f"{count(plan.products, 'product')}: {self._parts()}."
        unknown = f", and {count(plan.unpriced, 'job')} without a known price"
        yield (
            f"{count(plan.outputs, 'picture')}, {plan.credits:g} credits"
            f"{unknown if plan.unpriced else ''}."
        )
        if self._short:
            yield (
                f"That is more than --max-credits {self.max_credits:g} leaves, "
                f"with {self.summary.credits_bound:g} spent."
            )
        if plan.seconds:
            yield f"The limits make the submissions take {span(plan.seconds)} or more."
        yield "Nothing was sent."

    def as_json(self) -> dict[str, Any]:
        """Tell it to programs."""
        told = {"ok": self.code is Exit.OK, "exit_code": int(self.code)}
        return told | attrs.asdict(self.plan) | {"credits_spent": self.summary.credits_bound}

    @property
    def _short(self) -> bool:
        whole = self.plan.credits + self.summary.credits_bound
        return self.max_credits is not None and whole > self.max_credits

    def _parts(self) -> str:
        plan = self.plan
        parts = {
            "have ended": plan.ended,
            "under way": plan.under_way,
            "cannot be submitted": plan.bad_count,
        }
        named = [f"{number:,} {word}" for word, number in parts.items() if number]
        return ", ".join([f"{plan.to_submit:,} to submit", *named])


def forecast(
    products: Products,
    *,
    limits: bool,
    journal: Path | None = None,
    max_credits: float | None = None,
) -> Forecast:
    """Go through the products and their pictures; sends nothing, and makes no journal."""
    with tempfile.TemporaryDirectory() as folder:
        kept = journal if journal is not None and journal.exists() else Path(folder) / "plan"
        work = _forecast(products, kept, limits=limits, max_credits=max_credits)
        try:
            return stopping.run(work, lambda: "Stopped; nothing was sent.")
        except PiktidError as error:
            raise trouble_from(error) from error


async def _forecast(
    products: Products, journal: Path, *, limits: bool, max_credits: float | None
) -> Forecast:
    chosen = AccountLimits() if limits else AccountLimits.unlimited()
    async with (
        Session(NO_TOKEN, limits=chosen) as session,
        Batch(session, journal, max_credits) as batch,
    ):
        plan = await batch.plan(products)
        return Forecast(plan, batch.summary, max_credits)
