"""The `Store` of one machine: one file, one process at a time, one thread that writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import attrs

from piktid_async.batch.clerk import Clerk
from piktid_async.batch.journal import Journal, trouble_with, utc_now
from piktid_async.batch.ledger import (
    Bound,
    Drawn,
    Row,
    Stamp,
    State,
    Totals,
    Uploaded,
    advanced,
    intended,
    withdrawn,
)
from piktid_async.errors import ConfigurationError
from piktid_async.types import Json

T = TypeVar("T")

UPLOAD_COLUMNS = tuple(field.name for field in attrs.fields(Uploaded))


class SqliteStore:
    """A `Store` in a file; `open` it before use, and `close` it."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self.label: str = f"the journal {path}"
        self.shared: bool = False
        self._journal = Journal(path, clock)
        self._clerk: Clerk | None = None

    async def open(self) -> Self:
        """Open the journal, making it if there is none; what was in `intent` is in doubt now.

        Raises `ConfigurationError` when another program has it open, or it is no journal.
        """
        if self._clerk is not None:
            raise ConfigurationError(f"the journal {self.path} is open already")
        self._clerk = Clerk("piktid-journal")
        try:
            await self._read(self._journal.open)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Finish what was begun, and let other programs in."""
        clerk, self._clerk = self._clerk, None
        if clerk is not None:
            await clerk.close(self._journal.close)

    @property
    def totals(self) -> Totals:
        """Sums over all products."""
        return self._journal.totals

    @property
    def meta(self) -> Mapping[str, Json]:
        """What is known of the run itself."""
        return self._journal.meta

    async def keep_meta(self, **values: Json) -> None:
        """Remember something of the run itself."""
        rows = [(name, json.dumps(value)) for name, value in values.items()]
        await self._write("REPLACE INTO meta VALUES (?, ?)", *rows)
        self._journal.meta = {**self._journal.meta, **values}

    async def agree_on(self, **values: Json) -> None:
        """Remember something of the run itself unless it is known already."""
        await self.keep_meta(**{**values, **self.meta})

    async def refresh(self) -> None:
        """Nobody else writes here."""

    async def begin_run(self) -> None:
        """Forget which keys were drawn."""
        await self._write("DELETE FROM temp.drawn", ())

    async def draw(self, key: str, line: str | None) -> Drawn:
        """Return a product's row, making it if there is none."""
        return await self._read(lambda: self._journal.draw(key, line))

    async def claim(self, key: str) -> Row | None:
        """Return a product's row: the file's lock keeps other programs out."""
        return await self.row(key)

    async def free(self, *keys: str) -> None:
        """Nobody waits for them."""

    async def row(self, key: str) -> Row | None:
        """Return a product's row."""
        return await self._read(lambda: self._journal.row(key))

    async def rows(self, *states: State) -> AsyncIterator[Row]:
        """Yield the rows in these states, in the order of their arrival."""
        page = await self._read(partial(self._journal.page, states, 0))
        while page:
            for row in page:
                yield row
            page = await self._read(partial(self._journal.page, states, page[-1].seq))

    async def move(
        self,
        key: str,
        to: State,
        *,
        of: str | None = None,
        then: str | None = None,  # noqa: ARG002 - there is no queue here
        **changes: Any,
    ) -> Row:
        """Take one step; raises `LedgerError` if it is none, or the job is another's."""
        return await self._step(key, lambda row: advanced(row, to, self._journal.now, changes, of))

    async def intend(self, key: str, max_credits: float | None, **changes: Any) -> Row:
        """Take the step to `intent`; raises `BudgetExceededError`."""
        return await self._step(
            key,
            lambda row: intended(
                row, self._journal.now, changes, Bound(max_credits, self.totals.spent)
            ),
        )

    async def withdraw(self, key: str, of: str | None = None) -> None:
        """Take back an intent of which it is certain that nothing left; else do nothing."""
        await self._step(key, lambda row: withdrawn(row, self._journal.now, of))

    async def known_jobs(self, among: Iterable[str]) -> set[str]:
        """Return those of the jobs that are, or were, of some product."""
        wanted = list(among)
        found = await self._read(lambda: self._journal.named("jobs", "job_id", "job_id", wanted))
        return {job_id for (job_id,) in found}

    async def uploaded(self, hashes: Iterable[str]) -> dict[str, Uploaded]:
        """Return the contents that the service has, by hash."""
        wanted, columns = list(hashes), ", ".join(UPLOAD_COLUMNS)
        found = await self._read(lambda: self._journal.named("uploads", columns, "sha256", wanted))
        uploads = [Uploaded(**dict(zip(UPLOAD_COLUMNS, each, strict=True))) for each in found]
        return {each.sha256: each for each in uploads}

    async def keep_upload(self, upload: Uploaded) -> None:
        """Remember that a content has arrived."""
        await self._write("REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", attrs.astuple(upload))

    async def hashes(self, stamps: Iterable[Stamp]) -> dict[Stamp, str]:
        """Return the hashes of files that have not changed since they were read."""
        wanted = set(stamps)
        paths, columns = [stamp.path for stamp in wanted], "path, size, mtime_ns, sha256"
        found = await self._read(lambda: self._journal.named("hashes", columns, "path", paths))
        known = {Stamp(*stamp): sha256 for *stamp, sha256 in found}
        return {stamp: known[stamp] for stamp in wanted & known.keys()}

    async def keep_hash(self, stamp: Stamp, sha256: str) -> None:
        """Remember a file's hash."""
        row = (*attrs.astuple(stamp), sha256)
        await self._write("REPLACE INTO hashes VALUES (?, ?, ?, ?)", row)

    async def _step(self, key: str, step: Callable[[Row], Row]) -> Row:
        return await self._change(lambda: self._journal.step(key, step))

    async def _write(self, statement: str, *rows: tuple[Any, ...]) -> None:
        await self._change(lambda: self._journal.write(statement, rows))

    async def _change(self, work: Callable[[], T]) -> T:
        def committed() -> T:
            with self._journal.transaction():
                return work()

        return await self._read(committed)

    async def _read(self, work: Callable[[], T]) -> T:
        if self._clerk is None:
            raise ConfigurationError("the journal is not open: use Batch inside `async with`")
        try:
            return await self._clerk.do(work)
        except sqlite3.Error as error:
            raise trouble_with(self.path, error) from error
