"""The page is read back the way a browser would: as HTML, with the pictures decoded."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from PIL import Image

from piktid_async.cli import pictures
from piktid_async.cli.page import After, Page, Pair, write_page
from tests.cli.support import decoded, draw_garment, read


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    before = draw_garment(tmp_path / "before.jpg", color="#c04030", size=(640, 800))
    after = draw_garment(tmp_path / "after.png", color="#2c5a3c", size=(640, 800))
    return Pair("front.jpg", before, [After("After", after)])


def test_a_page_holds_every_picture_and_loads_nothing(pair: Pair, tmp_path: Path) -> None:
    page = Page(title="forest green", facts=["1 photo", "today"], pairs=[pair, pair])
    written = write_page(page, tmp_path / "page.html")
    found = read(written)
    assert [image["alt"] for image in found.images] == [
        "front.jpg, before",
        "front.jpg, after",
        "front.jpg, before",
        "front.jpg, after",
    ]
    assert {decoded(image).size for image in found.images} == {(640, 800)}
    assert "forest green" in found.text
    assert "1 photo" in found.text
    assert list(tmp_path.glob(".*")) == []


def test_large_pictures_go_in_reduced(tmp_path: Path) -> None:
    big = draw_garment(tmp_path / "big.jpg", size=(3000, 2000))
    page = Page(title="red", facts=[], pairs=[Pair("big.jpg", big, [])])
    (image,) = read(write_page(page, tmp_path / "page.html")).images
    assert decoded(image).size == (1200, 800)


def test_without_pillow_pictures_go_in_as_they_are(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures.importlib.util, "find_spec", lambda name: None)
    page = Page(title="red", facts=[], pairs=[pair], reference=pair.before)
    swatch, before, after = read(write_page(page, tmp_path / "page.html")).images
    assert decoded(before).format == "JPEG"
    assert decoded(after).format == "PNG"
    assert decoded(swatch).size == (640, 800)
    assert base64.b64encode(pair.before.read_bytes()).decode() in (before["src"] or "")


def test_the_new_colour_is_taken_from_the_pictures(pair: Pair) -> None:
    assert pair.afters[0].path is not None
    shift = pictures.color_shift(pair.before, pair.afters[0].path)
    assert shift is not None
    old, new = (tuple(bytes.fromhex(code[1:])) for code in (shift.old, shift.new))
    assert max(abs(x - y) for x, y in zip(old, (0xC0, 0x40, 0x30), strict=True)) < 12
    assert max(abs(x - y) for x, y in zip(new, (0x2C, 0x5A, 0x3C), strict=True)) < 12
    assert pictures.color_shift(pair.before, pair.before) is None


def test_a_damaged_picture_does_not_cost_the_page(pair: Pair, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pair.before.read_bytes()[:500])
    page = Page(title="red", facts=[], pairs=[Pair("broken.jpg", broken, pair.afters)])
    assert len(read(write_page(page, tmp_path / "page.html")).images) == 2


def test_a_failed_picture_shows_its_reason_and_foreign_text_stays_text(
    pair: Pair, tmp_path: Path
) -> None:
    evil = '<script>alert("x")</script> & "quotes" $title'
    page = Page(
        title=evil, facts=[evil], pairs=[Pair(evil, pair.before, [After(evil, error=evil)])]
    )
    found = read(write_page(page, tmp_path / "page.html"))
    assert found.text.count(evil) == 6  # <title>, h1, fact, reason, label, caption
    assert len(found.images) == 1
    assert found.images[0]["alt"] == f"{evil}, before"


def test_transparent_pictures_get_a_white_ground(tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(clear)
    page = Page(title="red", facts=[], pairs=[Pair("clear.png", clear, [])])
    (image,) = read(write_page(page, tmp_path / "page.html")).images
    assert decoded(image).convert("RGB").getpixel((20, 20)) == (255, 255, 255)
