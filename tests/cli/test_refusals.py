"""What every command says when something is missing: one sentence, what to do, the exit code."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import NOWHERE, Main, draw_garment, environment

SERVICE: dict[str, list[str]] = {
    "recolor": ["recolor", "photos", "--to", "red", "--out", "out"],
    "packshot": ["packshot", "photos", "--style", "free", "--out", "out"],
    "flat-to-model": ["flat-to-model", "photos", "--identity", "someone", "--out", "out"],
    "swap": ["swap", "photos", "--identity", "someone", "--out", "out"],
    "play": ["play", "a red coat", "--out", "out"],
    "upload": ["upload", "photos"],
    "watch": ["watch"],
    "jobs": ["jobs"],
    "results": ["results", "job_1", "--out", "out"],
    "download": ["download", "job_1", "--out", "out"],
    "zip": ["zip", "job_1", "--out", "out.zip"],
    "identities": ["identities"],
    "identities add": ["identities", "add", "photos/1.jpg"],
    "usage": ["usage"],
    "webhook register": ["webhook", "register", "https://example.com/hooks"],
}
"""Every command that asks the service."""
SENTENCE = re.compile(r"[^\n]*[.!?]\n")


@pytest.fixture(autouse=True)
def photo(tmp_path: Path) -> Path:
    return draw_garment(tmp_path / "photos" / "1.jpg", size=(16, 16))


@pytest.mark.parametrize("command", SERVICE)
def test_a_missing_token_is_named_with_where_to_get_one(main: Main, command: str) -> None:
    code, out, err = main(*SERVICE[command])
    assert (code, out) == (2, "")
    assert err.startswith("No token: PIKTID_API_TOKEN is not set. Make a token at https://")
    assert SENTENCE.fullmatch(err)
    code, out, _ = main(*SERVICE[command], "--json")
    assert json.loads(out) == {"ok": False, "exit_code": 2, "error": err.strip()}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A sandbox in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "piktid_async", "sandbox", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        document = "".join(iter(process.stdout.readline, "}\n")) + "}"
        yield json.loads(document)["PIKTID_BASE_URL"]
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("command", SERVICE)
def test_a_wrong_token_and_no_network_are_told_apart(
    main: Main, elsewhere: str, command: str
) -> None:
    for url, words in (
        (elsewhere, "check PIKTID_API_TOKEN, or make a new token at https://"),
        (NOWHERE, "check the network and PIKTID_BASE_URL, then try again."),
    ):
        env = {"PIKTID_API_TOKEN": "wrong-secret", "PIKTID_BASE_URL": url}
        code, out, err = main(*SERVICE[command], "--json", **env)
        assert code == 3, err
        assert words in out
        told = json.loads(out)
        assert (told["ok"], told["exit_code"]) == (False, 3)
        assert SENTENCE.fullmatch(f"{told['error']}\n")
        assert "wrong-secret" not in out + err


FOLDERS = {name: args for name, args in SERVICE.items() if "photos" in args}


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize("place", ["lost", "empty"])
def test_no_file_and_a_folder_without_pictures_are_named(
    main: Main, tmp_path: Path, command: str, place: str
) -> None:
    (tmp_path / "empty").mkdir()
    args = [place if each == "photos" else each for each in FOLDERS[command]]
    code, out, err = main(*args, PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    words = {"lost": "does not exist", "empty": "holds no .jpeg, .jpg, .png or .webp file"}
    assert (code, out) == (2, "")
    assert err == f"{place} {words[place]}. Nothing was sent.\n"


@pytest.mark.parametrize("args", [["identities"], ["jobs", "--json"], ["sandbox", "--json"]])
async def test_a_full_disk_behind_standard_output_is_told(
    service: dict[str, str], args: list[str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "piktid_async", *args),
            env=environment(**service),
            stdout=full,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            _, err = await process.communicate()
    said = "Cannot write to standard output (No space left on device): send it somewhere else."
    assert process.returncode == 1
    assert err.decode().splitlines()[-1] == said
    assert b"Exception ignored" not in err


async def test_who_reads_only_the_beginning_is_served(service: dict[str, str]) -> None:
    program = f"{sys.executable} -m piktid_async identities | head -1; echo ${{PIPESTATUS[0]}}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", program),
        env=environment(**service),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out.decode().splitlines()[-1] == "0"
    assert b"Traceback" not in err
    assert b"BrokenPipe" not in err
