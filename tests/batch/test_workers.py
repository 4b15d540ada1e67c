"""Queues in a database, and the workers that empty them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from piktid_async import (
    AccountLimits,
    BudgetExceededError,
    ConfigurationError,
    CreatePackshot,
    GarmentRecolor,
    OutputOptions,
    PackshotInstruction,
    Session,
)
from piktid_async.batch import Batch, Product, Worker
from piktid_async.batch.ledger import State
from piktid_async.batch.specs import product_of, spec_of
from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.batch.conftest import NAVY
from tests.batch.killing import PRICE

PATIENCE = 60.0


pytestmark = pytest.mark.usefixtures("results_beside")


@pytest.fixture
def lease() -> float:
    return 1.5


@pytest.fixture
def files(tmp_path) -> Callable[..., list[Product]]:
    def make(count: int, request: object = NAVY) -> list[Product]:
        made = []
        for number in range(count):
            path = tmp_path / f"front-{number}.jpg"
            path.write_bytes(PLAIN_JPEG + b"%d" % number)
            made.append(Product(f"sku-{number}", path, request, f"list:{number}"))
        return made

    return make


@asynccontextmanager
async def working(session: Session, *args: object, **options: object) -> AsyncIterator[Worker]:
    chosen = {"heartbeat": 0.3, "stale": 2.0, **options}
    worker = Worker(session, *args, **chosen)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()


async def until(batch: Batch, condition: Callable[[dict[str, int]], object]) -> None:
    """Wait until the ledger shows it; no event of this process tells of it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await batch.refresh()
            if condition(dict(batch.summary.states)):
                return
            await asyncio.sleep(0.05)


async def test_a_worker_makes_what_was_put_into_the_queue(
    quick, shared_session, files, database, name, tmp_path
):
    async with (
        shared_session() as session,
        Batch(session, database, name=name, directory=tmp_path / "out") as batch,
    ):
        told = await batch.enqueue(files(12))
        assert (told.products, told.added, told.known, told.bad) == (12, 12, 0, [])
        async with working(session, database, name):
            await until(batch, lambda states: states == {"saved": 12})
        assert batch.summary.ok
    assert quick.books.jobs_created == 12
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 12


async def test_what_no_worker_can_make_is_told_and_stops_nothing(
    shared_session, files, database, name, tmp_path
):
    good = files(2)
    bad = [
        Product("bytes", PLAIN_JPEG, NAVY, "list:7"),
        Product("call", good[0].images, lambda project, images: None),
        Product("gone", tmp_path / "gone.jpg", NAVY),
        Product("wrong", good[0].images, (GarmentRecolor, {"reference_text": ""})),
        Product("sku-1", good[0].images, NAVY, "list:9"),
    ]
    async with shared_session() as session, Batch(session, database, name=name) as batch:
        told = await batch.enqueue([*good, *bad])
        assert (told.products, told.added, told.bad_count) == (7, 2, 5)
        words = {failure.key: failure.error for failure in told.bad}
        assert "must be paths" in words["bytes"]
        assert "job request class" in words["call"]
        assert "no file that is there" in words["gone"]
        assert "reference_text" in words["wrong"]
        assert "list:1" in words["sku-1"]
        again = await batch.enqueue([*good, Product("sku-0", good[1].images, NAVY)])
        assert (again.added, again.known, again.bad_count) == (0, 2, 1)
        assert batch.summary.states == {"pending": 2}


async def test_a_queue_needs_a_database(make_session, tmp_path):
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        with pytest.raises(ConfigurationError, match="needs a database"):
            await batch.enqueue([])


async def test_settings_come_back_as_they_were(files):
    instruction = PackshotInstruction(style="ghost_mannequin", options=OutputOptions())
    (product,) = files(1, (CreatePackshot, {"instructions": [instruction]}))
    again = product_of(product.key, product.line, spec_of(product))
    assert again.request == (CreatePackshot, {"instructions": [instruction]})
    assert again.images == tuple(map(str, product.images))
    assert again.line == product.line


async def test_what_failed_for_good_is_told_and_can_be_mended(
    quick, shared_session, files, database, name
):
    good, bad = files(2)
    Path(bad.images[0]).write_bytes(b"no picture")
    async with shared_session() as session, Batch(session, database, name=name) as batch:
        await batch.enqueue([good, bad])
        async with working(session, database, name):
            await until(batch, lambda states: states == {"saved": 1, "failed": 1})
            (row,) = [row async for row in batch._store.rows(State.FAILED)]
            assert "no picture" in row.reason
            await batch.enqueue([Product(bad.key, good.images, NAVY)])
            await until(batch, lambda states: states == {"saved": 2})
    assert quick.books.jobs_created == 2


async def test_a_doubt_is_looked_for_and_else_left_to_the_user(
    quick, shared_session, files, database, name
):
    quick.faults.submit_lost, quick.faults.submit_status = 2, [500]
    async with shared_session() as session, Batch(session, database, name=name) as batch:
        await batch.enqueue(files(6))
        async with working(session, database, name):
            await until(batch, lambda states: states == {"saved": 5, "in_doubt": 1})
            (doubt,) = [doubt async for doubt in batch.in_doubt()]
            assert quick.books.jobs_created == 5
            await batch.settle(doubt.product.key, resubmit=True)
            await until(batch, lambda states: states == {"saved": 6})
    assert quick.books.jobs_created == 6
    assert quick.books.credits_charged == 6 * PRICE


async def test_a_job_of_a_worker_that_was_stopped_is_followed_by_the_next(
    shared_session, files, database, name, quick
):
    quick.faults.images_stuck = 1
    quick.faults.stuck_seconds = 2.0
    async with shared_session() as session, Batch(session, database, name=name) as batch:
        await batch.enqueue(files(1))
        async with shared_session() as other, working(other, database, name) as worker:
            await until(batch, lambda states: states == {"submitted": 1})
            assert worker.jobs == 1
        assert await batch._store.workers() == []
        async with working(session, database, name):
            await until(batch, lambda states: states == {"saved": 1})
    assert quick.books.jobs_created == 1


async def test_a_worker_that_is_stopped_sends_nothing_of_what_waits_for_its_turn(
    shared_session, files, database, name, quick
):
    limits = AccountLimits(None, {"/garment-recolor": 1}, 600.0)
    async with (
        shared_session(limits=limits) as session,
        Batch(session, database, name=name) as batch,
    ):
        await batch.enqueue(files(3))
        async with working(session, database, name):
            await until(batch, lambda states: states == {"saved": 1, "pending": 2})
            async with asyncio.timeout(PATIENCE):
                while len(session.limits.waiting) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await batch.refresh()
        assert batch.summary.states == {"saved": 1, "pending": 2}
    assert quick.books.jobs_created == 1


async def test_an_error_of_the_account_ends_the_worker_and_keeps_its_tasks(
    quick, shared_session, files, database, name
):
    async with shared_session() as session:
        async with Batch(session, database, max_credits=PRICE * 2, name=name) as batch:
            await batch.enqueue(files(3))
            with pytest.raises(BudgetExceededError):
                async with asyncio.timeout(PATIENCE):
                    await Worker(session, database, name, heartbeat=0.3, stale=2.0).run()
        async with Batch(session, database, name=name) as batch:
            await batch.enqueue([])
            async with working(session, database, name):
                await until(batch, lambda states: states == {"saved": 3})
    assert quick.books.jobs_created == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [({"stale": 0}, "stale"), ({"heartbeat": 5.0, "stale": 6.0}, "twice"), ({"name": " "}, "name")],
)
async def test_options_that_cannot_work_are_refused(make_session, database, options, words):
    async with make_session() as session:
        with pytest.raises(ConfigurationError, match=words):
            Worker(session, database, **options)
