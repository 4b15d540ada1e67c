"""`piktid recolor` as a program, against a real sandbox, when all is well or nearly so."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from piktid_async.sandbox import Sandbox
from tests.cli.support import TO_GREEN, Command, draw_garment, is_green


async def test_pictures_come_back_recolored_with_a_page(
    piktid: Command, sandbox: Sandbox, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = await piktid(
        "recolor",
        tmp_path / "photos",
        *TO_GREEN,
        *("--out", out, "--report", out / "page.html"),
        **service,
    )
    assert ended.code == 0, ended.text
    results = sorted(out.glob("*.jpg"))
    assert [path.name for path in results] == ["0_0_v0.jpg", "1_0_v0.jpg", "2_0_v0.jpg"]
    assert all(map(is_green, results))
    lines = ended.out.splitlines()
    assert lines[:3] == [f"{photo} -> {path}" for photo, path in zip(photos, results, strict=True)]
    assert lines[3].startswith("3 of 3 pictures recolored (forest green) in ")
    assert lines[3].endswith(" s, 9 credits (9 estimated).")
    assert lines[4:] == [str(out / "page.html")]
    page = (out / "page.html").read_text()
    assert all(photo.name in page for photo in photos)
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
    args = ("--variations", 2, "--out", out, "--json", "--report", out / "page.html")
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
        "credits_estimated": 12,
        "credits_used": 12,
        "page": str(out / "page.html"),
        "error": None,
    }
    assert job["status"] == "completed"
    assert job["outputs"] == [
        {
            "source": str(photos[image]),
            "image_index": image,
            "variation": variation,
            "path": str(out / f"{image}_{variation}_v0.jpg"),
            "error": None,
            "engine": "nano_banana_2",
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
    args = ("--reference", swatch, "--size", 1024, "--out", out)
    ended = await piktid("recolor", photos[0], *args, **service)
    assert ended.code == 0, ended.text
    assert is_green(out / "0_0_v0.jpg")
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
    args = ("--out", out, "--json")
    ended = await piktid("recolor", *photos, *TO_GREEN, *args, **service)
    assert ended.code == 1, ended.text
    told = json.loads(ended.out)
    assert (told["ok"], told["exit_code"]) == (False, 1)
    outputs = told["jobs"][0]["outputs"]
    assert [bool(output["path"]) for output in outputs] == [True, False, True]
    assert "could not be read" in outputs[1]["error"]
    assert f"{photos[1].name}: " in ended.err
