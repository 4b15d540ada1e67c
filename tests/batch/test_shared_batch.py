"""One list, several programs: each product is one program's, and nobody is paid twice."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import psycopg
import pytest

from piktid_async import ConfigurationError, GarmentRecolor
from piktid_async.batch import Batch
from piktid_async.batch.ledger import LedgerError, State
from piktid_async.batch.postgres import PostgresStore
from piktid_async.batch.submitting import Known, Submission

PAID = ("POST /upload", "POST /garment-recolor")


pytestmark = pytest.mark.usefixtures("results_beside")


async def all_of(batch, products):
    return [outcome async for outcome in batch.run(products)]


async def test_two_programs_make_one_list_once(
    quick, shared_session, make_products, database, name, tmp_path
):
    async def program() -> tuple[list, dict]:
        async with (
            shared_session() as session,
            Batch(session, database, name=name, directory=tmp_path, in_flight=4) as batch,
        ):
            return await all_of(batch, make_products(20)), dict(batch.summary.states)

    (first, _), (second, _) = await asyncio.gather(program(), program())
    for outcomes in (first, second):
        assert Counter(outcome.product.key for outcome in outcomes) == {
            f"sku-{number}": 1 for number in range(20)
        }
        assert {outcome.error for outcome in outcomes} == {None}
        assert all(outcome.files and outcome.result.ok for outcome in outcomes)
    assert quick.books.jobs_created == quick.books.api_requests["POST /upload"] == 20
    before = {each: quick.books.api_requests[each] for each in PAID}
    _, states = await program()
    assert states == {"done": 20}
    assert {each: quick.books.api_requests[each] for each in PAID} == before


async def test_a_program_that_dies_leaves_its_products_to_the_other(
    quick, shared_session, make_products, database, name
):
    quick.faults.submit_delay = 30.0  # the job is made, and its answer never comes
    products = make_products(1)
    async with (  # noqa: SIM117 - the other one outlives it
        shared_session() as session,
        Batch(session, database, name=name) as other,
    ):
        async with shared_session() as dying:
            first = await Batch(dying, database, name=name).__aenter__()
            task = asyncio.create_task(all_of(first, products))
            async with asyncio.timeout(30):
                while not quick.books.jobs_created:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            waiting = asyncio.create_task(all_of(other, products))
            await asyncio.sleep(0)
            assert (await first._store.row("sku-0")).state is State.INTENT
            assert await other._store.claim("sku-0") is None
            await first._store._line.aclose()  # as the server does for a process that died
            ((outcome,),) = await asyncio.gather(waiting)
            assert outcome.error is None
            assert (await other._store.row("sku-0")).reason == "found in the gallery"
            quick.faults.submit_delay = 0.0
            task.cancel()
            await asyncio.wait([task])
            await first.__aexit__(None, None, None)
    assert quick.books.jobs_created == 1


async def test_who_slept_through_another_attempt_changes_nothing(store):
    await store.draw("a", None)
    await store.intend("a", None, intent_id="first", estimate=3.0)
    await store.move("a", State.IN_DOUBT, of="first")
    await store.move("a", State.PENDING)
    await store.intend("a", None, intent_id="second", estimate=3.0)
    await store.withdraw("a", "first")
    assert (await store.row("a")).intent_id == "second"
    for to in (State.IN_DOUBT, State.SUBMITTED):
        with pytest.raises(LedgerError, match="not at attempt first any more"):
            await store.move("a", to, of="first", **({"job_id": "j"} if to == "submitted" else {}))
    await store.move("a", State.IN_DOUBT, of="second")
    row = await store.move("a", State.SUBMITTED, of="second", job_id="j")
    assert (row.job_id, row.intent_id) == ("j", "second")


async def test_a_claim_is_one_programs_until_it_is_freed_or_ends(database, name):
    first = await PostgresStore(database, name).open()
    second = await PostgresStore(database, name).open()
    assert not (await first.draw("a", None)).taken
    assert (await second.draw("a", None)).taken
    assert await second.claim("a") is None
    await first.intend("a", None, intent_id="i", estimate=3.0)
    await first.free("a")
    row = await second.claim("a")
    assert (row.state, row.reason) == (State.IN_DOUBT, "the program ended before the answer came")
    assert await first.claim("a") is None
    await second.close()
    async with asyncio.timeout(30):  # the server ends a connection in its own time
        while (row := await first.claim("a")) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert row.state is State.IN_DOUBT
    await first.close()


async def test_sums_and_budget_are_those_of_all_programs(database, name):
    first = await PostgresStore(database, name).open()
    second = await PostgresStore(database, name).open()
    stores = [first, second] * 10
    for number, store in enumerate(stores):
        await store.draw(str(number), None)
    told = await asyncio.gather(
        *(store.intend(str(number), 30.0, estimate=4.0) for number, store in enumerate(stores)),
        return_exceptions=True,
    )
    assert [type(each).__name__ for each in told].count("BudgetExceededError") == 13
    for store in (first, second):
        await store.refresh()
        assert store.totals.spent == 28.0
        assert store.totals.states == Counter({State.INTENT: 7, State.PENDING: 13})
        await store.close()


async def test_what_is_agreed_on_first_counts_for_all(database, name):
    first = await PostgresStore(database, name).open()
    second = await PostgresStore(database, name).open()
    await first.agree_on(mark="one")
    await second.agree_on(mark="two", more=1)
    assert second.meta == {"mark": "one", "more": 1}
    await first.refresh()
    assert first.meta == second.meta
    await first.close()
    await second.close()


async def test_a_connection_that_is_lost_is_made_anew_with_its_claims(database, name):
    store = await PostgresStore(database, name).open()
    other = await PostgresStore(database, name).open()
    await store.draw("a", None)
    ((pid,),) = await store._ask("SELECT pg_backend_pid()")
    async with await psycopg.AsyncConnection.connect(database) as operator:
        await operator.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert (await store.intend("a", None, estimate=3.0)).state is State.INTENT
    assert await other.claim("a") is None
    await store.close()
    await other.close()


async def test_sessions_without_shared_limits_are_warned(
    quick, make_session, make_products, database, name, tmp_path, caplog
):
    with caplog.at_level(logging.WARNING, "piktid_async.batch"):
        async with (
            make_session() as session,
            Batch(session, database, name=name, directory=tmp_path) as batch,
        ):
            await all_of(batch, make_products(1))
    assert "PostgresCoordinator" in caplog.text


async def test_no_message_shows_the_password(make_session, database):
    async with make_session() as session:
        url = "postgresql://user:secret-word@127.0.0.1:1/shop"
        batch = Batch(session, url, name="spring")
        assert "secret-word" not in batch._store.label
        with pytest.raises(Exception, match="PostgreSQL") as caught:
            await batch.__aenter__()
        assert "secret-word" not in str(caught.value)
        with pytest.raises(ConfigurationError, match="there is no batch 'nobody'"):
            await PostgresStore(database, "nobody", make=False).open()
        with pytest.raises(ConfigurationError, match="name is for batches in a database"):
            Batch(session, "run.sqlite", name="spring")


async def test_a_defect_after_the_answer_leaves_it_in_doubt(store, make_session):
    """Whatever comes up once the request has left: never "certainly not sent"."""
    await store.draw("a", None)

    class Broken:
        async def submit(self, request, *, receipt):
            await receipt.sending()
            raise KeyError("a defect between the answer and the job")

    class Run:
        session, max_credits = Broken(), None

    Run.store = store
    request = GarmentRecolor(project="p", images=["f"], reference_text="navy")
    with pytest.raises(KeyError):
        await Submission(Run, "a", request, Known("mark", ("00",))).submit()
    row = await store.row("a")
    assert (row.state, row.reason) == (State.IN_DOUBT, "KeyError came up once it was sent")


async def test_what_is_written_is_read(store):
    await store.draw("a", "list:1")
    facts = {"images": ("00",), "input_ids": ("f1", "f2"), "estimate": 2.5, "fingerprint": "mark"}
    told = {**facts, "kind": "k", "reason": "because", "total_outputs": 7, "intent_id": "i"}
    written = await store.intend("a", None, t_intent="2026-01-02T03:04:05+00:00", **told)
    assert await store.row("a") == written
    assert {name: getattr(written, name) for name in told} == told
