"""What stands on a terminal in the end: every line once, and nothing of any bar."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import NOWHERE, draw_garment
from tests.cli.terminal import on_terminal

PIKTID = ("-m", "piktid_async")
MANY_UPLOADS = """
import asyncio
from pathlib import Path
from rich.console import Console
from piktid_async.cli.progress import view_on

async def upload(view, free, number):
    path = Path(f"look-{number:03}-with-a-name-of-some-length.jpg")
    async with free:
        for sent in range(0, 100_001, 20_000):
            view.upload(path, sent, 100_000)
            await asyncio.sleep(0.004)  # at the pace of a network, for frames in between
        view.uploaded(path)

async def main(files=120):
    with view_on(Console(stderr=True)) as view:
        view.start_uploads(files)
        free = asyncio.Semaphore(8)
        await asyncio.gather(*(upload(view, free, number) for number in range(files)))

asyncio.run(main())
"""


@pytest.mark.parametrize(("columns", "lines"), [(80, 40), (40, 20), (40, 6), (40, 2)])
async def test_every_line_is_kept_and_no_bar_is_left(columns: int, lines: int) -> None:
    code, shown = await on_terminal("-c", MANY_UPLOADS, columns=columns, lines=lines)
    assert code == 0, "\n".join(shown)
    text = "\n".join(shown)
    assert text.count("uploaded ") == 120
    assert [f"uploaded {n}/120: look-" in text for n in range(1, 121)] == [True] * 120
    assert not [line for line in shown if "━" in line or "uploading" in line or " kB" in line]


async def test_a_command_s_own_lines_follow_those_of_its_progress(
    service: dict[str, str], tmp_path: Path
) -> None:
    for number in range(20):
        draw_garment(tmp_path / "pics" / f"look-{number:02}.jpg", size=(160, 200))
    code, shown = await on_terminal(
        *PIKTID, "upload", tmp_path / "pics", columns=200, lines=10, **service
    )
    assert code == 0, "\n".join(shown)
    assert [line.split(":")[0] for line in shown[:20]] == [f"uploaded {n}/20" for n in range(1, 21)]
    assert all(" -> " in line for line in shown[20:40])
    assert not any(shown[40:])


async def test_lines_of_standard_output_are_not_mixed_with_a_bar() -> None:
    env = {"PIKTID_API_TOKEN": "t", "PIKTID_BASE_URL": NOWHERE}
    code, shown = await on_terminal(*PIKTID, "doctor", columns=200, lines=20, **env)
    assert code == 3, "\n".join(shown)
    assert f"ok       address: {NOWHERE}, from PIKTID_BASE_URL" in shown
    assert [line for line in shown if line.startswith("failed   network: no connection")]
    assert "━" not in "".join(shown)


async def test_a_table_is_told_as_lines_where_it_would_not_fit(service: dict[str, str]) -> None:
    code, shown = await on_terminal(*PIKTID, "identities", columns=40, lines=60, **service)
    assert code == 0, "\n".join(shown)
    assert "code: default-pro-00000001" in shown
    assert sum(line.startswith("status: ") for line in shown) == 6
