"""`piktid recolor` as a program, against a real sandbox."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from piktid_async.sandbox import Sandbox
from tests.cli.support import Command, decoded, draw_garment, environment, read

TO_GREEN = ("--to", "forest green", "--size", 1024)


@pytest.fixture
def service(sandbox: Sandbox) -> dict[str, str]:
    """Make the sandbox the service that the command line knows."""
    return {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}


def is_green(path: Path) -> bool:
    """Whether the middle of the garment is green now; it was red."""
    with Image.open(path) as picture:
        width, height = picture.size
        pixel = picture.convert("RGB").getpixel((width // 2 - 6, round(height * 0.55)))
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    return green > red and green > blue


async def test_pictures_come_back_recolored_with_a_page(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = await piktid(
        "recolor", tmp_path / "photos", *TO_GREEN, "--out", out, "--page", **service
    )
    assert ended.code == 0, ended.text
    results = sorted(out.glob("*.jpg"))
    assert [path.name for path in results] == ["0_0_v0.jpg", "1_0_v0.jpg", "2_0_v0.jpg"]
    assert all(map(is_green, results))
    lines = ended.out.splitlines()
    assert lines[:3] == [f"{photo} -> {path}" for photo, path in zip(photos, results, strict=True)]
    assert lines[3].startswith("3 of 3 pictures recolored (forest green) in ")
    assert lines[4:] == [str(out / "before-after.html")]
    page = read(out / "before-after.html")
    assert [image["alt"] for image in page.images] == [
        f"{photo.name}, {state}" for photo in photos for state in ("before", "after")
    ]
    assert all(decoded(image).width for image in page.images)
    for photo in photos:
        assert ended.err.count(f": {photo.name}\n") == 2  # once uploaded, once recolored
    assert "\x1b" not in ended.text
    assert sandbox.token not in ended.text
    assert "X-Amz" not in ended.text
    assert sandbox.books.notifications_outstanding == ()


async def test_json_tells_where_each_picture_went_and_nothing_else_is_printed(
    piktid: Command, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    args = ("--variations", 2, "--out", out, "--json", "--page")
    ended = await piktid("recolor", *photos[:2], *TO_GREEN, *args, **service)
    assert ended.code == 0, ended.text
    told = json.loads(ended.out)
    (job,) = told.pop("jobs")
    assert told.pop("seconds") > 0
    assert told == {
        "ok": True,
        "exit_code": 0,
        "target": "forest green",
        "service": "127.0.0.1",
        "project": "piktid-cli",
        "credits_used": 12,
        "page": str(out / "before-after.html"),
    }
    assert job["status"] == "completed"
    assert job["outputs"] == [
        {
            "source": str(photos[image]),
            "image_index": image,
            "variation": variation,
            "path": str(out / f"{image}_{variation}_v0.jpg"),
            "error": None,
        }
        for image in (0, 1)
        for variation in (0, 1)
    ]
    assert all(is_green(Path(output["path"])) for output in job["outputs"])


async def test_more_than_ten_pictures_become_several_jobs(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], tmp_path: Path
) -> None:
    for number in range(12):
        draw_garment(tmp_path / "many" / f"{number}.jpg", size=(160, 200))
    out = tmp_path / "out"
    ended = await piktid("recolor", tmp_path / "many", *TO_GREEN, "--out", out, **service)
    assert ended.code == 0, ended.text
    assert [job.total_images for job in sandbox.books.jobs.values()] == [6, 6]
    assert {str(path.relative_to(out)) for path in out.glob("*/*")} == {
        f"set-{job}/{image}_0_v0.jpg" for job in (1, 2) for image in range(6)
    }
    assert f"{tmp_path / 'many' / '7.jpg'} -> {out / 'set-2' / '1_0_v0.jpg'}" in ended.out


async def test_a_reference_swatch_is_enough_of_a_target(
    piktid: Command, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    swatch = tmp_path / "swatch.png"
    Image.new("RGB", (64, 64), "#2c5a3c").save(swatch)
    out = tmp_path / "out"
    args = ("--reference", swatch, "--size", 1024, "--out", out, "--page")
    ended = await piktid("recolor", photos[0], *args, **service)
    assert ended.code == 0, ended.text
    assert is_green(out / "0_0_v0.jpg")
    assert len(read(out / "before-after.html").images) == 3
    assert "(swatch.png)" in ended.out


async def test_sandbox_needs_no_token(piktid: Command, photos: list[Path], tmp_path: Path) -> None:
    ended = await piktid("recolor", photos[0], *TO_GREEN, "--out", tmp_path / "out", "--sandbox")
    assert ended.code == 0, ended.text
    assert is_green(tmp_path / "out" / "0_0_v0.jpg")


async def test_one_unreadable_picture_fails_alone(
    piktid: Command, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    photos[1].write_bytes(photos[1].read_bytes()[:700])  # still begins like a JPEG
    out = tmp_path / "out"
    args = ("--out", out, "--json", "--page")
    ended = await piktid("recolor", *photos, *TO_GREEN, *args, **service)
    assert ended.code == 1, ended.text
    told = json.loads(ended.out)
    assert (told["ok"], told["exit_code"]) == (False, 1)
    outputs = told["jobs"][0]["outputs"]
    assert [bool(output["path"]) for output in outputs] == [True, False, True]
    assert "could not be read" in outputs[1]["error"]
    assert f"{photos[1].name}: " in ended.err
    page = read(out / "before-after.html")
    assert len(page.images) == 5
    assert outputs[1]["error"] in page.text


# What is wrong before anything is sent: exit code 2, one sentence, not one request.

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


# What the service or the network refuses: exit code 3, its words, nothing half-done.


async def refused(piktid: Command, photo: Path, tmp_path: Path, **env: str) -> str:
    """Run a recolor that must be refused, and return what it says."""
    ended = await piktid("recolor", photo, *TO_GREEN, "--out", tmp_path / "out", **env)
    assert ended.code == 3, ended.text
    assert "Traceback" not in ended.text
    assert not (tmp_path / "out").exists()
    return ended.text


async def test_a_wrong_token_is_refused_and_not_shown(
    piktid: Command, sandbox: Sandbox, photos: list[Path], tmp_path: Path
) -> None:
    env = {"PIKTID_API_TOKEN": "wrong-secret", "PIKTID_BASE_URL": sandbox.url}
    text = await refused(piktid, photos[0], tmp_path, **env)
    assert "401" in text
    assert "check PIKTID_API_TOKEN" in text
    assert "wrong-secret" not in text


async def test_a_service_that_cannot_be_reached_is_named(
    piktid: Command, photos: list[Path], tmp_path: Path
) -> None:
    env = {"PIKTID_API_TOKEN": "t", "PIKTID_BASE_URL": "http://127.0.0.1:9"}
    text = await refused(piktid, photos[0], tmp_path, **env)
    assert "check the network and PIKTID_BASE_URL" in text


async def test_an_upload_that_never_arrives_costs_nothing(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    sandbox.faults.storage_errors = 1000
    text = await refused(piktid, photos[0], tmp_path, **service)
    assert "1 of 1 files were not uploaded" in text
    assert "nothing was paid" in text
    assert sandbox.books.jobs_created == 0


async def test_an_account_without_credits_is_told_what_it_would_cost(
    piktid: Command, photos: list[Path], tmp_path: Path
) -> None:
    async with Sandbox(credits=1, limits=False) as sandbox:
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        text = await refused(piktid, photos[0], tmp_path, **env)
    assert "402" in text
    assert "top up" in text


# What is left open: the job may go on.


async def test_a_submission_without_an_answer_is_found_and_not_repeated(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    sandbox.faults.submit_lost = 1
    args = ("recolor", photos[0], *TO_GREEN, "--out", tmp_path / "out")
    ended = await piktid(*args, **service)
    assert sandbox.books.jobs_created == 1
    assert ended.code == 0, ended.text
    assert is_green(tmp_path / "out" / "0_0_v0.jpg")


async def test_a_job_that_takes_too_long_goes_on_and_is_named(
    piktid: Command, photos: list[Path], tmp_path: Path
) -> None:
    async with Sandbox(seconds_per_image=60, limits=False) as sandbox:
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        args = ("--out", tmp_path / "out", "--timeout", 0.5, "--json")
        ended = await piktid("recolor", photos[0], *TO_GREEN, *args, **env)
        (job_id,) = sandbox.books.jobs
    assert ended.code == 1, ended.text
    (job,) = json.loads(ended.out)["jobs"]
    assert job["error"] == (f"job {job_id} was not finished after 0.5 s; it goes on at the server.")


async def test_ctrl_c_names_the_jobs_that_go_on(photos: list[Path], tmp_path: Path) -> None:
    async with Sandbox(seconds_per_image=60, limits=False) as sandbox:
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "piktid_async", "recolor", photos[0]),
            *map(str, TO_GREEN),
            *("--out", tmp_path / "out"),
            env=environment(**env),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b"ordered" not in (line := await process.stderr.readline()):
                assert line, "the command ended early"
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
        (job_id,) = sandbox.books.jobs
        assert sandbox.books.active_jobs == 1
    assert process.returncode == 130
    assert err.decode().startswith(f"Stopped; job {job_id} goes on at the server and will be paid.")
    assert b"Traceback" not in err
