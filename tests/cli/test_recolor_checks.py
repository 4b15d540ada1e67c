"""What `piktid recolor` refuses by itself: exit code 2, one sentence, not one request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from piktid_async.sandbox import Sandbox
from tests.cli.support import TO_GREEN, Command, draw_garment, is_green

BAD: dict[str, tuple[list[Any], str]] = {
    "no target": ([], "No target colour: give --to"),
    "empty target": (["--to", "  "], "--to: must be a non-empty text"),
    "variations": (["--to", "red", "--variations", 9], "Invalid value for '--variations'"),
    "size": (["--to", "red", "--size", 512], "Invalid value for '--size'"),
    "lost file": (["--to", "red", "lost.jpg"], "lost.jpg does not exist. Nothing was sent."),
    "no image": (["--to", "red", __file__], "is not a JPEG, PNG or WebP image. Nothing was sent."),
    "lost swatch": (["--reference", "swatch.png"], "--reference: swatch.png does not exist"),
    "project": (["--to", "red", "--project", " "], "--project: the name is empty."),
    "timeout": (["--to", "red", "--timeout", 0], "--timeout: must be more than 0 seconds."),
    "out is a file": (["--to", "red", "--out", __file__], "is a file, not a folder."),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_before_anything_is_sent(
    piktid: Command,
    sandbox: Sandbox,
    service: dict[str, str],
    photos: list[Path],
    tmp_path: Path,
    case: str,
) -> None:
    args, words = BAD[case]
    ended = await piktid("recolor", photos[0], "--out", tmp_path / "out", *args, **service)
    assert ended.code == 2, ended.text
    assert words in ended.err
    assert "Traceback" not in ended.text
    assert ended.out == ""
    assert not (tmp_path / "out").exists()
    assert dict(sandbox.books.api_requests) == {}


async def test_results_of_an_older_run_are_never_replaced_unasked(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    draw_garment(out / "0_0_v0.jpg")
    args = ("recolor", photos[0], *TO_GREEN, "--out", out)
    ended = await piktid(*args, **service)
    assert ended.code == 2
    assert ended.err == (
        f"--out: {out} already holds results, such as {out / '0_0_v0.jpg'}: "
        "name another folder, or add --overwrite.\n"
    )
    assert dict(sandbox.books.api_requests) == {}
    assert not is_green(out / "0_0_v0.jpg")
    ended = await piktid(*args, "--overwrite", **service)
    assert ended.code == 0, ended.text
    assert is_green(out / "0_0_v0.jpg")


@pytest.mark.parametrize("token", [None, "", " "])
async def test_without_a_token_the_variable_is_named_and_the_sandbox_offered(
    piktid: Command, photos: list[Path], tmp_path: Path, token: str | None
) -> None:
    args = ("recolor", photos[0], *TO_GREEN, "--out", tmp_path / "out")
    ended = await piktid(*args, PIKTID_API_TOKEN=token)
    assert ended.code == 2
    assert ended.err.startswith("No token: PIKTID_API_TOKEN is not set.")
    assert "--sandbox" in ended.err
    ended = await piktid(*args, "--json", PIKTID_API_TOKEN=token)
    assert json.loads(ended.out)["exit_code"] == 2
