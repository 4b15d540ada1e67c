"""Packshots, measured."""

from __future__ import annotations

import numpy as np
import pytest

from tests.sandbox.measuring import (
    DRESS,
    PACKSHOT,
    TSHIRT,
    difference,
    photo,
    pictures,
    pixels,
    redness,
    rim,
    shots,
)


@pytest.fixture
async def caller(start):
    """A sandbox whose 2K pictures are 512 pixels wide or high."""
    return await start(render=True, image_scale=0.25)


async def test_the_styles_of_packshots_can_be_told_apart(caller):
    white, lay, ghost, scene = await shots(
        caller,
        *(
            {"style": style, "options": {"format": "png", "ar": "1:1"}}
            for style in ("white_cutout", "flat_lay", "ghost_mannequin", "marketing_ready")
        ),
    )
    assert (rim(white) == 255).all()
    assert not (rim(lay) == 255).all()
    studio = rim(ghost)
    assert 200 < studio.mean() < 255
    assert studio.std() < 12
    # A set has things in it and light from one side.
    assert rim(scene).std() > 1.5 * studio.std()
    for picture in (white, lay, ghost, scene):
        assert redness(picture) > 0.1
    everyone = (white, lay, ghost, scene)
    for index, one in enumerate(everyone):
        for other in everyone[index + 1 :]:
            assert difference(one, other) > 5


async def test_a_ghost_mannequin_is_hollow_at_the_neck_and_round(caller):
    flat, ghost = await shots(
        caller,
        {"style": "free", "background": "white", "shadow": "none", "options": {"ar": "1:1"}},
        {"style": "ghost_mannequin", "shadow": "none", "options": {"ar": "1:1"}},
    )

    def darkest_at_the_neck(picture):
        height, width = pixels(picture).shape[:2]
        return pixels(picture)[: height // 3, int(0.46 * width) : int(0.54 * width)].min()

    assert darkest_at_the_neck(ghost) < darkest_at_the_neck(flat) - 15

    def side_to_middle(picture):
        """Of the lightness of the cloth in the lower half: near its edge to in its middle."""
        row = pixels(picture)[int(0.65 * picture.height)]
        cloth = row[(row[:, 0] > 1.6 * row[:, 1]) & (row[:, 0] > 60)].sum(axis=1)
        tenth = max(1, len(cloth) // 14)
        return cloth[:tenth].mean() / cloth[3 * tenth : -3 * tenth].mean()

    assert side_to_middle(ghost) < side_to_middle(flat) - 0.05


async def test_surfaces_look_like_what_they_are_called(caller):
    linen, concrete, wood, paper = await shots(
        caller,
        *({"style": "flat_lay", "surface": each} for each in ("linen", "matte concrete", "oak")),
        {"style": "flat_lay"},
    )
    colors = [rim(each).mean(axis=0) for each in (linen, concrete, wood, paper)]
    assert max(colors[1]) - min(colors[1]) < 8  # grey
    assert colors[2][0] - colors[2][2] > 50  # brown
    assert 15 < colors[0][0] - colors[0][2] < 50  # beige
    assert rim(linen).std() > rim(paper).std() + 5
    with_text = await shots(caller, {"style": "flat_lay", "surface": {"text": "oak"}})
    assert with_text[0].tobytes() == wood.tobytes()


async def test_the_background_takes_the_colour_that_is_named(caller):
    blue, green = await shots(
        caller,
        {"style": "ghost_mannequin", "background": "light blue"},
        {"style": "free", "background": "sage green"},
    )
    red_, green_, blue_ = rim(blue).mean(axis=0)
    assert blue_ > green_ > red_ + 10
    red_, green_, blue_ = rim(green).mean(axis=0)
    assert green_ > red_ + 5
    assert green_ > blue_ + 10


async def test_shadows_are_seen(caller):
    none, contact, drop, natural = await shots(
        caller,
        *(
            {"style": "white_cutout", "shadow": each, "options": {"format": "png"}}
            for each in ("none", "contact", "soft_drop", "natural")
        ),
    )
    assert difference(none, contact) > 0.05
    assert difference(none, drop) > 2 * difference(none, contact)
    assert difference(drop, natural) > 0.3
    assert (pixels(none).min(axis=-1) > 254).mean() > (
        pixels(drop).min(axis=-1) > 254
    ).mean() + 0.03


async def test_what_was_asked_for_as_a_size_is_exact(start):
    caller = await start(render=True)
    asked = [
        ({"options": {"size": "1K", "ar": "16:9"}}, (1024, 576)),
        ({"options": {"size": "1K", "ar": "9:16", "format": "png"}}, (576, 1024)),
        ({"options": {"size": "1K"}, "framing": "tall_3_4"}, (768, 1024)),
        ({"options": {"size": "1K"}, "framing": "wide_4_3"}, (1024, 768)),
        ({"options": {"size": "1K", "ar": "1:1"}, "framing": "wide_4_3"}, (1024, 1024)),
        ({"options": {"width": 512, "height": 256, "ar": "1:1"}}, (512, 256)),
    ]
    made = await shots(caller, *({"style": "white_cutout", **each} for each, _ in asked))
    assert [picture.size for picture in made] == [size for _, size in asked]
    assert [picture.format for picture in made] == ["JPEG", "PNG", *["JPEG"] * 4]


async def test_variations_and_versions_differ(caller):
    body = {
        "project_id": await caller.project(),
        "images": [await caller.upload(photo(TSHIRT))],
        "instructions": [{"style": "flat_lay", "surface": "linen", "num_variations": 3}],
    }
    job_id = await caller.run(PACKSHOT, body)
    before = await pictures(caller, job_id)
    assert difference(before[0, 0], before[0, 1]) > 2
    assert difference(before[0, 1], before[0, 2]) > 2
    stream = await caller.stream()
    await stream.synced()
    await caller.post(f"/jobs/{job_id}/regenerate/0")
    await stream.live()
    after = await pictures(caller, job_id)
    assert difference(before[0, 0], after[0, 0]) > 2
    assert before[0, 1].tobytes() == after[0, 1].tobytes()


async def test_the_angle_chooses_the_photo_by_its_note(caller):
    body = {
        "project_id": await caller.project(),
        "images": [
            {"file_id": await caller.upload(photo(TSHIRT)), "note": "front view"},
            {"file_id": await caller.upload(photo(DRESS)), "note": "back view"},
        ],
        "instructions": [
            {"style": "white_cutout", "angle": angle}
            for angle in ("front", "back", "three_quarter", "detail_macro")
        ],
    }
    made = await pictures(caller, await caller.run(PACKSHOT, body))
    front, back, turned, near = (made[index, 0] for index in range(4))
    assert redness(front) > 0.1
    assert redness(back) < 0.01
    assert redness(turned) < 0.93 * redness(front)
    assert redness(near) > 0.9


async def test_the_mark_is_burnt_in_at_the_lower_right(caller):
    instruction = {"style": "white_cutout", "options": {"format": "png"}}
    (clean,) = await shots(caller, instruction)
    (marked,) = await shots(caller, instruction, options={"add_ai_watermark": True})
    changed = np.abs(pixels(clean) - pixels(marked)).max(axis=-1) > 30
    rows, columns = np.nonzero(changed)
    assert len(rows) > 50
    assert rows.min() > 0.85 * clean.height
    assert columns.min() > 0.55 * clean.width


async def test_a_photo_that_cannot_be_read_is_passed_over_unless_there_is_no_other(caller):
    body = {
        "project_id": await caller.project(),
        "images": [await caller.upload(b"no picture"), await caller.upload(photo(TSHIRT))],
        "instructions": [{"style": "white_cutout"}],
    }
    (made,) = (await pictures(caller, await caller.run(PACKSHOT, body))).values()
    assert redness(made) > 0.1
    job_id = await caller.run(PACKSHOT, body | {"images": body["images"][:1]})
    (row,) = (await caller.results(job_id))["results"]
    assert row["status"] == "failed"
    assert "could not be read" in row["error_message"]
    assert caller.sandbox.books.jobs[job_id].status == "failed"
