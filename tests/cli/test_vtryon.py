"""`piktid vtryon recolor` as a program, against a real sandbox."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from piktid_async.sandbox import Faults, Sandbox
from piktid_async.vtryon import VtryonSession
from tests.cli.support import Command, environment
from tests.transport.servers import free_port

BLUE = ("--pose", 936, "--change", "blouse=royal blue")


def known_as_service(sandbox: Sandbox) -> dict[str, str]:
    return {"VTRYON_API_KEY": sandbox.vtryon_key, "VTRYON_BASE_URL": sandbox.vtryon_url}


def quick(**options: Any) -> Sandbox:
    return Sandbox(**{"render": False, "vtryon_seconds": 0.0} | options)


async def test_the_sandbox_needs_no_key_and_leaves_a_recolored_picture(
    piktid: Command, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "look.jpg"
    args = ("--change", "lehenga=#1f6b3a", "--out", out, "--sandbox")
    ended = await piktid("vtryon", "recolor", *BLUE, *args)
    assert ended.code == 0, ended.text
    first, second = ended.out.splitlines()
    assert first == f"task 501 -> {out}"
    assert second.startswith("Recolored (blouse: royal blue, lehenga: #1f6b3a) in ")
    assert "task 501: recolor ordered" in ended.err
    with Image.open(out) as picture:
        assert max(picture.size) == 2048
        pixels = [
            picture.getpixel((round(x * picture.width), picture.height // 2)) for x in (0.25, 0.75)
        ]
    assert [max(range(3), key=pixel.__getitem__) for pixel in pixels] == [2, 1]  # type: ignore[union-attr]


async def test_json_tells_where_the_picture_is_and_nothing_else_is_printed(
    piktid: Command, tmp_path: Path
) -> None:
    out = tmp_path / "look.jpg"
    async with quick() as sandbox:
        args = (*BLUE, "--quality", "4k", "--model", 411, "--out", out, "--json")
        ended = await piktid("vtryon", "recolor", *args, **known_as_service(sandbox))
        assert sandbox.books.vtryon.tasks == {501: "completed"}
    assert ended.code == 0, ended.text
    told = json.loads(ended.out)
    assert told.pop("seconds") > 0
    assert told == {
        "ok": True,
        "exit_code": 0,
        "target": "blouse: royal blue",
        "service": "127.0.0.1",
        "task_id": 501,
        "path": str(out),
    }
    assert out.stat().st_size > 0
    assert sandbox.vtryon_key not in ended.text


BAD: dict[str, tuple[list[Any], str]] = {
    "no base": (["--change", "blouse=red"], "No base image: give --pose, --model or both."),
    "no change": (["--pose", 936], "Missing option '--change'"),
    "no colour": ([*BLUE, "--change", "blouse"], "--change: write GARMENT=COLOUR, such as"),
    "no garment": ([*BLUE, "--change", "=red"], "--change: write GARMENT=COLOUR, such as"),
    "pose": (["--pose", 0, "--change", "a=b"], "--pose: must be the number of a Vtryon task"),
    "quality": ([*BLUE, "--quality", "8k"], "Invalid value for '--quality'"),
    "timeout": ([*BLUE, "--timeout", 0], "--timeout: must be more than 0 seconds."),
    "folder": ([*BLUE, "--out", "."], "--out: . is a folder, not a file."),
    "below a file": ([*BLUE, "--out", f"{__file__}/look.jpg"], "is a file, not a folder."),
    "existing": ([*BLUE, "--out", __file__], "exists: name another file, or add --overwrite."),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_before_anything_is_sent(
    piktid: Command, tmp_path: Path, case: str
) -> None:
    args, words = BAD[case]
    async with quick() as sandbox:
        out = tmp_path / "look.jpg"
        given = ("--out", out, *args)
        ended = await piktid("vtryon", "recolor", *given, **known_as_service(sandbox))
        assert dict(sandbox.books.vtryon.requests) == {}
    assert ended.code == 2, ended.text
    assert words in ended.err
    assert "Traceback" not in ended.text
    assert ended.out == ""
    assert not out.exists()


async def test_an_older_file_is_replaced_when_asked(piktid: Command, tmp_path: Path) -> None:
    out = tmp_path / "look.jpg"
    out.write_text("old")
    async with quick() as sandbox:
        args = (*BLUE, "--out", out, "--overwrite")
        ended = await piktid("vtryon", "recolor", *args, **known_as_service(sandbox))
    assert ended.code == 0, ended.text
    assert out.read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("missing", "words"),
    [("VTRYON_API_KEY", "No key: VTRYON_API_KEY"), ("VTRYON_BASE_URL", "No host: VTRYON_BASE_URL")],
)
async def test_a_missing_variable_is_named_and_the_sandbox_offered(
    piktid: Command, tmp_path: Path, missing: str, words: str
) -> None:
    env = {"VTRYON_API_KEY": "k", "VTRYON_BASE_URL": "https://host.invalid"} | {missing: " "}
    ended = await piktid("vtryon", "recolor", *BLUE, "--out", tmp_path / "look.jpg", **env)
    assert ended.code == 2
    assert ended.err.startswith(words)
    assert "--sandbox" in ended.err


REFUSED: dict[str, tuple[dict[str, str], tuple[Any, ...], str]] = {
    "key": ({"VTRYON_API_KEY": "wrong-secret"}, BLUE, "check VTRYON_API_KEY"),
    "pose": ({}, ("--pose", 1, "--change", "blouse=red"), "check --pose and --model"),
    "host": (
        {"VTRYON_BASE_URL": f"http://127.0.0.1:{free_port()}"},
        BLUE,
        "check the network and VTRYON_BASE_URL",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_the_service_or_the_network_refuses_is_told_with_a_way_on(
    piktid: Command, tmp_path: Path, case: str
) -> None:
    env, args, words = REFUSED[case]
    async with quick() as sandbox:
        ended = await piktid(
            *("vtryon", "recolor", *args, "--out", tmp_path / "look.jpg"),
            **known_as_service(sandbox) | env,
        )
    assert ended.code == 3, ended.text
    assert words in ended.err
    assert "wrong-secret" not in ended.text
    assert list(tmp_path.iterdir()) == []


INCOMPLETE: dict[str, tuple[dict[str, Any], tuple[Any, ...], str]] = {
    "failed": ({}, ("--change", "hat=red"), "task 501: failed: We couldn't find the hat"),
    "late": (
        {"vtryon_seconds": 60},
        ("--timeout", 0.3),
        "task 501 was not finished after 0.3 s; task 501 goes on at the server.",
    ),
    "lost": ({"faults": Faults(vtryon_create_lost=1)}, (), "The recolor got no answer"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
async def test_what_may_have_been_paid_ends_with_one_and_is_never_sent_twice(
    piktid: Command, tmp_path: Path, case: str
) -> None:
    options, args, words = INCOMPLETE[case]
    async with quick(**options) as sandbox:
        given = (*BLUE, *args, "--out", tmp_path / "look.jpg", "--json")
        ended = await piktid("vtryon", "recolor", *given, **known_as_service(sandbox))
        assert len(sandbox.books.vtryon.tasks) == 1
    assert ended.code == 1, ended.text
    told = json.loads(ended.out)
    assert (told["ok"], told["exit_code"]) == (False, 1)
    assert words in told["error"]
    assert list(tmp_path.iterdir()) == []


async def test_ctrl_c_names_the_task_that_goes_on(tmp_path: Path) -> None:
    async with quick(vtryon_seconds=60) as sandbox:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "piktid_async", "vtryon", "recolor"),
            *map(str, BLUE),
            *("--out", tmp_path / "look.jpg"),
            env=environment(**known_as_service(sandbox)),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b"ordered" not in (line := await process.stderr.readline()):
                assert line, "the command ended early"
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    assert process.returncode == 130
    assert err.decode() == "Stopped; task 501 goes on at the server.\n"


async def test_a_running_sandbox_prints_the_lines_that_lead_to_it() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "piktid_async", "sandbox"),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        lines = [(await process.stdout.readline()).decode().strip() for _ in range(6)]
        exported = dict(line.removeprefix("export ").split("=", 1) for line in lines[2:])
        async with VtryonSession(
            exported["VTRYON_API_KEY"], base_url=exported["VTRYON_BASE_URL"]
        ) as session:
            assert [task async for task in session.tasks()] == []
        process.terminate()
        assert await process.wait() == 0
