"""`piktid worker` and `piktid batch … --database` as programs, on a real PostgreSQL."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from piktid_async import AccountLimits
from piktid_async.cli.batch_queue import limits_of
from piktid_async.cli.errors import Trouble
from piktid_async.cli.places import in_database, place_of
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.rendering import PLAIN_JPEG

GREEN = ("--to", "forest green", "--set", "processing_size=1024")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Start a sandbox that draws nothing: what is made of a picture is no matter here."""
    async with Sandbox(
        render=False, seconds_per_image=0.01, limits=False, faults=Faults()
    ) as running:
        yield running


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Three products."""
    for product in "abc":
        path = tmp_path / "catalogue" / product / "1.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PLAIN_JPEG + product.encode())
    return tmp_path / "catalogue"


async def test_a_list_is_made_by_a_worker_and_doubts_are_settled(
    sandbox, catalogue, database, tmp_path, piktid, reach
):
    where = ("--name", uuid.uuid4().hex[:12])
    env = {
        "PIKTID_API_TOKEN": sandbox.token,
        "PIKTID_BASE_URL": sandbox.url,
        "PIKTID_DATABASE": database,
    }
    sandbox.faults.submit_status = [500]
    run = ("batch", "run", catalogue, *where, "--out", tmp_path / "out", *GREEN)
    async with reach(
        *("worker", "--database", database, *where), reached=b"working on", sandbox=sandbox
    ) as worker:
        ended = await piktid(*run, **env)
        assert ended.code == 1
        assert "3 products put into the queue" in ended.err
        assert "2 of 3 products are done" in ended.out
        assert "in doubt" in ended.out
        told = json.loads((await piktid("batch", "doubts", *where, "--json", **env)).out)
        (doubt,) = told["in_doubt"]
        settled = await piktid("batch", "settle", doubt["key"], "--resubmit", *where, **env)
        assert (settled.code, "is submitted again" in settled.out) == (0, True)
        again = await piktid(*run, "--json", **env)
        assert again.code == 0
        assert json.loads(again.out)["states"] == {"saved": 3}
        status = json.loads((await piktid("batch", "status", *where, "--json", **env)).out)
        assert len(status["workers"]) == 1
        assert (status["products"], status["credits_used"]) == (3, 9.0)
        stopped = await worker.stop(signal.SIGTERM)
    assert stopped.code == 143
    assert "what was in hand is finished" in stopped.err
    shown = await piktid("batch", "status", *where, **env)
    assert "workers alive" in shown.out
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 3
    assert sandbox.books.jobs_created == 3
    assert all("password" not in each.text for each in (ended, settled, again, stopped, shown))


async def test_what_cannot_be_meant_is_told_before_anything_is_done(piktid, catalogue, tmp_path):
    out = ("--out", tmp_path / "out")
    url = ("--database", "postgresql://127.0.0.1:1/shop")
    for arguments, words in [
        (("worker",), "PIKTID_DATABASE"),
        (("worker", "--database", "mysql://x"), "postgresql://"),
        (("batch", "run", catalogue, *out, *GREEN), "--database URL"),
        (("batch", "run", catalogue, *out, *GREEN, *url, "--no-limits"), "piktid worker"),
        (("worker", *url, "--active-jobs", "0"), "--active-jobs"),
        (("worker", *url, "--per-minute", "none"), "--per-minute"),
        (("worker", *url, "--no-limits", "--per-minute", "9"), "not both"),
        (("batch", "status"), "Name a journal, or --database"),
        (("batch", "status", tmp_path / "no.sqlite", "--watch"), "--watch"),
        (("batch", "settle", "a", "b", "c", "--give-up"), "one journal and one key"),
    ]:
        ended = await piktid(*arguments, PIKTID_API_TOKEN="sandbox-token")
        assert ended.code == 2, arguments
        assert words in ended.err, ended.err


async def test_a_batch_that_is_not_there_is_named_without_the_password(piktid, database):
    ended = await piktid("batch", "status", "--name", "nobody", PIKTID_DATABASE=database)
    assert (ended.code, "there is no batch 'nobody'" in ended.err) == (2, True)
    url = "postgresql://me:secret-word@127.0.0.1:1/shop"
    ended = await piktid("batch", "status", PIKTID_DATABASE=url)
    assert ended.code == 3
    assert "secret-word" not in ended.text


def test_a_worker_keeps_the_limits_that_it_is_given():
    kept = limits_of(kept=True, active_jobs=20, per_minute=None)
    assert kept == AccountLimits(20)
    kept = limits_of(kept=True, active_jobs=None, per_minute=30)
    assert kept.active_jobs == AccountLimits().active_jobs
    assert kept.per_minute == dict.fromkeys(AccountLimits().per_minute, 30)
    kept = limits_of(kept=False, active_jobs=None, per_minute=None)
    assert kept == AccountLimits.unlimited()


def test_a_journal_that_is_named_counts_more_than_the_environment():
    assert place_of(Path("a.sqlite"), "postgresql://host/db", "n").argument == "a.sqlite"
    place = in_database("postgresql://me:secret-word@host/db", "the spring")
    assert place.argument == "--database URL --name 'the spring'"
    assert "secret-word" not in repr(place)
    with pytest.raises(Trouble, match="--name"):
        in_database("postgresql://host/db", " ")
