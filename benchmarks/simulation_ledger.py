"""The ledger of the simulation: its steps are the package's; only where rows lie may differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from simulation_timeline import Timeline

from piktid_async.batch.journal import Journal
from piktid_async.batch.ledger import Bound, Row, State, Totals, advanced, intended, withdrawn

UNBOUND = Bound(None, 0.0)


class Shelf(Protocol):
    """Where the rows lie. One call is one transaction."""

    @property
    def totals(self) -> Totals:
        """Sums over all products."""

    def draw(self, key: str) -> tuple[Row, bool]:
        """Return a product's row, and whether it was made now."""

    def step(self, key: str, step: Callable[[Row], Row]) -> Row:
        """Replace a row by what a step makes of it."""

    def upload(self, sha256: str) -> bool:
        """Remember a content; False: it was there."""

    def rows(self, *states: State) -> Iterator[Row]:
        """Yield the rows in these states."""


class InMemory:
    """Rows in a dictionary, for a million of them."""

    def __init__(self) -> None:
        self._totals = Totals()
        self._rows: dict[str, Row] = {}
        self._unsettled: dict[str, None] = {}
        self._uploads: set[str] = set()

    @property
    def totals(self) -> Totals:
        """Sums over all products."""
        return self._totals

    def draw(self, key: str) -> tuple[Row, bool]:
        """Return a product's row, and whether it was made now."""
        row = self._rows.get(key)
        if row is not None:
            return row, False
        row = self._rows[key] = Row(key=key, seq=len(self._rows) + 1)
        self._totals.count(row)
        return row, True

    def step(self, key: str, step: Callable[[Row], Row]) -> Row:
        """Replace a row by what a step makes of it."""
        before = self._rows[key]
        after = step(before)
        if after is not before:
            self._rows[key] = after
            self._totals.replace(before, after)
            if after.state in (State.INTENT, State.IN_DOUBT):
                self._unsettled[key] = None
            else:
                self._unsettled.pop(key, None)
        return after

    def upload(self, sha256: str) -> bool:
        """Remember a content; False: it was there."""
        new = sha256 not in self._uploads
        self._uploads.add(sha256)
        return new

    def rows(self, *states: State) -> Iterator[Row]:
        """Yield the rows in these states, which may only be those without an answer."""
        assert set(states) <= {State.INTENT, State.IN_DOUBT}
        found = (self._rows[key] for key in self._unsettled)
        return iter([row for row in found if row.state in states])


class OnDisk:
    """The package's own journal, on the simulation's clock; not forced to the disk."""

    def __init__(self, path: Path, timeline: Timeline) -> None:
        self._journal = Journal(path, timeline.date)
        self._journal.open()
        self._journal.db.execute("PRAGMA synchronous = OFF")

    @property
    def totals(self) -> Totals:
        """Sums over all products."""
        return self._journal.totals

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()

    def draw(self, key: str) -> tuple[Row, bool]:
        """Return a product's row, and whether it was made now."""
        row = self._journal.row(key)
        if row is not None:
            return row, False
        return self._journal.draw(key, None).row, True

    def step(self, key: str, step: Callable[[Row], Row]) -> Row:
        """Replace a row by what a step makes of it."""
        with self._journal.transaction():
            return self._journal.step(key, step)

    def upload(self, sha256: str) -> bool:
        """Remember a content; False: it was there."""
        if self._journal.named("uploads", "sha256", "sha256", [sha256]):
            return False
        with self._journal.transaction():
            row = (sha256, f"file-{sha256}", "a.jpg", "image/jpeg", 1)
            self._journal.write("REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", [row])
        return True

    def rows(self, *states: State) -> Iterator[Row]:
        """Yield the rows in these states."""
        after = 0
        while page := self._journal.page(states, after):
            yield from page
            after = page[-1].seq


class Ledger:
    """What the workers write, counted."""

    def __init__(self, shelf: Shelf, timeline: Timeline) -> None:
        self._shelf = shelf
        self._timeline = timeline
        self.writes = 0
        """Transactions that changed something."""

    @property
    def totals(self) -> Totals:
        """Sums over all products."""
        return self._shelf.totals

    def draw(self, key: str) -> Row:
        """Return a product's row, making it if there is none."""
        row, made = self._shelf.draw(key)
        self.writes += made
        return row

    def upload(self, sha256: str) -> bool:
        """Remember a content; False: it was there."""
        new = self._shelf.upload(sha256)
        self.writes += new
        return new

    def intend(self, key: str, changes: Mapping[str, Any]) -> Row:
        """Take the step to `intent`."""
        return self._step(key, lambda row: intended(row, self._now, changes, UNBOUND))

    def move(self, key: str, to: State, **changes: Any) -> Row:
        """Take one step; raises `LedgerError` if it is none."""
        return self._step(key, lambda row: advanced(row, to, self._now, changes))

    def withdraw(self, key: str) -> None:
        """Take back an intent of which it is certain that nothing left; else do nothing."""
        self._step(key, lambda row: withdrawn(row, self._now))

    def rows(self, states: Iterable[State]) -> list[Row]:
        """Return the rows in these states, without an answer all."""
        return list(self._shelf.rows(*states))

    @property
    def _now(self) -> str:
        return self._timeline.date().isoformat(timespec="milliseconds")

    def _step(self, key: str, step: Callable[[Row], Row]) -> Row:
        after = self._shelf.step(key, step)
        self.writes += 1
        return after
