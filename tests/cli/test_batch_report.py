"""`piktid batch run --report`: the page of everything that the journal knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from piktid_async.batch.ledger import Row
from piktid_async.batch.peek import read_all
from piktid_async.sandbox import Sandbox
from tests.cli.support import Command, draw_garment, read

COLORS = ("#c04030", "#3040c0", "#30a050", "#a0a030")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(render=False, seconds_per_image=0.01, limits=False) as running:
        yield running


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    for number, color in enumerate(COLORS, 1):
        draw_garment(tmp_path / f"{number}.jpg", color=color, size=(64, 80))
    path = tmp_path / "list.csv"
    path.write_text(
        'key,images\n"one, <b>",1.jpg\ntwo,2.jpg;3.jpg\nthree,4.jpg\n"two",1.jpg\nnone,\n'
    )
    return path


async def test_a_report_tells_of_all_products_also_when_they_were_done_before(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], listed: Path, tmp_path: Path
) -> None:
    report = tmp_path / "reports" / "run.html"
    args = ("batch", "run", listed, "--to", "navy", "--no-limits")
    files = ("--journal", tmp_path / "run.sqlite", "--out", tmp_path / "out")
    sandbox.faults.images_fail = 1
    first = await piktid(*args, *files, "--report", report, **service)
    assert first.code == 1, first.text
    assert first.out.splitlines()[-1] == str(report)
    then = read(report)
    jobs = sandbox.books.jobs_created
    again = await piktid(*args, *files, "--report", report, **service)
    assert sandbox.books.jobs_created == jobs == 3
    now = read(report)
    for page in (then, now):
        assert len(page.images) == 4 + 3  # one output has failed
        assert "one, <b>" in page.text
        assert "nano_banana_2" in page.text
        assert "Credits15" in page.text
        assert "The image could not be generated" in page.text
        assert "is the key of" in page.text  # the second `two`
        assert "All 5" in page.text
        assert "Failed 3" in page.text
        assert all(row.job_id and row.job_id in page.text for row in recorded(tmp_path))
        assert "3 products in " in page.text  # the timeline
    assert "done in earlier runs" not in then.text
    assert "2 done in earlier runs" in now.text
    assert sandbox.token not in again.text


async def test_a_run_that_is_cut_short_reports_what_is_unfinished(
    piktid: Command, service: dict[str, str], listed: Path, tmp_path: Path
) -> None:
    report = tmp_path / "run.html"
    args = ("batch", "run", listed, "--to", "navy", "--no-limits", "--max-credits", "6")
    files = ("--journal", tmp_path / "run.sqlite", "--out", tmp_path / "out")
    ended = await piktid(*args, *files, "--report", report, **service)
    assert ended.code == 1, ended.text
    found = read(report)
    assert "raise --max-credits for the rest" in found.text
    assert "Not finished" in found.text


async def test_a_name_that_is_no_page_is_refused_before_anything_is_sent(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], listed: Path, tmp_path: Path
) -> None:
    files = ("--journal", tmp_path / "run.sqlite", "--out", tmp_path / "out")
    ended = await piktid(
        *("batch", "run", listed, "--to", "navy", *files),
        *("--report", tmp_path / "1.jpg"),
        **service,
    )
    assert ended.code == 2
    assert "--report: " in ended.err
    assert not sandbox.books.api_requests


def recorded(folder: Path) -> list[Row]:
    return [row for row in read_all(folder / "run.sqlite").rows if row.kind]
