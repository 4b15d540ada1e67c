"""Ctrl-C and a polite kill at every stage: what goes on is named, and no file is half there."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from piktid_async.sandbox import Faults, Sandbox, SandboxLimits
from tests.cli.support import TO_GREEN, Command, Stage, draw_garment

RESULTS = re.compile(r"piktid (results \S+ --out \S+)")


def halves(folder: Path) -> list[Path]:
    """List the files that are not whole, or not yet in their place."""
    return [path for path in folder.rglob("*") if path.is_file() and ".piktid-" in path.name]


async def test_while_uploading_nothing_was_paid(reach: Any, photos: list[Path], tmp_path: Path):
    faults = Faults(upload_stall=3, stall_seconds=60)
    async with Sandbox(render=False, limits=False, faults=faults) as sandbox:
        args = ("recolor", photos[0].parent, *TO_GREEN, "--out", tmp_path / "out")
        held = lambda: faults.counts["upload_stall"] == 3  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=held) as stage:
            ended = await stage.stop(signal.SIGINT)
        assert sandbox.books.jobs_created == 0
    assert ended.code == 130
    assert ended.err.endswith("Stopped; no job of this run goes on at the server.\n")
    assert halves(tmp_path) == []


async def test_a_second_ctrl_c_waits_for_nothing(reach: Any, photos: list[Path], tmp_path: Path):
    faults = Faults(upload_stall=3, stall_seconds=60)
    async with Sandbox(render=False, limits=False, faults=faults) as sandbox:
        args = ("recolor", photos[0].parent, *TO_GREEN, "--out", tmp_path / "out")
        held = lambda: faults.counts["upload_stall"] == 3  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=held) as stage:
            ended = await stage.stop(signal.SIGINT, impatiently=True)
    assert ended.code == 130
    assert ended.err.endswith("Stopped; no job of this run goes on at the server.\n")
    assert halves(tmp_path) == []


async def test_while_a_job_waits_for_its_turn_it_is_not_called_doubtful(reach: Any, tmp_path: Path):
    for number in range(11):
        draw_garment(tmp_path / "many" / f"{number}.jpg", size=(64, 64))
    limits = SandboxLimits(active_jobs=1)
    async with Sandbox(render=False, seconds_per_image=60, limits=limits) as sandbox:
        args = ("recolor", tmp_path / "many", *TO_GREEN, "--out", tmp_path / "out")
        refused = lambda: sandbox.books.api_requests.get("POST /garment-recolor", 0) == 2  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=refused) as stage:
            await until_refused(stage)
            ended = await stage.stop(signal.SIGINT)
        (job_id,) = sandbox.books.jobs
    assert ended.code == 130
    told = ended.err[ended.err.index("Stopped; ") :]
    assert told.startswith(f"Stopped; job {job_id} goes on at the server and will be paid. To have")
    assert told.count("piktid results") == 1
    assert "no id" not in told


async def test_a_job_whose_answer_had_not_come_is_looked_for(
    reach: Any, photos: list[Path], tmp_path: Path
):
    faults = Faults(submit_delay=60)
    async with Sandbox(render=False, seconds_per_image=60, limits=False, faults=faults) as sandbox:
        args = ("recolor", photos[0], *TO_GREEN, "--out", tmp_path / "out")
        made = lambda: sandbox.books.jobs_created == 1  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=made) as stage:
            ended = await stage.stop(signal.SIGINT)
        (job_id,) = sandbox.books.jobs
    assert ended.code == 130, ended.text
    told = ended.err.splitlines()
    assert told[-2:] == [
        f"Stopped; job {job_id} goes on at the server and will be paid. To have the pictures:",
        f"piktid results {job_id} --out {shlex.quote(str(tmp_path / 'out'))}",
    ]
    assert told[:-2] == ["uploaded 1/1: look-1.jpg"]


@pytest.mark.parametrize("impatiently", [False, True])
async def test_a_job_that_is_not_found_in_time_is_told_with_where_it_would_be(
    impatiently: bool, reach: Any, photos: list[Path], tmp_path: Path
):
    faults = Faults(
        submit_delay=60,
        stall_before=1000,
        stall_seconds=60,
        on={"stall_before": "GET /gallery/*"},
    )
    async with Sandbox(render=False, seconds_per_image=60, limits=False, faults=faults) as sandbox:
        args = ("recolor", photos[0], *TO_GREEN, "--out", tmp_path / "out")
        made = lambda: sandbox.books.jobs_created == 1  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=made) as stage:
            ended = await stage.stop(signal.SIGINT, impatiently=impatiently)
    assert ended.code == 130, ended.text
    told = ended.err.splitlines()
    assert told[-1] == (
        "Stopped; a job of 1 picture whose answer had not come yet may go on at the server and "
        'may be paid. What has no id yet would be in project "piktid-cli": the gallery of the web '
        "app shows it."
    )
    assert told[:-1] == ["uploaded 1/1: look-1.jpg"]
    assert impatiently or faults.counts["stall_before"] == 1


async def until_refused(stage: Stage) -> None:
    """Wait until the first job is known; the other one has been refused or waits behind it."""
    assert stage.process.stderr is not None
    async with asyncio.timeout(30):
        while b"ordered" not in await stage.process.stderr.readline():
            pass


@pytest.mark.parametrize(
    ("sent", "code", "impatiently"),
    [(signal.SIGINT, 130, False), (signal.SIGINT, 130, True), (signal.SIGTERM, 143, False)],
)
async def test_while_jobs_run_they_are_named_and_can_be_picked_up(
    sent: signal.Signals,
    code: int,
    impatiently: bool,
    reach: Any,
    piktid: Command,
    photos: list[Path],
    tmp_path: Path,
):
    async with Sandbox(image_scale=0.05, seconds_per_image=2, limits=False) as sandbox:
        out = tmp_path / "out of order"
        args = ("recolor", photos[0], *TO_GREEN, "--out", out)
        async with reach(*args, sandbox=sandbox, reached=b"ordered") as stage:
            ended = await stage.stop(sent, impatiently=impatiently)
        (job_id,) = sandbox.books.jobs
        assert ended.code == code, ended.text
        assert sandbox.books.active_jobs == 1
        goes_on = f"Stopped; job {job_id} goes on at the server and will be paid. To have the "
        assert ended.err.splitlines()[-2:] == [
            f"{goes_on}pictures:",
            f"piktid results {job_id} --out {shlex.quote(str(out))}",
        ]
        assert not out.exists() or list(out.iterdir()) == []
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        fetched = await piktid("results", job_id, "--out", out, **env)
    assert fetched.code == 0, fetched.text
    assert fetched.out.splitlines() == [str(out / "0_0_v0.jpg")]
    assert [path.name for path in out.iterdir()] == ["0_0_v0.jpg"]


async def test_while_downloading_no_half_of_a_file_is_left(
    reach: Any, piktid: Command, photos: list[Path], tmp_path: Path
):
    faults = Faults(slow_body=1, slow_seconds=60, on={"slow_body": "GET storage"})
    async with Sandbox(
        image_scale=0.05, seconds_per_image=0, limits=False, faults=faults
    ) as sandbox:
        out = tmp_path / "out"
        args = ("recolor", photos[0].parent, *TO_GREEN, "--out", out)
        slow = lambda: faults.counts["slow_body"] == 1  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=slow) as stage:
            ended = await stage.stop(signal.SIGINT)
        assert ended.code == 130, ended.text
        assert halves(tmp_path) == []
        told = ended.err[ended.err.index("Stopped; ") :]
        assert told.startswith("Stopped; no job of this run goes on at the server. To have the ")
        command = RESULTS.search(told)
        assert command is not None, told
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        fetched = await piktid(*shlex.split(command[1]), **env)
    assert fetched.code == 0, fetched.text
    assert len(list(out.iterdir())) == 3


async def test_its_own_sandbox_ends_with_it(reach: Any, photos: list[Path], tmp_path: Path):
    args = ("recolor", photos[0].parent, *TO_GREEN, "--out", tmp_path / "out", "--sandbox")
    async with reach(*args, reached=b"ordered") as stage:
        ended = await stage.stop(signal.SIGINT)
    assert ended.code == 130
    assert ended.err.endswith("Stopped; the sandbox and its jobs have ended.\n")
    assert halves(tmp_path) == []


async def test_acknowledgements_that_the_service_refuses_delay_no_end(
    reach: Any, photos: list[Path], tmp_path: Path
):
    faults = Faults(acks_fail=1000)
    async with Sandbox(render=False, seconds_per_image=60, limits=False, faults=faults) as sandbox:
        args = ("recolor", photos[0], *TO_GREEN, "--out", tmp_path / "out")
        failed = lambda: faults.counts["acks_fail"] > 0  # noqa: E731
        async with reach(*args, sandbox=sandbox, reached=failed) as stage:
            ended = await stage.stop(signal.SIGINT)
    assert ended.code == 130
    assert "goes on at the server and will be paid" in ended.err


async def test_picking_up_can_be_stopped_as_well(reach: Any, piktid: Command, tmp_path: Path):
    draw_garment(tmp_path / "one.jpg")
    async with Sandbox(render=False, seconds_per_image=60, limits=False) as sandbox:
        out = tmp_path / "out"
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        args = ("recolor", tmp_path / "one.jpg", *TO_GREEN, "--out", out, "--timeout", 0.2)
        await piktid(*args, **env)
        (job_id,) = sandbox.books.jobs
        late = await piktid("results", job_id, "--out", out, "--timeout", 0.2, **env)
        waiting = f"job {job_id}: waiting for its pictures"
        assert (late.code, late.err.splitlines()) == (
            1,
            [waiting, f"job {job_id} was not finished after 0.2 s; it goes on at the server."],
        )
        asked = lambda: sandbox.books.api_requests["GET /jobs/{job_id}/status"] > before  # noqa: E731
        before = sandbox.books.api_requests["GET /jobs/{job_id}/status"]
        async with reach("results", job_id, "--out", out, sandbox=sandbox, reached=asked) as stage:
            ended = await stage.stop(signal.SIGTERM)
        assert ended.code == 143
        assert ended.err.splitlines()[-1] == f"Stopped; run it again to have job {job_id}."
        unknown = await piktid("results", "no-such-job", "--out", out, "--timeout", 1, **env)
        assert unknown.code == 1
        no_kind = await piktid("results", job_id, "--out", out, "--kind", "hat", **env)
        assert no_kind.code == 2
        assert "kind: must be one of" in no_kind.err
