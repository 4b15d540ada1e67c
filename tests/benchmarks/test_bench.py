"""Every area of the benchmark runs, on little input, and what it says is written down."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks.areas.program import BATCH, OF_BEST, OURS
from benchmarks.bench import AREAS
from benchmarks.case import figures
from benchmarks.harness import ROOT
from benchmarks.servers.nginx import PROGRAM
from tests.benchmarks.programs import Ended, run_module
from tests.neighbours.conftest import needs

MEASURED_AGAINST_NGINX = {"downloads", "memory", "uploads"}
NGINX = (
    pytest.mark.nginx,
    needs("nginx", PROGRAM is not None, "nginx is not installed (Debian: apt-get install nginx)"),
)


@pytest.mark.parametrize(
    "area",
    [pytest.param(area, marks=NGINX if area in MEASURED_AGAINST_NGINX else ()) for area in AREAS],
)
async def test_an_area_runs_and_is_written_down(area: str, tmp_path: Path) -> None:
    ended = await run_module("benchmarks.bench", area, "--tiny", f"--out={tmp_path}")
    assert ended.code == 0, ended.told
    page = (tmp_path / "RESULTS.md").read_text()
    assert "failed" not in page
    for figure in figures(area):
        assert f"### {figure.title}" in page
        assert (tmp_path / "plots" / f"{area}-{figure.key}.svg").stat().st_size > 1000
        for row in figure.rows(full=False):
            assert f"\n| {row.name} | " in page
        assert {bar.case for bar in figure.bars} <= {row.name for row in figure.rows(full=True)}


@pytest.mark.parametrize("case", [OURS, BATCH])
async def test_nobody_beats_the_schedule_and_we_are_never_refused(case: str) -> None:
    ended = await run_module("benchmarks.case", "program", "limits", case, "--tiny")
    assert ended.code == 0, ended.told
    notes = json.loads(ended.out)["notes"]
    assert notes["429s"] == 0
    assert notes[OF_BEST] >= 1


async def test_an_area_that_is_not_there_is_refused() -> None:
    ended = await run_module("benchmarks.bench", "swimming")
    assert ended.code == 2
    assert f"there is no area swimming; there are {', '.join(AREAS)}" in ended.err


async def test_the_package_alone_is_enough_to_read_the_areas() -> None:
    """Baselines are imported inside their cases, so that no case pays for another."""
    program = (
        "import sys; from benchmarks.bench import AREAS; from benchmarks.case import figures\n"
        "before = set(sys.modules)\n"
        "[figures(area) for area in AREAS]\n"
        "peers = {'httpx', 'requests', 'pycurl', 'ld_eventsource', 'aiohttp', 'piktid_async'}\n"
        "print(sorted(peers & (set(sys.modules) - before)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert Ended(process.returncode, out.decode(), err.decode()) == Ended(0, "[]\n", "")


def test_every_figure_of_the_readme_stands_in_the_results() -> None:
    section = (ROOT / "README.md").read_text().partition("## Speed")[2].partition("\n## ")[0]
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    told = re.findall(r"\| ([\d.]+)(?:x| times| MB)", section)
    assert len(told) == section.count("\n| ") - 1
    assert [figure for figure in told if f"| {figure}x [" not in results] == ["1.03", "14.4"]
    assert "| 1.03 [" in results
    assert "| 14.4 [" in results
