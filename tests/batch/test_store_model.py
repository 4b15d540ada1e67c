"""Any order of steps, refusals and crashes, against a journal that is a plain dict."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any, ClassVar

import attrs
import psycopg
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from piktid_async import BudgetExceededError
from piktid_async.batch.ledger import FOLLOWS, WITH_JOB, LedgerError, State, Totals
from piktid_async.batch.postgres import PostgresStore
from piktid_async.batch.sqlite import SqliteStore

KEYS = st.sampled_from(["a", "b", "c"])
JOBS = st.sampled_from(["j1", "j2", "j3", "j4"])
BUDGET = 12.0


@attrs.define
class Known:
    """One product as the model has it."""

    state: State = State.PENDING
    job: str | None = None
    estimate: float = 0.0
    used: float | None = None
    sunk: float = 0.0

    @property
    def spent(self) -> float:
        at_stake = self.state not in (State.PENDING, State.FAILED) or self.job is not None
        return self.sunk + (self.used if self.used is not None else self.estimate * at_stake)


class JournalAgainstADict(RuleBasedStateMachine):
    """Everything that returned has happened; everything that raised has not."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="piktid-journal-"))
        self.crashes = 0
        self.name = uuid.uuid4().hex
        self.model: dict[str, Known] = {}
        self.owners: dict[str, str] = {}
        self.store = self.opened()

    def opened(self) -> Any:
        return self.wait(SqliteStore(self.folder / f"{self.crashes}.sqlite").open())

    def crash(self) -> None:
        """Take the files as a crash at this moment would leave them."""
        self.crashes += 1
        copy = self.folder / f"{self.crashes}.sqlite"
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.store.path}{suffix}", f"{copy}{suffix}")
        self.wait(self.store.close())

    def wait(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(key=KEYS)
    def draw(self, key: str) -> None:
        self.wait(self.store.draw(key, None))
        self.model.setdefault(key, Known())

    @rule(key=KEYS, estimate=st.sampled_from([1.0, 5.0]))
    def intend(self, key: str, estimate: float) -> None:
        known = self.model.get(key)
        possible = known is not None and known.state is State.PENDING
        fits = sum(each.spent for each in self.model.values()) + estimate <= BUDGET
        try:
            self.wait(self.store.intend(key, BUDGET, estimate=estimate))
        except LedgerError:
            assert not possible
        except BudgetExceededError:
            assert possible
            assert not fits
        else:
            assert known is not None
            assert fits
            known.state, known.estimate = State.INTENT, estimate

    @rule(
        key=KEYS,
        to=st.sampled_from(sorted(set(State) - {State.INTENT})),
        job=JOBS,
        dropping=st.booleans(),
    )
    def move(self, key: str, to: State, job: str, *, dropping: bool) -> None:
        known = self.model.get(key)
        dropping &= to is State.IN_DOUBT
        fresh = known is not None and known.job is None and to in WITH_JOB
        possible = (
            known is not None
            and to in FOLLOWS[known.state]
            and not (fresh and self.owners.get(job, key) != key)
            and not (to is State.IN_DOUBT and known.job is not None and not dropping)
        )
        changes: dict[str, Any] = {"job_id": job} if fresh else {}
        if dropping:
            changes["job_id"] = None
        if to is State.TERMINAL:
            changes["credits_used"] = 2.0
        try:
            self.wait(self.store.move(key, to, **changes))
        except LedgerError:
            assert not possible
            return
        assert possible
        assert known is not None
        if to is State.PENDING:
            sunk = known.spent if known.state is State.FAILED else known.sunk
            self.model[key] = Known(estimate=known.estimate, sunk=sunk)
            return
        known.state = to
        if to is State.IN_DOUBT:
            known.job = None
        if fresh:
            known.job = job
            self.owners[job] = key
        if to is State.TERMINAL:
            known.used = 2.0

    @rule(key=KEYS)
    def withdraw(self, key: str) -> None:
        known = self.model.get(key)
        if known is not None:
            self.wait(self.store.withdraw(key))
            if known.state is State.INTENT:
                known.state = State.PENDING

    @rule(clean=st.booleans())
    def end_and_come_back(self, clean: bool) -> None:
        """Close in good order, or not; then open it again."""
        if clean:
            self.wait(self.store.close())
        else:
            self.crash()
        self.store = self.opened()
        for key in self.model:
            assert self.wait(self.store.claim(key)) is not None
        for known in self.model.values():
            if known.state is State.INTENT:
                known.state = State.IN_DOUBT

    @invariant()
    def the_journal_and_the_model_tell_the_same(self) -> None:
        async def rows() -> list[Any]:
            return [row async for row in self.store.rows(*State)]

        found = self.wait(rows())
        assert {row.key: (row.state, row.job_id, row.spent) for row in found} == {
            key: (known.state, known.job, known.spent) for key, known in self.model.items()
        }
        counted = Totals()
        for row in found:
            counted.count(row)
        self.wait(self.store.refresh())
        assert self.store.totals == counted
        assert self.wait(self.store.known_jobs(["j1", "j2", "j3", "j4"])) == self.owners.keys()

    @invariant()
    def the_budget_was_never_passed_by_what_was_intended(self) -> None:
        assert sum(known.spent for known in self.model.values()) <= BUDGET

    def teardown(self) -> None:
        self.wait(self.store.close())
        self.loop.close()
        shutil.rmtree(self.folder)


class Shared(JournalAgainstADict):
    """The same in PostgreSQL, where a crash is a connection that is gone."""

    database: ClassVar[str]

    def opened(self) -> Any:
        return self.wait(PostgresStore(Shared.database, self.name).open())

    def crash(self) -> None:
        async def cut() -> None:
            async with await psycopg.AsyncConnection.connect(Shared.database) as other:
                ((pid,),) = await self.store._ask("SELECT pg_backend_pid()")
                await other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

        self.wait(cut())
        self.wait(self.store.close())


TestJournalAgainstADict = JournalAgainstADict.TestCase
TestJournalAgainstADict.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_a_shared_journal_against_a_dict(database: str) -> None:
    Shared.database = database
    run_state_machine_as_test(
        Shared, settings=settings(max_examples=15, stateful_step_count=30, deadline=None)
    )
