"""What is asked of the account, as programs against a real sandbox."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from piktid_async import GarmentRecolor, Session
from piktid_async.sandbox import Sandbox
from tests.cli.support import NOWHERE, Command, Main


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(render=False, seconds_per_image=0, limits=False) as sandbox:
        yield sandbox


@pytest.fixture
async def jobs(sandbox: Sandbox, photos: list[Path]) -> list[str]:
    """Two jobs that have ended: of two pictures, and of one."""
    async with Session(sandbox.token, base_url=sandbox.url) as session:
        project = await session.projects.ensure("spring")
        images = await session.upload_many(photos[:2])
        ids = []
        for chosen in (images, images[:1]):
            job = await session.submit(
                GarmentRecolor(project=project, images=chosen, reference_text="navy")
            )
            await job
            ids.append(job.id)
    return ids


def told(ended: Any) -> dict[str, Any]:
    assert ended.code == 0, ended.text
    document: dict[str, Any] = json.loads(ended.out)
    assert document["ok"]
    assert "http" not in ended.out
    return document


async def test_uploads_are_told_by_their_ids(
    piktid: Command, service: dict[str, str], photos: list[Path]
) -> None:
    files = told(await piktid("upload", photos[0].parent, "--json", **service))["files"]
    assert [file["path"] for file in files] == [str(photo) for photo in photos]
    assert len({file["file_id"] for file in files}) == 3
    assert {file["content_type"] for file in files} == {"image/jpeg"}


async def test_an_upload_that_fails_is_told_beside_those_that_arrived(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], photos: list[Path]
) -> None:
    sandbox.faults.storage_errors = 1000
    ended = await piktid("upload", photos[0], **service)
    assert ended.code == 3
    assert ended.out.startswith(f"{photos[0]}: ")


async def test_jobs_are_listed_and_their_pictures_fetched(
    piktid: Command, service: dict[str, str], jobs: list[str], tmp_path: Path
) -> None:
    listed = told(await piktid("jobs", "--project", "spring", "--json", **service))["jobs"]
    assert {job["job_id"] for job in listed} == set(jobs)
    table = await piktid("jobs", "--limit", 1, **service)
    assert (table.code, table.out.count("garment_recolor")) == (0, 1)
    assert table.err == "1 job; --limit shows more.\n"
    ended = await piktid("jobs", "--project", "autumn", **service)
    assert (ended.code, ended.err) == (3, "--project autumn: the account has no such project.\n")

    out = tmp_path / "out"
    found = told(await piktid("download", "--project", "spring", "--out", out, "--json", **service))
    assert {job["job_id"]: len(job["files"]) for job in found["jobs"]} == {jobs[0]: 2, jobs[1]: 1}
    assert {str(path.relative_to(out)) for path in out.glob("*/*")} == {
        f"{jobs[0]}/0_0_v0.jpg",
        f"{jobs[0]}/1_0_v0.jpg",
        f"{jobs[1]}/0_0_v0.jpg",
    }


async def test_jobs_become_one_zip(
    piktid: Command, service: dict[str, str], jobs: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "all.zip"
    found = told(await piktid("zip", *jobs, "--out", out, "--json", **service))
    assert (found["path"], found["bytes"]) == (str(out), out.stat().st_size)
    with zipfile.ZipFile(out) as archive:
        assert len(archive.namelist()) == 3
    again = await piktid("zip", jobs[0], "--out", out, **service)
    assert (again.code, again.err) == (
        2,
        f"--out: {out} exists: name another file, or add --overwrite.\n",
    )


async def test_results_find_out_the_kind_and_go_into_a_folder_of_the_job(
    piktid: Command, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    args = ("swap", photos[0], "--identity", "default-pro-00000001", "--out", tmp_path / "first")
    done = await piktid(*args, "--json", **service)
    job_id = told(done)["jobs"][0]["job_id"]
    out = tmp_path / "again"
    found = told(await piktid("results", job_id, "--out", out, "--json", **service))
    assert found["jobs"][0]["files"] == [str(out / "0_0_v0.jpg")]


async def test_what_runs_is_not_waited_for_by_download(
    piktid: Command, photos: list[Path], tmp_path: Path
) -> None:
    async with Sandbox(render=False, seconds_per_image=60, limits=False) as sandbox:
        async with Session(sandbox.token, base_url=sandbox.url) as session:
            image = await session.upload(photos[0])
            project = await session.projects.ensure("spring")
            request = GarmentRecolor(project=project, images=[image], reference_text="navy")
            job_id = (await session.submit(request)).id
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        ended = await piktid("download", job_id, "no-such-job", "--out", tmp_path / "o", **env)
    assert ended.code == 1
    running, unknown = ended.out.splitlines()
    assert running.startswith(f"job {job_id} is p")  # pending, or processing
    assert running.endswith(f"`piktid results {job_id}` waits for it.")
    assert "404" in unknown or "unknown" in unknown


async def test_people_are_listed_and_added(
    piktid: Command, service: dict[str, str], photos: list[Path]
) -> None:
    added = await piktid("identities", "add", photos[0], "--name", "Zoe", **service)
    assert added.code == 0, added.text
    listed = told(await piktid("identities", "--search", "Zoe", "--json", **service))["identities"]
    assert [(each["identity_code"], each["name"]) for each in listed] == [
        (added.out.strip(), "Zoe")
    ]
    table = await piktid("identities", **service)
    assert "default-pro-00000001" in table.out
    assert table.err == "7 identities.\n"


async def test_usage_is_summed_up(
    piktid: Command, service: dict[str, str], jobs: list[str]
) -> None:
    found = told(await piktid("usage", "--by", "month", "--json", **service))
    assert found["total_credits"] == 15
    assert [(each["job_type"], each["job_count"]) for each in found["summary"]] == [
        ("garment_recolor", 2)
    ]
    table = await piktid("usage", **service)
    assert table.out.splitlines()[-1].split() == ["all", "15"]


async def test_a_job_that_has_no_pictures_stops_none_that_has(
    piktid: Command, service: dict[str, str], jobs: list[str], photos: list[Path], tmp_path: Path
) -> None:
    await piktid("identities", "add", photos[0], "--name", "Zoe", **service)
    listed = told(await piktid("jobs", "--kind", "identity_preprocessing", "--json", **service))
    prepares = listed["jobs"][0]["job_id"]
    sentence = f"job {prepares} prepares an identity and has no pictures."
    alone = await piktid("results", prepares, "--out", tmp_path / "r", **service)
    assert (alone.code, alone.err) == (1, f"{sentence}\n")
    out = tmp_path / "out"
    ended = await piktid("download", prepares, jobs[1], "--out", out, **service)
    assert (ended.code, ended.out.splitlines()) == (
        1,
        [sentence, str(out / jobs[1] / "0_0_v0.jpg")],
    )
    archive = tmp_path / "all.zip"
    ended = await piktid("zip", prepares, jobs[1], "--out", archive, **service)
    assert (ended.code, ended.out.splitlines()) == (1, [str(archive), sentence])
    assert zipfile.ZipFile(archive).namelist()


@pytest.mark.parametrize("args", [["results", "job_1"], ["download", "job_1"], ["zip", "job_1"]])
def test_a_file_in_the_place_of_the_folder_is_refused_first(
    main: Main, tmp_path: Path, args: list[str]
) -> None:
    (tmp_path / "afile").touch()
    out = "afile/all.zip" if args[0] == "zip" else "afile"
    code, _, err = main(*args, "--out", out, PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    assert (code, err) == (2, "--out: afile is a file, not a folder.\n")


def test_days_in_the_wrong_order_are_refused(main: Main) -> None:
    args = ("usage", "--since", "2026-02-01", "--until", "2026-01-01")
    code, _, err = main(*args, PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    assert (code, err) == (2, "--since: 2026-02-01 is later than --until 2026-01-01.\n")
