"""What a batch has done: for people, for programs, and as an exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from piktid_async.batch import BatchSummary
from piktid_async.cli.errors import Exit, Trouble, clean
from piktid_async.cli.inputs import shown
from piktid_async.cli.words import count, span

NAMED = 100
"""Products that did not end well that are named; the rest are counted."""


def same_command() -> str:
    """Return the command that is running, to be run again."""
    return shlex.join(["piktid", *sys.argv[1:]])


@attrs.define
class Unmade:
    """One product that has no pictures, or not all."""

    key: str
    line: str | None
    state: str
    """incomplete: done, but some pictures failed; failed; in_doubt; or unfinished: a later run
    goes on with it."""
    error: str


@attrs.define(kw_only=True)
class BatchReport:
    """One run over the products."""

    journal: Path
    directory: Path
    service: str
    products: int
    """In the list or folder."""
    earlier: int = 0
    """Done in earlier runs."""
    done: int = 0
    """Done in this run."""
    elsewhere: int = 0
    """Done in earlier runs, and not in the folder of this one: moved, or saved in another."""
    incomplete: int = 0
    """Done in this run or before, but some of their pictures failed."""
    failed: int = 0
    unlisted: int = 0
    """Of the failed, rows that cannot be products: the journal does not know them."""
    in_doubt: int = 0
    unfinished: int = 0
    unmade: list[Unmade] = attrs.field(factory=list)
    """The first of those that did not end well."""
    every: dict[tuple[str, str | None], Unmade] | None = None
    """All of them by key and line, where a page is asked for."""
    summary: BatchSummary | None = None
    """Of the whole journal."""
    seconds: float = 0.0
    told: bool = False
    """Whether those were told where this is printed, while it ran."""
    stopped: Trouble | None = None
    """What ended the run before its end."""
    page: Path | None = None
    """The report, if one was asked for."""

    def note(self, unmade: Unmade) -> None:
        """Count a product that did not end well."""
        setattr(self, unmade.state, getattr(self, unmade.state) + 1)
        if len(self.unmade) < NAMED:
            self.unmade.append(unmade)
        if self.every is not None:
            self.every[unmade.key, unmade.line] = unmade

    @property
    def code(self) -> Exit:
        """How the command ends."""
        if self.stopped is not None:
            return self.stopped.code
        doubts = self.summary.in_doubt if self.summary is not None else 0
        well = self.done + self.earlier == self.products and not doubts
        return Exit.OK if well else Exit.INCOMPLETE

    @property
    def standing(self) -> str:
        """How many are done, in a few words."""
        return f"{self._done:,} of {count(self.products, 'product')} are done"

    def lines(self) -> Iterator[str]:
        """Sum up for people."""
        if not self.told:
            yield from self._named()
        yield (
            f"{self.standing}{self._earlier()}{self._others()}; "
            f"the pictures are in {shown(self.directory)}."
        )
        if self.unlisted:
            verb = "is" if self.unlisted == 1 else "are"
            yield (
                f"{count(self.unlisted, 'row')} of the list cannot be products, and {verb} not in "
                "the journal."
            )
        if self.elsewhere:
            lost = count(self.elsewhere, "product")
            yield f"Not there any more, or in another --out: the pictures of {lost}."
        if self.summary is not None:
            yield (
                f"{count(self.summary.outputs, 'picture')}, {self.summary.credits_used:g} credits "
                f"({self.summary.credits_estimated:g} estimated) over all runs; "
                f"this one took {span(self.seconds)}."
            )
        if self.stopped is not None:
            yield str(self.stopped)
        yield from self._next_steps()
        if self.page is not None:
            yield str(self.page.resolve())

    def as_json(self) -> dict[str, Any]:
        """Sum up for programs. Holds paths, never URLs."""
        made = self.summary
        return {
            "ok": self.code is Exit.OK,
            "exit_code": int(self.code),
            "error": str(self.stopped) if self.stopped is not None else None,
            "journal": str(self.journal),
            "directory": str(self.directory),
            "service": self.service,
            "products": self.products,
            "done": self._done,
            "done_earlier": self.earlier,
            "elsewhere": self.elsewhere,
            "incomplete": self.incomplete,
            "failed": self.failed,
            "unlisted": self.unlisted,
            "in_doubt": self.in_doubt,
            "unfinished": self.unfinished,
            "outputs": made.outputs if made else 0,
            "outputs_failed": made.outputs_failed if made else 0,
            "credits_estimated": made.credits_estimated if made else 0.0,
            "credits_used": made.credits_used if made else 0.0,
            "states": dict(made.states) if made else {},
            "seconds": round(self.seconds, 3),
            "page": str(self.page) if self.page is not None else None,
            "not_done": [attrs.asdict(each) for each in self.unmade],
        }

    @property
    def _done(self) -> int:
        """As `piktid batch status` counts them: each has a job that ended well, and is saved."""
        return self.done + self.earlier + self.incomplete

    def _named(self) -> Iterator[str]:
        for each in self.unmade:
            yield clean(f"{name_of(each.key, each.line)}: {each.error}")
        rest = self.incomplete + self.failed + self.in_doubt + self.unfinished - len(self.unmade)
        if rest > 0:
            yield f"and {count(rest, 'more product')}."

    def _earlier(self) -> str:
        return f" ({self.earlier:,} in earlier runs)" if self.earlier else ""

    def _others(self) -> str:
        words = {
            "of them without some of their pictures": self.incomplete,
            "failed": self.failed,
            "in doubt": self.in_doubt,
            "unfinished": self.unfinished,
        }
        return "".join(f", {number:,} {word}" for word, number in words.items() if number)

    def _next_steps(self) -> Iterator[str]:
        if self.summary is not None and self.summary.in_doubt:
            journal = shlex.quote(str(self.journal))
            yield f"What is in doubt may be paid: piktid batch doubts {journal}"
        if self.unfinished or self.stopped is not None:
            yield f"To go on: {same_command()}"


def name_of(key: str, line: str | None) -> str:
    """Name a product, and where it stands in its list."""
    named = key.strip() or "a product without a key"
    return f"{named} ({line})" if line else named
