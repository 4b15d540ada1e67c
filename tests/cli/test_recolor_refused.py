"""`piktid recolor` when the service, the network or the user says no."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from piktid_async.sandbox import Sandbox
from tests.cli.support import TO_GREEN, Command, environment, hear_interrupts, is_green

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
            preexec_fn=hear_interrupts,
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
