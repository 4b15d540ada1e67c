"""The journal's file: SQLite, and what is done to it in one transaction; not async."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from piktid_async.batch.ledger import Drawn, LedgerError, Row, State, Totals, abandoned
from piktid_async.batch.locking import FileLock
from piktid_async.batch.rows import COLUMNS, NUMBERS, REALS, row_of, values
from piktid_async.errors import ConfigurationError
from piktid_async.types import Json

SCHEMA_VERSION = 1
PAGE = 500
"""Rows read at once."""


def _column(name: str) -> str:
    if name == "key":
        return "key TEXT PRIMARY KEY"
    if name == "job_id":
        return "job_id TEXT UNIQUE"
    return f"{name} {'INTEGER' if name in NUMBERS else 'REAL' if name in REALS else 'TEXT'}"


SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE products ({", ".join(map(_column, COLUMNS))});
CREATE UNIQUE INDEX products_seq ON products (seq);
CREATE INDEX products_state ON products (state, seq);
CREATE TABLE jobs (job_id TEXT PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE uploads (sha256 TEXT PRIMARY KEY, file_id TEXT NOT NULL,
    filename TEXT NOT NULL, content_type TEXT NOT NULL, size INTEGER NOT NULL);
CREATE TABLE hashes (path TEXT PRIMARY KEY, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL);
PRAGMA user_version = {SCHEMA_VERSION}
"""
COUNTED = ("job_id", "estimate", "credits_used", "sunk", "made", "missed")
"""What totals are made of, besides the state: all columns of a million rows take a while."""
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM products"
_WRITE = f"REPLACE INTO products VALUES ({', '.join('?' * len(COLUMNS))})"


REMEDIES: Mapping[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room"),
    sqlite3.SQLITE_IOERR: ("the disk cannot be written or read", "look at the disk"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "look at the rights to its folder"),
    sqlite3.SQLITE_READONLY: ("it can only be read", "give this program the right to write it"),
    sqlite3.SQLITE_PERM: ("it can only be read", "give this program the right to write it"),
    sqlite3.SQLITE_BUSY: ("another program has locked it", "end that program"),
    sqlite3.SQLITE_LOCKED: ("another program has locked it", "end that program"),
}
"""What hinders a journal, and what helps, by SQLite's primary codes."""


class JournalError(ConfigurationError):
    """The journal cannot be kept: its disk is full or broken, or others have locked it.

    What it holds stays good: nothing is paid twice when the batch is run again.
    """


def trouble_with(path: Path, error: sqlite3.Error) -> ConfigurationError:
    """Tell what hinders a journal, and what helps."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it is details
    if code not in REMEDIES:
        return ConfigurationError(f"{path} is no journal of a batch: {error}")
    rule, remedy = REMEDIES[code]
    return JournalError(f"the journal {path}: {rule}; {remedy}, then run it again")


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class Journal:
    """One journal file; every change but a `draw` belongs inside a `transaction`."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self.totals: Totals = Totals()
        self.meta: Mapping[str, Json] = {}
        self.db: sqlite3.Connection
        self._clock = clock
        self._lock = FileLock(path.with_name(path.name + ".lock"))

    def open(self) -> None:
        """Open the file, making it if there is none; rows in `intent` are in doubt from now on."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.take()
            # SQLite gives the files beside it the mode of this one.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.path.chmod(0o600)
        except OSError as error:
            raise ConfigurationError(
                f"the journal {self.path} cannot be opened: {error.strerror}"
            ) from error
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.Error as error:
            raise trouble_with(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        if hasattr(self, "db"):
            self.db.close()
        self._lock.free()

    @property
    def now(self) -> str:
        """The time as rows have it."""
        return self._clock().isoformat(timespec="milliseconds")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, on disk, or leave all as it was."""
        totals = attrs.evolve(self.totals, states=self.totals.states.copy())
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            self.totals = totals
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def draw(self, key: str, line: str | None) -> Drawn:
        """Return a product's row, making it, in a transaction of its own, if there is none."""
        twin = self.db.execute("SELECT line FROM temp.drawn WHERE key = ?", (key,)).fetchone()
        row = self.row(key)
        if twin is not None:
            assert row is not None, "it was drawn"
            return Drawn(row, twin[0] or "an earlier one")
        if row is None:
            with self.transaction():
                last = self.db.execute("SELECT max(seq) FROM products").fetchone()[0] or 0
                row = Row(key=key, seq=last + 1, line=line, updated=self.now)
                self._write(None, row)
        # A temporary table: who was drawn in this run needs no memory, and outlives no crash.
        self.db.execute("INSERT INTO temp.drawn VALUES (?, ?)", (key, line))
        return Drawn(row)

    def step(self, key: str, step: Callable[[Row], Row]) -> Row:
        """Replace a row by what a step makes of it."""
        before = self.row(key)
        if before is None:
            raise LedgerError(f"{key!r} is not in the journal")
        after = step(before)
        if after.job_id is not None and before.job_id is None:
            self._own(after.job_id, key)
        if after is not before:
            self._write(before, after)
        return after

    def write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Change one of the small tables."""
        # No cursor may leave this thread: to let go of it in another misuses the connection.
        self.db.executemany(statement, rows).close()

    def row(self, key: str) -> Row | None:
        """Return a product's row."""
        found = self.db.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
        return None if found is None else row_of(found)

    def page(self, states: Sequence[State], after: int) -> list[Row]:
        """Return the next rows in these states behind a place in the order of arrival."""
        marks = ", ".join("?" * len(states))
        query = f"{_SELECT} WHERE state IN ({marks}) AND seq > ? ORDER BY seq LIMIT {PAGE}"
        return [row_of(each) for each in self.db.execute(query, (*states, after))]

    def named(self, table: str, columns: str, name: str, wanted: Sequence[str]) -> list[Any]:
        """Return the rows of a small table whose column `name` is one of those wanted."""
        found: list[Any] = []
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            marks = ", ".join("?" * len(part))
            query = f"SELECT {columns} FROM {table} WHERE {name} IN ({marks})"
            found += self.db.execute(query, part)
        return found

    def _prepare(self) -> None:
        db = self.db
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version > SCHEMA_VERSION or (version == 0 and tables):
            raise ConfigurationError(f"{self.path} is no journal that this version can read")
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise ConfigurationError(f"{self.path} lies where SQLite cannot keep a write-ahead log")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TEMP TABLE drawn (key TEXT PRIMARY KEY, line TEXT)")
        with self.transaction():
            if version == 0:
                for statement in SCHEMA.split(";"):
                    db.execute(statement)
            self._recover()
        self.load()

    def load(self) -> None:
        """Read what is known of the run, and add up its products."""
        db = self.db
        self.meta = {
            name: json.loads(value) for name, value in db.execute("SELECT name, value FROM meta")
        }
        self.totals = Totals()
        for state, *counted in db.execute(f"SELECT state, {', '.join(COUNTED)} FROM products"):
            told = dict(zip(COUNTED, counted, strict=True))
            self.totals.count(Row(key="", seq=0, state=State(state), **told))

    def _recover(self) -> None:
        found = self.db.execute(f"{_SELECT} WHERE state = ?", (State.INTENT,)).fetchall()
        for row in map(row_of, found):
            self._write(row, abandoned(row, self.now))

    def _own(self, job_id: str, key: str) -> None:
        owner = self.db.execute("SELECT key FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        if owner is not None and owner[0] != key:
            raise LedgerError(f"job {job_id} is that of {owner[0]!r}, not of {key!r}")
        self.db.execute("INSERT OR IGNORE INTO jobs VALUES (?, ?)", (job_id, key))

    def _write(self, before: Row | None, after: Row) -> None:
        self.db.execute(_WRITE, values(after))
        self.totals.replace(before, after)
