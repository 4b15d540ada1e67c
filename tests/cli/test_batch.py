"""`piktid batch` and `piktid estimate` as programs, against a real sandbox."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from piktid_async import GarmentRecolor
from piktid_async.batch.peek import peek
from piktid_async.cli.batch_app import Kind
from piktid_async.cli.wishes import KINDS, read_wish
from piktid_async.cli.words import span
from piktid_async.errors import ConfigurationError, InvalidRequestError
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.cli.support import Command, draw_garment, environment, is_green

SMALL = ("--set", "processing_size=1024")
GREEN = ("--to", "forest green", *SMALL)
PAID = ("POST /upload", "POST /garment-recolor", "GET /jobs/{job_id}/results")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Start a sandbox that draws nothing: what is made of a picture is no matter here."""
    async with Sandbox(render=False, seconds_per_image=0.01, limits=False) as running:
        yield running


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Three products of two pictures each, no two alike."""
    for product in ("tops/a", "tops/b", "c"):
        for number in (1, 2):
            path = tmp_path / "catalogue" / product / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PLAIN_JPEG + f"{product}{number}".encode())
    return tmp_path / "catalogue"


@pytest.fixture
def files(tmp_path: Path) -> tuple[object, ...]:
    """Where the journal and the results go."""
    return ("--journal", tmp_path / "run.sqlite", "--out", tmp_path / "out", "--no-limits")


def env_of(sandbox: Sandbox) -> dict[str, str]:
    return {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}


async def test_a_csv_becomes_pictures_and_bad_rows_are_named_with_their_lines(
    piktid: Command, files: Any, tmp_path: Path
) -> None:
    for number in (1, 2):
        draw_garment(tmp_path / f"photos/{number}.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "list.csv").write_text(
        "key,images,colour\n"
        "coat,photos/1.jpg;photos/2.jpg,forest green\n"
        "short row\n"
        "gone,photos/9.jpg,navy\n"
        "coat,photos/1.jpg,navy\n"
        "text,text.jpg,navy\n"
        "plain,photos/2.jpg,\n"
    )
    args = ("batch", "run", tmp_path / "list.csv", "--to", "{colour}", *SMALL, *files)
    async with Sandbox(image_scale=0.05, seconds_per_image=0, limits=False) as sandbox:
        ended = await piktid(*args, "--max-credits", 100, **env_of(sandbox))
        assert sandbox.books.jobs_created == 1
    assert ended.code == 1, ended.text
    out = tmp_path / "out"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg")) == [
        "coat/0_0_v0.jpg",
        "coat/1_0_v0.jpg",
    ]
    assert is_green(out / "coat" / "0_0_v0.jpg")
    named = {line.split(": ")[0]: line for line in ended.out.splitlines()}
    assert "has other cells than the header" in named["short row (list.csv:3)"]
    assert "photos/9.jpg: cannot be read" in named["gone (list.csv:4)"]
    assert "list.csv:2" in named["coat (list.csv:5)"]
    assert "is no picture that is known" in named["text (list.csv:6)"]
    assert "reference_text: must be a non-empty text" in named["plain (list.csv:7)"]
    assert f"1 of 6 products are done, 5 failed; the pictures are in {out}." in ended.out
    assert "2 rows of the list cannot be products, and are not in the journal." in ended.out
    assert "2 pictures, 6 credits (6 estimated) over all runs; " in ended.out
    assert "done 6/6: coat, 2 pictures\n" in ended.err
    assert ended.err.count("failed ") == 5


async def test_a_second_run_costs_nothing_and_tells_the_same(
    piktid: Command, sandbox: Sandbox, service: Any, files: Any, catalogue: Path, tmp_path: Path
) -> None:
    args = ("batch", "run", catalogue, *GREEN, *files, "--json")
    first = await piktid(*args, **service)
    assert first.code == 0, first.text
    asked = {call: sandbox.books.api_requests[call] for call in PAID}
    assert asked["POST /garment-recolor"] == 3
    second = await piktid(*args, **service)
    assert second.code == 0, second.text
    assert {call: sandbox.books.api_requests[call] for call in PAID} == asked
    told = json.loads(first.out)
    assert told.pop("seconds") > 0
    assert told == {
        "ok": True,
        "exit_code": 0,
        "error": None,
        "journal": str(tmp_path / "run.sqlite"),
        "directory": str(tmp_path / "out"),
        "service": "127.0.0.1",
        "products": 3,
        "done": 3,
        "done_earlier": 0,
        "elsewhere": 0,
        "incomplete": 0,
        "failed": 0,
        "unlisted": 0,
        "in_doubt": 0,
        "unfinished": 0,
        "outputs": 6,
        "outputs_failed": 0,
        "credits_estimated": 18.0,
        "credits_used": 18.0,
        "states": {"done": 3},
        "page": None,
        "not_done": [],
    }
    again = json.loads(second.out)
    again.pop("seconds")
    assert again == {**told, "done_earlier": 3}
    assert second.err == ""
    assert len(list((tmp_path / "out").glob("*/*.jpg"))) == 6
    shutil.rmtree(tmp_path / "out" / "c")
    third = await piktid(*args[:-1], **service)
    assert "Not there any more, or in another --out: the pictures of 1 product." in third.out


async def test_ctrl_c_prints_the_command_that_goes_on_and_it_does(
    reach: Any, piktid: Command, files: Any, catalogue: Path
) -> None:
    faults = Faults(submit_delay=60.0)
    async with Sandbox(render=False, limits=False, seconds_per_image=0, faults=faults) as sandbox:
        args = ("batch", "run", catalogue, *GREEN, *files)
        made = lambda: sandbox.books.jobs_created == 3  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=made) as stage:
            looked = await piktid("batch", "status", files[1], "--json")
            assert json.loads(looked.out)["states"] == {"intent": 3}
            ended = await stage.stop(signal.SIGINT)
        assert ended.code == 130, ended.text
        told = ended.err.splitlines()[-1]
        assert told.startswith(
            "Stopped; 0 of 3 products are done. 3 submissions may have made a job; "
        )
        sandbox.faults.submit_delay = 0.0
        doubts = await piktid("batch", "doubts", files[1])
        assert doubts.out.count("the wait for the answer was broken off") == 3
        command = shlex.split(told.partition("To go on: ")[2])
        assert command == ["piktid", *map(str, args)]
        again = await piktid(*command[1:], **env_of(sandbox))
        assert again.code == 0, again.text
        assert sandbox.books.jobs_created == 3
        assert sandbox.books.api_requests["POST /upload"] == 6


async def test_a_kill_while_jobs_run_leaves_them_to_the_next_run(
    reach: Any, piktid: Command, files: Any, catalogue: Path
) -> None:
    async with Sandbox(render=False, limits=False, seconds_per_image=2) as sandbox:
        args = ("batch", "run", catalogue, *GREEN, *files)

        def at_the_service() -> bool:
            try:
                return peek(files[1]).summary.states == {"submitted": 3}
            except ConfigurationError:
                return False  # there is no journal yet

        async with reach(*args, sandbox=sandbox, reached=at_the_service) as stage:
            ended = await stage.stop(signal.SIGTERM)
        assert ended.code == 143, ended.text
        assert "3 jobs go on at the server and will be paid. To go on: piktid batch" in ended.err
        again = await piktid(*args, **env_of(sandbox))
        assert again.code == 0, again.text
        assert sandbox.books.jobs_created == 3


async def lost(piktid: Command, sandbox: Sandbox, files: Any, catalogue: Path) -> str:
    """Run a batch of which one answer is lost for good; return its product's key."""
    args = ("batch", "run", catalogue, *GREEN, *files, "--project", "shared")
    ended = await piktid(*args, "--json", **env_of(sandbox))
    assert ended.code == 1, ended.text
    told = json.loads(ended.out)
    assert (told["done"], told["in_doubt"]) == (2, 1)
    (doubt,) = told["not_done"]
    assert doubt["state"] == "in_doubt"
    return str(doubt["key"])


@pytest.fixture
async def losing() -> AsyncIterator[Sandbox]:
    """Start a sandbox that takes a job and never says so, and has no gallery to look for it."""
    faults = Faults(submit_lost=1, garbled_body=99, on={"garbled_body": "GET /gallery/by-job"})
    async with Sandbox(render=False, limits=False, seconds_per_image=0, faults=faults) as sandbox:
        yield sandbox


async def test_doubts_are_listed_with_what_can_be_done(
    piktid: Command, losing: Sandbox, files: Any, catalogue: Path
) -> None:
    key = await lost(piktid, losing, files, catalogue)
    journal = files[1]
    listed = await piktid("batch", "doubts", journal)
    assert listed.out.startswith(f"{key} (")
    assert "in project shared." in listed.out
    assert f"piktid batch settle {journal} KEY --job ID" in listed.out
    assert "in doubt: there may be a job" in (await piktid("batch", "status", journal)).out
    shown = json.loads((await piktid("batch", "doubts", journal, "--json")).out)
    assert [(each["key"], each["kind"]) for each in shown["in_doubt"]] == [(key, "garment_recolor")]
    known = json.loads((await piktid("batch", "status", journal, "--json")).out)
    assert known["states"] == {"done": 2, "in_doubt": 1}
    assert known["credits_bound"] == 18


@pytest.mark.parametrize("how", ["--job", "--resubmit", "--give-up"])
async def test_a_doubt_is_settled_by_what_the_user_knows(
    piktid: Command, losing: Sandbox, files: Any, catalogue: Path, how: str
) -> None:
    key = await lost(piktid, losing, files, catalogue)
    with closing(sqlite3.connect(files[1])) as db:
        known = {job_id for (job_id,) in db.execute("SELECT job_id FROM jobs")}
    (job_id,) = losing.books.jobs.keys() - known
    choice = (how, job_id) if how == "--job" else (how,)
    settled = await piktid("batch", "settle", files[1], key, *choice, "--json")
    assert settled.code == 0, settled.text
    assert json.loads(settled.out)["key"] == key
    args = ("batch", "run", catalogue, *GREEN, *files, "--project", "shared")
    ended = await piktid(*args, **env_of(losing))
    assert ended.code == (1 if how == "--give-up" else 0), ended.text
    assert ("given up by the user" in ended.out) == (how == "--give-up")
    assert losing.books.jobs_created == (4 if how == "--resubmit" else 3)
    over = await piktid("batch", "settle", files[1], key, "--give-up")
    assert over.code == 2
    assert "it cannot become failed" in over.err
    told = await piktid("batch", "settle", files[1], key, "--give-up", "--json")
    assert "it cannot become failed" in json.loads(told.out)["error"]


async def test_a_dry_run_tells_counts_credits_and_time_and_sends_nothing(
    piktid: Command, sandbox: Sandbox, service: Any, tmp_path: Path
) -> None:
    rows = [json.dumps({"key": f"k{number}", "images": f"{number}.jpg"}) for number in range(12)]
    (tmp_path / "list.jsonl").write_text("\n".join([*rows, "no json", '{"key": "x"}']))
    for number in range(11):
        (tmp_path / f"{number}.jpg").write_bytes(PLAIN_JPEG)
    files = ("--journal", tmp_path / "run.sqlite", "--out", tmp_path / "out")
    args = ("batch", "run", tmp_path / "list.jsonl", *GREEN, *files, "--dry-run")
    ended = await piktid(*args, PIKTID_BASE_URL=sandbox.url)
    assert ended.code == 1, ended.text
    lines = ended.out.splitlines()
    assert "11.jpg: cannot be read" in lines[0]
    assert lines[1].startswith("a product without a key (list.jsonl:13): is no JSON")
    assert lines[2] == "x (list.jsonl:14): images must be paths."
    assert lines[3:] == [
        "14 products: 11 to submit, 3 cannot be submitted.",
        "11 pictures, 33 credits.",
        "The limits make the submissions take 2 min or more.",
        "Nothing was sent.",
    ]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jpg"] * 11 + [".jsonl"]
    estimate = await piktid(
        "estimate", tmp_path / "list.jsonl", *GREEN, PIKTID_BASE_URL=sandbox.url
    )
    assert estimate.out == ended.out
    tight = await piktid(*args, "--max-credits", 30, "--json", PIKTID_BASE_URL=sandbox.url)
    assert json.loads(tight.out)["ok"] is False
    assert sum(sandbox.books.api_requests.values()) == 0


async def test_a_dry_run_knows_what_the_journal_knows(
    piktid: Command, sandbox: Sandbox, service: Any, files: Any, catalogue: Path
) -> None:
    args = ("batch", "run", catalogue, *GREEN, *files)
    assert (await piktid(*args, "--max-credits", 12, **service)).code == 1
    ended = await piktid(*args, "--dry-run", "--max-credits", 12, **service)
    assert ended.code == 1
    assert ended.out.splitlines() == [
        "3 products: 1 to submit, 2 have ended.",
        "2 pictures, 6 credits.",
        "That is more than --max-credits 12 leaves, with 12 spent.",
        "Nothing was sent.",
    ]


async def test_the_budget_ends_the_run_and_more_of_it_goes_on(
    piktid: Command, sandbox: Sandbox, service: Any, files: Any, catalogue: Path
) -> None:
    args = ("batch", "run", catalogue, *GREEN, *files)
    ended = await piktid(*args, "--max-credits", 12, **service)
    assert ended.code == 1, ended.text
    assert "2 of 3 products are done" in ended.out
    assert "raise --max-credits for the rest." in ended.out
    assert f"To go on: piktid batch run {catalogue}" in ended.out
    assert sandbox.books.jobs_created == 2
    assert (await piktid(*args, "--max-credits", 18, **service)).code == 0
    assert sandbox.books.jobs_created == 3


async def test_a_refused_token_and_a_dead_network_are_exit_3(
    piktid: Command, sandbox: Sandbox, files: Any, catalogue: Path
) -> None:
    args = ("batch", "run", catalogue, *GREEN, *files)
    refused = await piktid(*args, PIKTID_API_TOKEN="wrong-token", PIKTID_BASE_URL=sandbox.url)
    assert refused.code == 3
    assert "check PIKTID_API_TOKEN" in refused.err
    await sandbox.kill()
    dead = await piktid(*args, "--json", **env_of(sandbox))
    assert dead.code == 3
    assert json.loads(dead.out)["error"] == dead.err.strip()
    assert "check the network" in dead.err
    await sandbox.start()
    assert (await piktid(*args, **env_of(sandbox))).code == 0


async def test_pictures_that_fail_make_their_product_incomplete(
    piktid: Command, sandbox: Sandbox, service: Any, files: Any, catalogue: Path
) -> None:
    sandbox.faults.images_fail = 1
    ended = await piktid("batch", "run", catalogue, *GREEN, *files, "--json", **service)
    assert ended.code == 1, ended.text
    told = json.loads(ended.out)
    assert (told["done"], told["incomplete"], told["failed"]) == (3, 1, 0)
    assert (told["outputs"], told["outputs_failed"]) == (5, 1)
    assert told["not_done"][0]["error"].startswith("1 of 2 pictures failed: ")
    again = await piktid("batch", "run", catalogue, *GREEN, *files, **service)
    assert again.code == 1, again.text
    words = "3 of 3 products are done (2 in earlier runs), 1 of them without some of their pictures"
    assert words in again.out
    standing = json.loads((await piktid("batch", "status", files[1], "--json")).out)
    assert (standing["states"], standing["outputs_failed"]) == ({"done": 3}, 1)


async def test_a_sandbox_of_its_own_goes_on_by_the_journal(
    piktid: Command, files: Any, tmp_path: Path
) -> None:
    draw_garment(tmp_path / "photos" / "a" / "1.jpg")
    args = ("batch", "run", tmp_path / "photos", *GREEN, *files, "--sandbox", "--json")
    first = await piktid(*args)
    assert first.code == 0, first.text
    assert is_green(tmp_path / "out" / "a" / "0_0_v0.jpg")
    draw_garment(tmp_path / "photos" / "b" / "1.jpg")
    second = json.loads((await piktid(*args)).out)
    assert (second["done"], second["done_earlier"], second["credits_used"]) == (2, 1, 6.0)
    other = await piktid(*args[:-2], PIKTID_API_TOKEN="t", PIKTID_BASE_URL="http://127.0.0.1:9")
    assert other.code == 2
    assert "belongs to http://127.0.0.1:" in other.err


WRONG = [
    ((), "No target colour"),
    (("--to", " "), "--to: must be a non-empty text"),
    (("--to", "red", "--set", "processing_size=1000"), "--set processing_size: must be one of"),
    (("--to", "red", "--set", "colour=red"), "--set colour: garment_recolor has no such setting"),
    (("--to", "red", "--set", "images=x"), "--set images: garment_recolor has no such setting"),
    (("--to", "red", "--set", "size"), "--set size: give KEY=VALUE"),
    (("--kind", "model_swap"), "model_swap needs --set identity=..."),
    (("--kind", "model_swap", "--to", "red"), "--to is for garment_recolor"),
    (("--kind", "create_packshot", "--set", "instructions={}"), "takes a JSON list"),
    (
        ("--kind", "create_packshot", "--set", 'instructions=[{"style": "odd"}]'),
        "--set style: must be one of",
    ),
    (("--to", "{colour}"), "{colour} names a column, but"),
    (("--to", "red", "--project", " "), "--project: the name is empty"),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
async def test_wrong_settings_are_refused_before_anything_is_sent(
    piktid: Command,
    sandbox: Sandbox,
    service: Any,
    files: Any,
    catalogue: Path,
    options: tuple[str, ...],
    sentence: str,
) -> None:
    ended = await piktid("batch", "run", catalogue, *options, *files, **service)
    assert ended.code == 2, ended.text
    assert sentence in ended.err
    assert len(ended.err.splitlines()) == 1
    assert sum(sandbox.books.api_requests.values()) == 0
    assert not Path(str(files[1])).exists()


async def test_lists_that_are_none_are_refused(
    piktid: Command, service: Any, files: Any, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("sku,images\na,b\n")
    (tmp_path / "all.csv").write_text("key,images\na\nb\n")
    (tmp_path / "list.txt").write_text("a")
    for source, sentence in (
        ("none.csv", "none.csv does not exist"),
        ("empty", "empty holds no products"),
        ("bad.csv", "bad.csv has no column 'key' in its first line"),
        ("all.csv", "all.csv:2: has other cells than the header; all.csv:3: "),
        ("list.txt", "list.txt: give a folder, or a file named .csv or .jsonl"),
    ):
        ended = await piktid("batch", "run", tmp_path / source, *GREEN, *files, **service)
        assert ended.code == 2, ended.text
        assert sentence in ended.err
        assert not (tmp_path / "run.sqlite").exists()


async def test_packshots_take_their_instructions_as_json(
    piktid: Command, sandbox: Sandbox, service: Any, files: Any, catalogue: Path
) -> None:
    shutil.rmtree(catalogue / "tops")
    wish = 'instructions=[{"style": "white_cutout", "options": {"size": "1K"}}]'
    args = ("batch", "run", catalogue, "--kind", "create_packshot", "--set", wish, *files)
    ended = await piktid(*args, "--json", **service)
    assert ended.code == 0, ended.text
    told = json.loads(ended.out)
    assert (told["outputs"], told["credits_estimated"]) == (1, 3.0)


async def test_a_journal_that_is_none_is_said_so_and_not_made(
    piktid: Command, tmp_path: Path
) -> None:
    (tmp_path / "text.sqlite").write_text("no journal" * 100)
    for command in (("status",), ("doubts",), ("settle",)):
        rest = ("key", "--give-up") if command == ("settle",) else ()
        missing = await piktid("batch", *command, tmp_path / "none.sqlite", *rest)
        assert (missing.code, missing.err) == (2, f"there is no journal {tmp_path}/none.sqlite.\n")
        other = await piktid("batch", *command, tmp_path / "text.sqlite", *rest)
        assert other.code == 2
        assert "is no journal of a batch" in other.err
    assert [path.name for path in tmp_path.iterdir()] == ["text.sqlite"]
    both = await piktid(
        "batch", "settle", tmp_path / "text.sqlite", "k", "--job", "j", "--resubmit"
    )
    assert (both.code, both.err) == (2, "Give one of --job ID, --resubmit and --give-up.\n")


async def test_a_journal_in_use_names_the_program_that_uses_it(
    reach: Any, piktid: Command, files: Any, catalogue: Path
) -> None:
    async with Sandbox(render=False, limits=False, seconds_per_image=60) as sandbox:
        args = ("batch", "run", catalogue, *GREEN, *files)
        made = lambda: sandbox.books.jobs_created == 3  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=made) as stage:
            second = await piktid(*args, **env_of(sandbox))
            assert second.code == 2
            assert f"(process {stage.process.pid})" in second.err
            await stage.stop(signal.SIGINT)


async def test_a_disk_that_takes_no_more_is_told_in_one_sentence(
    piktid: Command, sandbox: Sandbox, service: Any, files: Any, catalogue: Path
) -> None:
    args = ("batch", "run", catalogue, *GREEN, *files)
    limited = 'ulimit -f "$1"; shift; exec "$@"'  # no file may grow beyond so many blocks
    for blocks in (120, 200):
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", limited, "sh", str(blocks), sys.executable, "-m", "piktid_async"),
            *map(str, args),
            env=environment(**service),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
        assert process.returncode == 1, told
        sentence = f"the journal {files[1]}: the disk "
        assert sentence in told.decode()
        assert f"To go on: piktid {shlex.join(map(str, args))}" in told.decode()
        assert b"Traceback" not in told
    again = await piktid(*args, **service)
    assert again.code == 0, again.text
    assert sandbox.books.jobs_created == 3


async def test_what_fails_is_told_once_where_all_goes_to_one_place(
    sandbox: Sandbox, service: Any, files: Any, catalogue: Path
) -> None:
    (catalogue / "c" / "2.jpg").write_text("no picture")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "piktid_async", "batch", "run", str(catalogue), *GREEN),
        *map(str, files),
        env=environment(**service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 1, told
    assert told.count(b"is no picture that is known") == 1
    assert b"2 of 3 products are done, 1 failed; " in told


async def test_help_names_the_commands(piktid: Command) -> None:
    ended = await piktid("batch", "--help")
    assert ended.code == 0
    for word in ("run", "status", "settle", "doubts", "130 Ctrl-C"):
        assert word in ended.out
    assert "batch" in (await piktid("--help")).out


def test_a_column_fills_settings_of_every_type() -> None:
    wish = read_wish("garment_recolor", "{colour}", ["num_variations={n}", "post_process=false"])
    kind, settings = wish.template({"colour": "123", "n": "2", "key": "k"})
    assert kind is GarmentRecolor
    assert settings == {"reference_text": "123", "num_variations": 2, "post_process": False}
    with pytest.raises(InvalidRequestError, match="colour: there is no such column"):
        wish.template({"n": "2"})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.2 s"), (59, "59 s"), (125, "2 min 5 s"), (7200, "2 h"), (200_000, "2 days 7 h")],
)
def test_times_are_told_in_two_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_every_kind_of_job_can_be_asked_for() -> None:
    assert {kind.value for kind in Kind} == KINDS.keys()
