"""A look into a journal, also while a batch writes it; nothing is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from piktid_async.batch.journal import SCHEMA_VERSION, Journal, trouble_with
from piktid_async.batch.ledger import Row, State, Totals
from piktid_async.batch.summary import BatchSummary, Failure
from piktid_async.errors import ConfigurationError
from piktid_async.types import Json

if TYPE_CHECKING:
    from piktid_async.batch.postgres import PostgresStore

MOST_NAMED = 100
UNDER_WAY = (State.PENDING, State.INTENT, State.SUBMITTED, State.TERMINAL)


@attrs.frozen(kw_only=True)
class Unanswered:
    """A submission without an answer, for now or for good."""

    key: str
    line: str | None
    kind: str | None
    since: str
    """Nothing was sent before then; UTC."""
    reason: str


@attrs.frozen(kw_only=True)
class Standing:
    """What a journal tells."""

    summary: BatchSummary
    doubts: tuple[Unanswered, ...]
    service: str | None
    project: str | None
    workers: tuple[str, ...] = ()
    """That are alive, of a batch in a database."""

    @property
    def under_way(self) -> int:
        """Products that workers have still to bring to an end, or to a doubt."""
        return sum(self.summary.states.get(state, 0) for state in UNDER_WAY)


@attrs.frozen(kw_only=True)
class Recorded:
    """Every product of a journal."""

    rows: tuple[Row, ...]
    """In the order of their arrival."""
    paths: dict[str, Path]
    """Where a content was last read, by its hash."""


def peek(path: Path) -> Standing:
    """Read a journal; raises `ConfigurationError` when there is none."""
    with _opened(path) as journal:
        journal.load()
        return _standing(journal)


def read_all(path: Path) -> Recorded:
    """Read every product of a journal; raises `ConfigurationError` when there is none."""
    with _opened(path) as journal:
        rows = _all(journal, *State)
        paths = journal.db.execute("SELECT sha256, path FROM hashes").fetchall()
    return Recorded(rows=tuple(rows), paths={sha256: Path(name) for sha256, name in paths})


@contextmanager
def _opened(path: Path) -> Iterator[Journal]:
    if not path.is_file():
        raise ConfigurationError(f"there is no journal {path}")
    journal = Journal(path)
    try:
        journal.db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        with closing(journal.db):
            version = journal.db.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA_VERSION:
                raise ConfigurationError(f"{path} is no journal that this version can read")
            journal.db.execute("BEGIN")  # one moment for all that is read
            yield journal
    except sqlite3.Error as error:
        raise trouble_with(path, error) from error


async def look(store: PostgresStore) -> Standing:
    """Read a batch in a database, which is open."""
    await store.refresh()
    failed = [row async for row in first(store.rows(State.FAILED), MOST_NAMED)]
    doubts = [row async for row in store.rows(State.IN_DOUBT, State.INTENT)]
    found = _told(store.totals, store.meta, failed, doubts)
    return attrs.evolve(found, workers=tuple(await store.workers()))


async def first(rows: AsyncIterator[Row], most: int) -> AsyncIterator[Row]:
    """Yield the first rows."""
    async for row in rows:
        if not most:
            return
        most -= 1
        yield row


def _standing(journal: Journal) -> Standing:
    failed = journal.page([State.FAILED], 0)[:MOST_NAMED]
    return _told(journal.totals, journal.meta, failed, _all(journal, State.IN_DOUBT, State.INTENT))


def _told(
    totals: Totals, known: Mapping[str, Json], failed: Sequence[Row], doubts: Sequence[Row]
) -> Standing:
    meta = {name: value for name, value in known.items() if isinstance(value, str)}
    return Standing(
        summary=BatchSummary.of(
            totals,
            seconds=0.0,
            failures=[
                Failure(key=row.key, line=row.line, error=row.reason or "") for row in failed
            ],
            failed=totals.states[State.FAILED],
        ),
        doubts=tuple(map(_unanswered, doubts)),
        service=meta.get("base_url"),
        project=meta.get("project_name") or meta.get("project_id"),
    )


def _all(journal: Journal, *states: State) -> list[Row]:
    found: list[Row] = []
    while rows := journal.page(states, found[-1].seq if found else 0):
        found += rows
    return found


def _unanswered(row: Row) -> Unanswered:
    return Unanswered(
        key=row.key,
        line=row.line,
        kind=row.kind,
        since=row.t_intent or row.updated,
        reason=row.reason or "its answer has not come yet",
    )
