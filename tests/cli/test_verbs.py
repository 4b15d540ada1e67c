"""Each job command as a program, against a real sandbox; `piktid recolor` has tests of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from piktid_async.sandbox import Sandbox
from tests.cli.support import NOWHERE, Command, Main, draw_garment

IDENTITY = ("--identity", "default-pro-00000002")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(render=False, seconds_per_image=0, limits=False) as sandbox:
        yield sandbox


async def test_a_packshot_is_made_of_all_pictures_together(
    piktid: Command, service: dict[str, str], photos: list[Path], sandbox: Sandbox, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    look = ("--style", "flat_lay", "--surface", "pale linen", "--size", "1K", "--variations", 2)
    ended = await piktid("packshot", photos[0].parent, *look, "--out", out, "--json", **service)
    assert ended.code == 0, ended.text
    (job,) = json.loads(ended.out)["jobs"]
    assert [each["path"] for each in job["outputs"]] == [
        str(out / f"0_{variation}_v0.jpg") for variation in (0, 1)
    ]
    assert {each["source"] for each in job["outputs"]} == {None}
    assert "made 2/2: picture 2" in ended.err
    (made,) = sandbox.books.jobs.values()
    assert (made.kind, made.total_images) == ("create_packshot", 2)


async def test_a_model_of_a_picture_is_dressed(
    piktid: Command, service: dict[str, str], photos: list[Path], sandbox: Sandbox, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    who = ("--identity-image", photos[2], "--size", "1K", "--pose", "walking")
    ended = await piktid("flat-to-model", *photos[:2], *who, "--out", out, **service)
    assert ended.code == 0, ended.text
    assert ended.out.splitlines()[0] == f"picture 1 -> {out / '0_0_v0.jpg'}"
    assert "ready" in ended.err
    assert [job.kind for job in sandbox.books.jobs.values()][-1] == "flat_2_model"


async def test_the_model_is_swapped_in_each_picture(
    piktid: Command, service: dict[str, str], photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = await piktid("swap", *photos, *IDENTITY, "--out", out, **service)
    assert ended.code == 0, ended.text
    assert ended.out.splitlines()[:3] == [
        f"{photo} -> {out / f'{index}_0_v0.jpg'}" for index, photo in enumerate(photos)
    ]
    assert "3 of 3 pictures swapped (to default-pro-00000002)" in ended.out


async def test_a_conversation_goes_on_where_it_ended(
    piktid: Command, service: dict[str, str], photos: list[Path], sandbox: Sandbox, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    args = ("--size", "1K", "--out", out)
    first = await piktid("play", "make it night", "--image", photos[0], *args, **service)
    assert first.code == 0, first.text
    (job_id,) = sandbox.books.jobs
    go_on = first.out.splitlines()[-1]
    assert go_on == f'To go on from it: piktid play --continue {job_id} --out {out} "..."'
    second = await piktid("play", "now snow", "--continue", job_id, *args, "--json", **service)
    assert second.code == 0, second.text
    told = json.loads(second.out)
    assert told["credits_used"] is None  # the service tells the sum of all steps
    assert [each["path"] for each in told["jobs"][0]["outputs"]] == [str(out / "1_0_v0.jpg")]
    assert list(sandbox.books.jobs) == [job_id]


BAD = {
    "no folder": (["packshot", "lost", "--style", "free"], "lost does not exist. Nothing was"),
    "no pictures": (["swap", "empty", *IDENTITY], "empty holds no .jpeg, .jpg, .png or .webp"),
    "nobody": (["swap", "photos"], "Who is to be seen? Give one of --identity CODE"),
    "no style": (["packshot", "photos"], "Error: Missing option '--style'"),
    "surface": (
        ["packshot", "photos", "--style", "free", "--surface", "sand"],
        "--surface: means something only with style 'flat_lay'",
    ),
    "no prompt": (["play"], "PROMPT: give at least one of prompt, images, identities."),
    "no conversation": (
        ["play", "more", "--continue", "job_1", "--sandbox"],
        "--continue: a sandbox of one command has no earlier job",
    ),
    "lost face": (
        ["flat-to-model", "photos", "--identity-image", "lost.jpg"],
        "--identity-image: lost.jpg does not exist. Nothing was sent.",
    ),
    "no page": (["swap", "photos", *IDENTITY, "--report", "page.pdf"], "ends in .html"),
    "too long": (["swap", "photos", *IDENTITY, "--timeout", "0"], "--timeout: must be more than"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_anything_is_sent(
    main: Main, photos: list[Path], tmp_path: Path, case: str
) -> None:
    (tmp_path / "empty").mkdir()
    args, words = BAD[case]
    code, out, err = main(*args, "--out", "out", PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    assert code == 2, err
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_eleven_pictures_of_one_product_are_too_many(main: Main, tmp_path: Path) -> None:
    for number in range(11):
        draw_garment(tmp_path / "many" / f"{number}.jpg", size=(8, 8))
    args = ("packshot", "many", "--style", "free", "--out", "out", "--json")
    code, out, _ = main(*args, PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    assert code == 2
    assert json.loads(out)["error"].startswith("PATHS: 11 pictures, and one product takes 10")


async def test_a_conversation_that_is_not_there_is_told_in_one_sentence(
    piktid: Command, service: dict[str, str], tmp_path: Path
) -> None:
    ended = await piktid("play", "more", "--continue", "nope", "--out", tmp_path / "o", **service)
    assert ended.code == 3, ended.text
    assert "picture 1" not in ended.out
    assert "404" in ended.out.splitlines()[0]
