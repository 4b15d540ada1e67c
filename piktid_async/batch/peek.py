"""A look into a journal, also while a batch writes it; nothing is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from piktid_async.batch.journal import SCHEMA_VERSION, Journal
from piktid_async.batch.ledger import Row, State
from piktid_async.batch.summary import BatchSummary, Failure
from piktid_async.errors import ConfigurationError

MOST_NAMED = 100


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
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"{path} is no journal of a batch: {error}") from error


def _standing(journal: Journal) -> Standing:
    totals, failed = journal.totals, journal.page([State.FAILED], 0)[:MOST_NAMED]
    meta = {name: value for name, value in journal.meta.items() if isinstance(value, str)}
    return Standing(
        summary=BatchSummary(
            states={state.value: number for state, number in totals.states.items() if number},
            outputs=totals.made,
            outputs_failed=totals.missed,
            credits_estimated=totals.estimated,
            credits_used=totals.used,
            credits_bound=totals.spent,
            seconds=0.0,
            failures=tuple(
                Failure(key=row.key, line=row.line, error=row.reason or "") for row in failed
            ),
            failed=totals.states[State.FAILED],
        ),
        doubts=tuple(map(_unanswered, _all(journal, State.IN_DOUBT, State.INTENT))),
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
