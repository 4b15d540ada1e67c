"""The report is read back the way a browser would: as HTML, with the pictures decoded."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import attrs
import pytest
from PIL import Image

from piktid_async.cli import pictures
from piktid_async.cli.errors import Trouble
from piktid_async.cli.report_page import Entry, Made, ReportPage, check_report, write_report
from tests.cli.support import Reader, decoded, draw_garment, read

EVIL = '<script>alert("x")</script> & "quotes" $title'


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    before = draw_garment(tmp_path / "before.jpg", color="#c04030", size=(640, 800))
    after = draw_garment(tmp_path / "after.png", color="#2c5a3c", size=(640, 800))
    return Entry(
        name="front.jpg",
        state="ok",
        inputs=[before],
        outputs=[Made(path=after, engine="nano_banana_2")],
        job_id="job_1",
        credits=5.0,
        began=1000.0,
        ended=1004.5,
    )


def written(tmp_path: Path, *entries: Entry, **more: object) -> Reader:
    page = attrs.evolve(ReportPage(title="Forest green", entries=entries), **more)
    return read(write_report(page, tmp_path / "page.html"))


def test_a_page_holds_every_picture_and_loads_nothing(entry: Entry, tmp_path: Path) -> None:
    found = written(tmp_path, entry, entry, facts=["1 photo", "today"], seconds=62.0)
    assert [image["alt"] for image in found.images] == [
        "front.jpg, before",
        "front.jpg, after",
    ] * 2
    assert {decoded(image).size for image in found.images} == {(640, 800)}
    for words in ("Forest green", "today", "job_1", "nano_banana_2", "4.5 s", "1 min 2 s"):
        assert words in found.text
    assert list(tmp_path.glob(".*")) == []


def test_only_what_is_in_the_page_may_run(entry: Entry, tmp_path: Path) -> None:
    written(tmp_path, entry, colors=True)
    html = (tmp_path / "page.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    assert "default-src 'none'; img-src data:;" in policy[1]
    assert "unsafe" not in policy[1]
    for name in ("style", "script"):
        (text,) = re.findall(rf"<{name}>(.*?)</{name}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy[1]
    assert " style=" not in html


def test_many_pictures_are_small(entry: Entry, tmp_path: Path) -> None:
    big = draw_garment(tmp_path / "big.jpg", size=(3000, 2000))
    shown = attrs.evolve(entry, inputs=[big], outputs=[])
    sizes = []
    for many in (1, 61, 301):
        first = written(tmp_path, *[shown] * many).images[0]
        sizes.append(decoded(first).size)
    assert sizes == [(1200, 800), (640, 427), (288, 192)]


def test_the_new_colour_is_taken_from_the_pictures(entry: Entry) -> None:
    after = entry.outputs[0].path
    assert after is not None
    shift = pictures.color_shift(entry.inputs[0], after)
    assert shift is not None
    old, new = (tuple(bytes.fromhex(code[1:])) for code in (shift.old, shift.new))
    assert max(abs(x - y) for x, y in zip(old, (0xC0, 0x40, 0x30), strict=True)) < 12
    assert max(abs(x - y) for x, y in zip(new, (0x2C, 0x5A, 0x3C), strict=True)) < 12
    assert pictures.color_shift(entry.inputs[0], entry.inputs[0]) is None


def test_a_picture_that_is_damaged_or_gone_does_not_cost_the_page(
    entry: Entry, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(entry.inputs[0].read_bytes()[:500])
    gone = Made(path=tmp_path / "gone.jpg")
    found = written(tmp_path, attrs.evolve(entry, inputs=[broken], outputs=[gone]), entry)
    assert len(found.images) == 2
    assert "broken.jpg is not there any more, or no picture" in found.text
    assert "gone.jpg is not there any more" in found.text


def test_foreign_text_stays_text_and_failures_show_their_reasons(
    entry: Entry, tmp_path: Path
) -> None:
    made = Made(label=EVIL, error=EVIL, engine=EVIL)
    evil = attrs.evolve(entry, name=EVIL, state="failed", outputs=[made], job_id=EVIL, error=EVIL)
    found = written(tmp_path, evil, title=EVIL, facts=[EVIL], stopped=EVIL)
    # <title>, h1, fact, engine of the page, stopped, timeline, name, reason and label of the
    # output, reason, engine, job
    assert found.text.count(EVIL) == 12
    assert found.images[0]["alt"] == f"{EVIL}, before"


def test_no_signed_query_and_no_control_character_gets_into_a_page(
    entry: Entry, tmp_path: Path
) -> None:
    reason = "https://storage/x.jpg?X-Amz-Signature=abc failed\x1b[31m\u202e\udcff"
    found = written(tmp_path, attrs.evolve(entry, state="failed", error=reason))
    assert "https://storage/x.jpg?*** failed [31m" in found.text
    assert "X-Amz-Signature" not in (tmp_path / "page.html").read_text()


def test_states_are_counted_and_credits_summed(entry: Entry, tmp_path: Path) -> None:
    doubt = attrs.evolve(entry, state="in_doubt", credits=None, outputs=[], began=None)
    failed = attrs.evolve(entry, state="failed", credits=2.5)
    found = written(tmp_path, entry, entry, doubt, failed)
    for words in ("All 4", "OK 2", "Failed 1", "In doubt 1"):
        assert words in found.text
    assert "Credits12.5" in found.text
    assert "Not finished" not in found.text


def test_transparent_pictures_get_a_white_ground(tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(clear)
    (image,) = written(tmp_path, Entry(name="clear.png", state="failed", inputs=[clear])).images
    assert decoded(image).convert("RGB").getpixel((20, 20)) == (255, 255, 255)


def test_an_older_page_is_replaced_and_a_failure_leaves_it(entry: Entry, tmp_path: Path) -> None:
    written(tmp_path, entry)
    before = (tmp_path / "page.html").read_bytes()
    (tmp_path / ".page.html.part").mkdir()
    with pytest.raises(OSError, match=r"\.page\.html\.part"):
        written(tmp_path, entry, entry)
    assert (tmp_path / "page.html").read_bytes() == before
    (tmp_path / ".page.html.part").rmdir()
    written(tmp_path, entry, entry)
    assert (tmp_path / "page.html").read_bytes() != before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("photo.jpg", "ends in .html"),
        ("folder.html", "is not a file"),
        ("file.html/page.html", "is a file, not a folder"),
    ],
)
def test_a_report_that_cannot_be_is_refused_at_once(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file.html").touch()
    with pytest.raises(Trouble, match=rf"--report: .*{words}"):
        check_report(tmp_path / name)


def test_a_report_may_go_into_a_folder_that_is_yet_to_be_made(entry: Entry, tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "page.html"
    check_report(path)
    assert write_report(ReportPage(title="x", entries=[entry]), path).is_file()
