"""What every journal keeps, and what the file of one machine does besides."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from collections import Counter
from pathlib import Path

import pytest

import piktid_async
from piktid_async import BudgetExceededError, ConfigurationError
from piktid_async.batch.ledger import LedgerError, SavedFile, Stamp, State, Uploaded
from piktid_async.batch.sqlite import SqliteStore

FILE = SavedFile(path="a/0_0_v0.jpg", size=3, sha256="00")


async def submitted(store, key, job_id="j1"):
    await store.draw(key, None)
    await store.intend(key, None, estimate=5.0, kind="garment_recolor", input_ids=("f1",))
    return await store.move(key, State.SUBMITTED, job_id=job_id)


async def test_a_product_is_drawn_once_in_a_run(store):
    first = await store.draw("a", "list:1")
    assert (first.row.seq, first.row.state, first.twin) == (1, State.PENDING, None)
    assert (await store.draw("a", "list:2")).twin == "list:1"
    await store.begin_run()
    assert (await store.draw("a", "list:2")).twin is None
    assert (await store.draw("b", None)).row.seq == 2
    assert (await store.draw("b", None)).twin == "an earlier one"


async def test_rows_come_in_order_and_by_state(store):
    for number in range(1203):
        await store.draw(f"p{number}", None)
    await submitted(store, "p7")
    pending = [row.key async for row in store.rows(State.PENDING)]
    assert pending == [f"p{number}" for number in range(1203) if number != 7]
    both = [row.key async for row in store.rows(State.SUBMITTED, State.PENDING)]
    assert both == [f"p{number}" for number in range(1203)]


async def test_a_whole_life_is_kept_field_by_field(store):
    row = await submitted(store, "ä/1")
    row = await store.move(row.key, State.TERMINAL, result={"outputs": []}, credits_used=4.5)
    row = await store.move(row.key, State.SAVED, files=(FILE,))
    row = await store.move(row.key, State.DONE)
    assert await store.row("ä/1") == row
    assert (row.input_ids, row.files, row.result) == (("f1",), (FILE,), {"outputs": []})
    assert (row.attempt, row.spent, row.state) == (1, 4.5, State.DONE)
    assert store.totals.spent == 4.5


async def test_a_job_is_one_products_for_good(store):
    await submitted(store, "a", "j1")
    with pytest.raises(LedgerError, match="job j1 is that of 'a'"):
        await submitted(store, "b", "j1")
    assert (await store.row("b")).state is State.INTENT
    await store.move("a", State.FAILED)
    await store.move("a", State.PENDING)
    with pytest.raises(LedgerError, match="job j1 is that of 'a'"):
        await store.move("b", State.SUBMITTED, job_id="j1")
    assert await store.known_jobs(["j1", "j2"]) == {"j1"}


async def test_the_budget_is_held_in_the_same_transaction(store):
    for key in "abc":
        await store.draw(key, None)
    outcomes = await asyncio.gather(
        *(store.intend(key, 10.0, estimate=4.0) for key in "abc"), return_exceptions=True
    )
    refused = [each for each in outcomes if isinstance(each, BudgetExceededError)]
    assert len(refused) == 1
    assert store.totals.states == Counter({State.INTENT: 2, State.PENDING: 1})


async def test_an_intent_is_taken_back_and_nothing_else_is(store):
    await store.draw("a", None)
    await store.intend("a", None, estimate=4.0)
    await store.withdraw("a")
    assert (await store.row("a")).state is State.PENDING
    row = await submitted(store, "a")
    await store.withdraw("a")
    assert await store.row("a") == row


async def test_a_step_that_is_refused_changes_nothing(store):
    await submitted(store, "a")
    before, totals = await store.row("a"), store.totals
    with pytest.raises(LedgerError):
        await store.move("a", State.DONE)
    with pytest.raises(LedgerError):
        await store.move("nobody", State.INTENT)
    assert await store.row("a") == before
    assert store.totals == totals


async def test_a_call_that_is_cancelled_takes_effect_before_the_next(store):
    await store.draw("a", None)
    task = asyncio.create_task(store.intend("a", None, estimate=4.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.withdraw("a")
    row = await store.row("a")
    assert (row.state, row.attempt) == (State.PENDING, 1)


async def test_uploads_and_hashes_are_kept(store):
    upload = Uploaded(sha256="00", file_id="f", filename="a.jpg", content_type="image/jpeg", size=3)
    await store.keep_upload(upload)
    assert await store.uploaded(["00", "11"]) == {"00": upload}
    stamp = Stamp("/a.jpg", 3, 1_700_000_000_000_000_001)
    await store.keep_hash(stamp, "00")
    changed = Stamp("/a.jpg", 3, 1_700_000_000_000_000_002)
    assert await store.hashes([stamp, changed]) == {stamp: "00"}


# The file of one machine


async def test_all_is_there_when_it_is_opened_again_and_intents_are_in_doubt(tmp_path):
    path = tmp_path / "j.sqlite"
    store = await SqliteStore(path).open()
    await store.keep_meta(mark="abc")
    await submitted(store, "a")
    await store.draw("b", "list:2")
    await store.intend("b", None, estimate=3.0)
    totals = store.totals
    await store.close()
    again = await SqliteStore(path).open()
    found = [(row.key, row.state) async for row in again.rows(*State)]
    assert found == [("a", State.SUBMITTED), ("b", State.IN_DOUBT)]
    assert again.meta == {"mark": "abc"}
    assert again.totals.spent == totals.spent == 8.0
    await again.close()


async def test_its_files_are_for_the_owner_alone(tmp_path):
    path = tmp_path / "new" / "j.sqlite"
    store = await SqliteStore(path).open()
    await store.draw("a", None)
    names = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert names.keys() >= {"j.sqlite", "j.sqlite-wal", "j.sqlite-shm", "j.sqlite.lock"}
    assert set(names.values()) == {0o600}
    await store.close()


HOLDER = """
import asyncio, sys, pathlib
from piktid_async.batch.sqlite import SqliteStore

async def main():
    await SqliteStore(pathlib.Path(sys.argv[1])).open()
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


async def test_a_second_program_is_told_who_has_it_until_that_one_dies(tmp_path):
    path = tmp_path / "j.sqlite"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(piktid_async.__file__).parents[1])},
    )
    try:
        assert await holder.stdout.readline() == b"open\n"
        with pytest.raises(ConfigurationError, match=f"process {holder.pid}"):
            await SqliteStore(path).open()
    finally:
        holder.kill()
        await holder.communicate()
    store = await SqliteStore(path).open()
    await store.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"this is a text, and it is long enough to be read" * 100, "is no journal of a batch")],
)
async def test_a_file_that_is_no_database_is_left_alone(tmp_path, content, words):
    path = tmp_path / "j.sqlite"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words):
        await SqliteStore(path).open()
    assert path.read_bytes() == content


@pytest.mark.parametrize("statement", ["CREATE TABLE other (x)", "PRAGMA user_version = 99"])
async def test_a_database_of_others_is_left_alone(tmp_path, statement):
    path = tmp_path / "j.sqlite"
    db = sqlite3.connect(path)
    db.execute(statement)
    db.close()
    with pytest.raises(ConfigurationError, match="no journal that this version can read"):
        await SqliteStore(path).open()


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await SqliteStore(tmp_path / "file" / "j.sqlite").open()


async def test_a_journal_that_is_not_open_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="async with"):
        await SqliteStore(tmp_path / "j.sqlite").draw("a", None)
