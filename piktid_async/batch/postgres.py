"""The `Store` of many machines: PostgreSQL, any number of programs at once."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import platform
import random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import datetime
from functools import partial
from importlib.resources import files
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import attrs

from piktid_async.batch.journal import utc_now
from piktid_async.batch.ledger import (
    Bound,
    Drawn,
    LedgerError,
    Row,
    Stamp,
    State,
    Totals,
    Uploaded,
    abandoned,
    advanced,
    intended,
    withdrawn,
)
from piktid_async.batch.rows import COLUMNS, row_of, values
from piktid_async.coordination.postgres_line import Line, Schema, Statement, checked_database
from piktid_async.errors import ConfigurationError, ConnectionFailedError
from piktid_async.protocol.backoff import Backoff
from piktid_async.types import Json

T = TypeVar("T")

_log = logging.getLogger("piktid_async.batch")

SCHEMA = Schema(
    "piktid_batch",
    "journal",
    1,
    "the batches",
    lambda: files("piktid_async.batch").joinpath("postgres.sql").read_text("utf-8"),
)
PAGE = 500
"""Rows read at once."""
AGAIN = Backoff(base=0.2, cap=2.0)
ATTEMPTS = 15
"""How often a call is made while the database is away: half a minute."""
UPLOAD_COLUMNS = tuple(field.name for field in attrs.fields(Uploaded))
_ROWS = f"SELECT {', '.join(COLUMNS)} FROM piktid_batch.products WHERE batch = %s"
_STAMPED = f"SELECT stamp, {', '.join(COLUMNS)} FROM piktid_batch.products WHERE batch = %s"


class PostgresStore:
    """A `Store` in a database; `open` it before use, and `close` it, both in one loop.

    - `name`: tells the batches in one database apart.
    - `make`: False refuses to make a batch that is not there.

    One connection. A product is claimed by an advisory lock of that connection, so a claim ends
    with its program; whoever froze and wakes is told apart by the id of its intent. While the
    database is away a call waits for it for half a minute, then raises `ConnectionFailedError`;
    if `patient`, it waits for as long as that is so.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        make: bool = True,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.name: str = name
        database = checked_database(url)
        self.label: str = f"batch {name!r} in {_shown(database)}"
        self.shared: bool = True
        self.owner: UUID = uuid4()
        """Another one in each program."""
        self.totals: Totals = Totals()
        self.meta: Mapping[str, Json] = {}
        self.patient: bool = False
        """Whether it waits without end for a database that is away."""
        self._away = False
        self._make = make
        self._clock = clock or utc_now
        self._line = Line(database, SCHEMA, self._beginning)
        self._batch: int | None = None
        self._claims: set[str] = set()
        # First come, first served, like one thread that writes.
        self._in_order = asyncio.Lock()

    async def open(self) -> Self:
        """Connect, making the tables and the batch if there are none.

        Raises `ConfigurationError`, and `ConnectionFailedError` when the database is away.
        """
        if self._batch is not None:
            raise ConfigurationError(f"{self.label} is open already")
        try:
            if self._make:
                await self._line.call(
                    "INSERT INTO piktid_batch.batches (name) VALUES (%s) ON CONFLICT DO NOTHING",
                    self.name,
                )
            found = await self._line.call(
                "SELECT id FROM piktid_batch.batches WHERE name = %s", self.name
            )
            if not found:
                raise ConfigurationError(f"there is no {self.label}")
            self._batch = int(found[0][0])
            await self.refresh()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Finish what was begun, and let go of all claims."""
        async with self._in_order:
            self._batch = None
            self._claims.clear()
            await asyncio.shield(asyncio.ensure_future(self._line.aclose()))

    async def refresh(self) -> None:
        """Have `totals` and `meta` tell what other programs have written, too."""
        found = await self._do(
            "SELECT meta, piktid_batch.sums(id) FROM piktid_batch.batches WHERE id = %s"
        )
        self.meta, self.totals = found[0][0], _totals(found[0][1])

    async def keep_meta(self, **kept: Json) -> None:
        """Remember something of the run itself."""
        await self._set_meta("meta || %s::jsonb", kept)

    async def agree_on(self, **proposed: Json) -> None:
        """Remember something of the run itself unless it is known already, to anybody."""
        await self._set_meta("%s::jsonb || meta", proposed)

    async def begin_run(self) -> None:
        """Forget which keys were drawn."""
        await self._ask("DELETE FROM pg_temp.piktid_drawn")

    async def draw(self, key: str, line: str | None) -> Drawn:
        """Return a product's row, making it if there is none, and claim it."""
        return await self._in_turn(partial(self._draw, key, line))

    async def claim(self, key: str) -> Row | None:
        """Take a product for this program alone; None: another one has it."""
        return await self._in_turn(partial(self._claim, key))

    async def free(self, *keys: str) -> None:
        """Let others have these products; all of them, if none is named."""
        if self._batch is not None:  # else they were let go of when it was closed
            await self._in_turn(partial(self._free, keys))

    async def row(self, key: str) -> Row | None:
        """Return a product's row."""
        found = await self._do(f"{_ROWS} AND key = %s", key)
        return row_of(found[0]) if found else None

    async def rows(self, *states: State) -> AsyncIterator[Row]:
        """Yield the rows in these states, in the order of their arrival."""
        query = f"{_ROWS} AND state = ANY (%s) AND seq > %s ORDER BY seq LIMIT {PAGE}"
        names, last = [state.value for state in states], 0
        while page := [row_of(each) for each in await self._do(query, names, last)]:
            for row in page:
                yield row
            last = page[-1].seq

    async def move(
        self, key: str, to: State, *, of: str | None = None, then: str | None = None, **changes: Any
    ) -> Row:
        """Take one step; raises `LedgerError` if it is none, or the job is another's."""
        return await self._step(key, lambda row: advanced(row, to, self._now, changes, of), then)

    async def intend(self, key: str, max_credits: float | None, **changes: Any) -> Row:
        """Take the step to `intent`; raises `BudgetExceededError`."""

        def step(row: Row) -> Row:
            return intended(row, self._now, changes, Bound(max_credits, self.totals.spent))

        return await self._step(key, step, None, max_credits)

    async def withdraw(self, key: str, of: str | None = None) -> None:
        """Take back an intent of which it is certain that nothing left; else do nothing."""
        await self._step(key, lambda row: withdrawn(row, self._now, of))

    async def known_jobs(self, among: Iterable[str]) -> set[str]:
        """Return those of the jobs that are, or were, of some product."""
        query = "SELECT job_id FROM piktid_batch.jobs WHERE batch = %s AND job_id = ANY (%s)"
        return {job_id for (job_id,) in await self._do(query, list(among))}

    async def uploaded(self, hashes: Iterable[str]) -> dict[str, Uploaded]:
        """Return the contents that the service has, by hash."""
        found = await self._do(
            f"SELECT {', '.join(UPLOAD_COLUMNS)} FROM piktid_batch.uploads "
            "WHERE batch = %s AND sha256 = ANY (%s)",
            list(hashes),
        )
        uploads = [Uploaded(**dict(zip(UPLOAD_COLUMNS, each, strict=True))) for each in found]
        return {each.sha256: each for each in uploads}

    async def keep_upload(self, upload: Uploaded) -> None:
        """Remember that a content has arrived; the first one to have brought it counts."""
        await self._do(
            "INSERT INTO piktid_batch.uploads VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            *attrs.astuple(upload),
        )

    async def hashes(self, stamps: Iterable[Stamp]) -> dict[Stamp, str]:
        """Return the hashes of files that have not changed since they were read."""
        wanted = set(stamps)
        found = await self._do(
            "SELECT path, size, mtime_ns, sha256 FROM piktid_batch.hashes "
            "WHERE batch = %s AND machine = %s AND path = ANY (%s)",
            platform.node(),
            [stamp.path for stamp in wanted],
        )
        known = {Stamp(*stamp): sha256 for *stamp, sha256 in found}
        return {stamp: known[stamp] for stamp in wanted & known.keys()}

    async def keep_hash(self, stamp: Stamp, sha256: str) -> None:
        """Remember a file's hash."""
        await self._do(
            "INSERT INTO piktid_batch.hashes VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (batch, machine, path) DO UPDATE "
            "SET size = excluded.size, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256",
            *(platform.node(), *attrs.astuple(stamp), sha256),
        )

    # What a queue needs

    async def add(
        self, products: Sequence[tuple[str, str | None, str]], task: str
    ) -> dict[str, tuple[Row, str | None]]:
        """Make rows of (key, line, spec), each with its first task, in one transaction.

        Returns the rows that there were before, and their specs.
        """
        keys, lines, specs = ([each[part] for each in products] for part in range(3))
        made = await self._do(
            "SELECT * FROM piktid_batch.add(%s, %s, %s::text[], %s, %s, %s)",
            *(keys, lines, specs, self._now, task),
        )
        others = list(set(keys) - {key for (key,) in made})
        found = await self._do(
            f"SELECT spec, {', '.join(COLUMNS)} FROM piktid_batch.products "
            "WHERE batch = %s AND key = ANY (%s)",
            others,
        )
        known = [(row_of(rest), spec) for spec, *rest in found]
        return {row.key: (row, spec) for row, spec in known}

    async def spec(self, key: str) -> str | None:
        """Return what a worker makes a product of."""
        query = "SELECT spec FROM piktid_batch.products WHERE batch = %s AND key = %s"
        found = await self._do(query, key)
        return found[0][0] if found else None

    async def change_spec(self, key: str, spec: str) -> None:
        """Have a worker make the product of something else."""
        statement = "UPDATE piktid_batch.products SET spec = %s WHERE batch = %s AND key = %s"
        await self._ask(statement, spec, self._id, key)

    async def note(self, key: str, state: State, *, then: str | None = None, **changes: Any) -> Row:
        """Write down what is known of a product that stays in its state; `LedgerError` elsewhere.

        `then` is what the queue has to do next.
        """

        def step(row: Row) -> Row:
            if row.state is not state:
                raise LedgerError(f"{key!r} is {row.state}, not {state}")
            return attrs.evolve(row, updated=self._now, **changes)

        return await self._step(key, step, then)

    async def beat(self, lease: float) -> None:
        """Give a sign of life that is good for so many seconds."""
        name = f"{platform.node()}:{os.getpid()}"
        await self._do("SELECT piktid_batch.beat(%s, %s, %s, %s)", self.owner, name, lease)

    async def leave(self) -> None:
        """Be taken for gone at once."""
        await self._do(
            "DELETE FROM piktid_batch.workers WHERE batch = %s AND owner = %s", self.owner
        )

    async def adopt(self, known: Iterable[str], most: int) -> list[str]:
        """Take over jobs that no living worker follows, except for those known."""
        query = "SELECT * FROM piktid_batch.adopt(%s, %s, %s, %s)"
        return [key for (key,) in await self._do(query, self.owner, list(known), most)]

    async def doubt_cut_off(self, known: Iterable[str], lease: float) -> int:
        """Put in doubt what was being submitted by workers that are gone; return how many.

        So is what this one was submitting, except for those known.
        """
        query = "SELECT * FROM piktid_batch.cut_off(%s, %s, %s, %s)"
        cut_off = await self._do(query, self.owner, list(known), lease)
        for key, intent in cut_off:
            await self._step(key, partial(self._given_up, intent))
        return len(cut_off)

    async def redo(self, state: State, task: str) -> int:
        """Put a task for each product in a state into the queue, unless it has one there."""
        query = "SELECT piktid_batch.redo(%s, %s, %s)"
        ((redone,),) = await self._do(query, state.value, task)
        return int(redone)

    async def queued(self, task: str) -> int:
        """Return how many tasks of a kind wait in the queue."""
        ((found,),) = await self._do("SELECT piktid_batch.queued(%s, %s)", task)
        return int(found)

    async def workers(self) -> list[str]:
        """Return the names of the workers that have given a sign of life."""
        found = await self._do(
            "SELECT name FROM piktid_batch.workers "
            "WHERE batch = %s AND until > clock_timestamp() ORDER BY name"
        )
        return [name for (name,) in found]

    # Within

    @property
    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")

    def _given_up(self, intent: str, row: Row) -> Row:
        return abandoned(row, self._now) if row.intent_id == intent else row

    def _beginning(self) -> Iterator[Statement]:
        """Yield what every new connection begins with."""
        # The server notices a machine that is gone, and with it its claims go.
        for setting, value in (("idle", "15"), ("interval", "5"), ("count", "3")):
            yield f"SET tcp_keepalives_{setting} = {value}", ()
        yield "CREATE TEMP TABLE piktid_drawn (key text PRIMARY KEY, line text)", ()
        for key in self._claims:  # where another was faster, the ledger keeps them apart
            yield _CLAIM, (self._batch, key)

    async def _draw(self, key: str, line: str | None) -> Drawn:
        ((twin, claimed),) = await self._again(
            "SELECT * FROM piktid_batch.draw(%s, %s, %s, %s)", *(self._batch, key, line, self._now)
        )
        if twin is None and claimed:
            return Drawn(await self._claimed(key))
        _, row = await self._found(key)
        return Drawn(row, twin, taken=twin is None)

    async def _claim(self, key: str) -> Row | None:
        if key not in self._claims:
            ((claimed,),) = await self._again(_CLAIM, self._batch, key)
            if not claimed:
                return None
        return await self._claimed(key)

    async def _claimed(self, key: str) -> Row:
        known = key in self._claims
        self._claims.add(key)
        _, row = await self._found(key)
        if row.state is State.INTENT and not known:
            row = await self._replace(key, lambda row: abandoned(row, self._now))
        return row

    async def _free(self, keys: Sequence[str]) -> None:
        freed = [key for key in keys if key in self._claims] if keys else list(self._claims)
        self._claims.difference_update(freed)
        for key in freed:
            await self._again(_FREE, self._batch, key)

    async def _set_meta(self, merged: str, changes: Mapping[str, Json]) -> None:
        statement = f"UPDATE piktid_batch.batches SET meta = {merged} WHERE id = %s"
        await self._ask(statement, json.dumps(changes), self._id)
        await self.refresh()

    async def _step(
        self,
        key: str,
        step: Callable[[Row], Row],
        then: str | None = None,
        max_credits: float | None = None,
    ) -> Row:
        return await self._in_turn(partial(self._replace, key, step, then, max_credits))

    async def _replace(
        self,
        key: str,
        step: Callable[[Row], Row],
        then: str | None = None,
        max_credits: float | None = None,
    ) -> Row:
        """Replace a row by what a step makes of it, as it is when that is written."""
        while True:
            before, row = await self._found(key, sums=max_credits is not None)
            after = step(row)
            if after is row:
                return row
            columns = dict(zip(COLUMNS, values(after), strict=True))
            told = json.dumps({**columns, "spent": after.spent})
            ((outcome, holder, sums),) = await self._again(
                "SELECT * FROM piktid_batch.step(%s, %s, %s, %s, %s, %s, %s)",
                *(self._batch, before, uuid4(), told, max_credits, self.owner, then),
            )
            if outcome == "job":
                raise LedgerError(f"job {after.job_id} is that of {holder!r}, not of {key!r}")
            if outcome == "taken":
                self.totals = _totals(sums)
                return after

    async def _found(self, key: str, *, sums: bool = False) -> tuple[UUID, Row]:
        if sums:
            ((told,),) = await self._again("SELECT piktid_batch.sums(%s)", self._batch)
            self.totals = _totals(told)
        found = await self._again(f"{_STAMPED} AND key = %s", self._batch, key)
        if not found:
            raise LedgerError(f"{key!r} is not in the journal")
        stamp, *rest = found[0]
        return stamp, row_of(rest)

    @property
    def _id(self) -> int:
        if self._batch is None:
            raise ConfigurationError("the journal is not open: use Batch inside `async with`")
        return self._batch

    async def _do(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute one statement, whose first value is the batch."""
        return await self._ask(statement, self._id, *parameters)

    async def _ask(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self._in_turn(partial(self._again, statement, *parameters))

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have it done after all that was asked for before, even if nobody waits for it."""
        self._id  # noqa: B018 - raises when it is not open

        async def done() -> T:
            async with self._in_order:
                return await work()

        return await asyncio.shield(asyncio.ensure_future(done()))

    async def _again(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute one statement, which may be executed twice if its answer is lost."""
        for attempt in itertools.count(1):
            try:
                found = await self._line.call(statement, *parameters)
            except ConnectionFailedError as error:
                if not self._away:
                    self._away = True
                    _log.warning("the database is away; waiting for it: %s", error)
                if attempt >= ATTEMPTS and not self.patient:
                    raise
                await asyncio.sleep(AGAIN.pause(attempt, random.random))
            else:
                break
        if self._away:
            self._away = False
            _log.warning("the database is back")
        return found


_CLAIM = "SELECT pg_try_advisory_lock(piktid_batch.claim_of(%s, %s))"
_FREE = "SELECT pg_advisory_unlock(piktid_batch.claim_of(%s, %s))"


def _totals(sums: Mapping[str, Sequence[float]]) -> Totals:
    totals = Totals()
    for state, (products, spent, estimated, used, made, missed) in sums.items():
        totals.states[State(state)] = int(products)
        totals.spent += float(spent)
        totals.estimated += float(estimated)
        totals.used += float(used)
        totals.made += int(made)
        totals.missed += int(missed)
    return totals


def _shown(database: Mapping[str, Any]) -> str:
    """Name a database without user, password and options."""
    host, port = database.get("host") or "this machine", database.get("port")
    return f"{host}{f':{port}' if port else ''}/{database.get('dbname') or ''}"
