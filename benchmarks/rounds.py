"""What the rounds of a figure say together: medians, ratios of the same round, and the bars."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from benchmarks.harness import Bar, Figure, Measured, Row

ENOUGH = 2
"""Rounds in which a row may fail before it is not tried again."""
CROWDED = 0.9
"""The share of a core from which a server may have been what was measured."""


@attrs.frozen
class Spread:
    """A median, and the range that it was found in."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Return that of some values, if there are any."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1]) if found else None


@attrs.frozen
class Verdict:
    """A bar, and what was reached."""

    bar: Bar
    reached: Spread | None
    """`None` if no round has both cases."""

    @property
    def met(self) -> bool:
        """Whether the median reaches the bar."""
        return self.reached is not None and self.bar.met(self.reached.median)


@attrs.define
class Rounds:
    """All that was measured for one figure."""

    figure: Figure
    rows: Sequence[Row]
    found: dict[str, list[Measured | None]] = attrs.field(factory=dict)
    """By the name of the row, one of each round; `None` where it failed."""
    failures: dict[str, str] = attrs.field(factory=dict)
    """By the name of the row, what its last failure said."""

    def add(self, row: Row, measured: Measured | None) -> None:
        """Take in one more round of a row."""
        self.found.setdefault(row.name, []).append(measured)

    def hopeless(self, row: Row) -> bool:
        """Whether a row need not be tried again."""
        return sum(each is None for each in self._of(row.name)) >= ENOUGH

    def values(self, row: Row) -> Spread | None:
        """Return the value of a row over its rounds."""
        return self.spread(row, lambda measured: measured.value)

    def spread(self, row: Row, what: Callable[[Measured], float | None]) -> Spread | None:
        """Return something else of a row over its rounds."""
        found = [what(each) for each in self._of(row.name) if each is not None]
        return Spread.of(value for value in found if value is not None)

    def notes(self) -> list[str]:
        """Name the further columns, in the order in which they were set."""
        every = (each for row in self.rows for each in self._of(row.name) if each is not None)
        return list(dict.fromkeys(name for each in every for name in each.notes))

    def ratio(self, case: str, of: str, column: str | None = None) -> Spread | None:
        """Compare two rows, round by round."""
        pairs = zip(self._of(case), self._of(of), strict=False)
        both = [(_pick(one, column), _pick(other, column)) for one, other in pairs]
        return Spread.of(one / other for one, other in both if one is not None and other)

    def verdicts(self) -> list[Verdict]:
        """Hold every bar against what was reached, as far as its rows were run."""
        names = {row.name for row in self.rows}
        bars = (bar for bar in self.figure.bars if {bar.case, bar.of or bar.case} <= names)
        return [Verdict(bar, self._reached(bar)) for bar in bars]

    def crowded(self) -> list[str]:
        """Name the rows whose server may have been what was measured."""
        return [
            row.name
            for row in self.rows
            if (share := self.spread(row, share_of_the_servers)) and share.median >= CROWDED
        ]

    def _reached(self, bar: Bar) -> Spread | None:
        if bar.of is not None:
            return self.ratio(bar.case, bar.of, bar.column)
        found = (_pick(each, bar.column) for each in self._of(bar.case))
        return Spread.of(value for value in found if value is not None)

    def _of(self, name: str) -> list[Measured | None]:
        return self.found.get(name, [])


def share_of_the_servers(measured: Measured) -> float | None:
    """Return the share of a core that the busiest server used."""
    return max(measured.servers.values(), default=None)


def _pick(measured: Measured | None, column: str | None) -> float | None:
    if measured is None:
        return None
    return measured.value if column is None else measured.notes.get(column)


def unstructured(rounds: Rounds) -> dict[str, object]:
    """Return what a file keeps of it."""
    return {
        "found": {
            name: [each and attrs.asdict(each) for each in found]
            for name, found in rounds.found.items()
        },
        "failures": rounds.failures,
    }


def structured(figure: Figure, rows: Sequence[Row], kept: Mapping[str, Any]) -> Rounds:
    """Make the rounds again that a file has kept."""
    found = {
        name: [Measured(**each) if each else None for each in several]
        for name, several in kept["found"].items()
    }
    return Rounds(figure, rows, found, dict(kept["failures"]))
