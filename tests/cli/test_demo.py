"""`piktid demo`, from nothing to the page."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

import pytest
from PIL import Image

from piktid_async.cli.demo import show_in_browser
from piktid_async.cli.pictures import color_shift
from tests.cli.support import Command, decoded, read


async def test_the_demo_leaves_six_recolored_pictures_and_a_page(
    piktid: Command, tmp_path: Path
) -> None:
    ended = await piktid("demo", "--out", tmp_path / "demo", "--no-open")
    assert ended.code == 0, ended.text
    page = tmp_path / "demo" / "before-after.html"
    assert ended.out.splitlines()[-1] == str(page)
    photos = sorted((tmp_path / "demo" / "photos").iterdir())
    results = sorted((tmp_path / "demo").glob("*_0_v0.*"))
    assert (len(photos), len(results)) == (6, 6)
    images = read(page).images
    assert len(images) == 12
    assert min(decoded(image).width for image in images) > 400
    pairs = {
        line.split(" -> ")[0]: line.split(" -> ")[1]
        for line in ended.out.splitlines()
        if " -> " in line
    }
    assert {Path(before) for before in pairs} == set(photos)
    for before, after in pairs.items():
        shift = color_shift(Path(before), Path(after))
        assert shift is not None, f"{after} looks like {before}"
        red, green, blue = bytes.fromhex(shift.new[1:])
        assert green > red, after
        assert green > blue, after


async def test_the_demo_may_be_run_again_in_another_colour(piktid: Command, tmp_path: Path) -> None:
    for color in ("navy", "#c02020"):
        args = ("--out", tmp_path, "--count", 1, "--no-open", "--to", color)
        ended = await piktid("demo", *args)
        assert ended.code == 0, ended.text
    photo, result = map(Path, ended.out.splitlines()[0].split(" -> "))
    shift = color_shift(photo, result)
    assert shift is not None
    red, green, blue = bytes.fromhex(shift.new[1:])
    assert red > 1.5 * max(green, blue)
    with Image.open(result) as picture:
        assert max(picture.size) == 1024


@pytest.mark.parametrize(
    ("terminal", "environment", "opens"),
    [
        (True, {"DISPLAY": ":0"}, True),
        (True, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        (True, {}, False),
        (False, {"DISPLAY": ":0"}, False),
        (True, {"DISPLAY": ":0", "CI": "true"}, False),
    ],
)
def test_the_page_is_opened_only_where_somebody_sits_at_a_desktop(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    terminal: bool,
    environment: dict[str, str],
    opens: bool,
) -> None:
    opened: list[str] = []
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    show_in_browser(tmp_path / "page.html")
    assert opened == ([(tmp_path / "page.html").as_uri()] if opens else [])


async def test_a_folder_that_cannot_be_made_is_named(piktid: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = await piktid("demo", "--out", tmp_path / "file")
    assert ended.code == 2
    assert ended.err == f"--out: {tmp_path / 'file'} is a file, not a folder.\n"
