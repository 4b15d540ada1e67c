"""The pictures of the four newer kinds of jobs, measured."""

from __future__ import annotations

import functools
import io

import numpy as np
import pytest
from PIL import Image

from piktid_async.sandbox.imaging import sample_photos

PACKSHOT, FLAT, SWAP = "/create-packshot", "/flat-2-model", "/model-swap"
ARIA, NOOR, KOFI = (f"default-pro-0000000{number}" for number in (1, 2, 6))
SHIRT, TSHIRT, DRESS, CHINOS = 0, 1, 3, 4


@functools.cache
def photo(index):
    return sample_photos(index + 1, size=480)[index].data


@pytest.fixture
async def caller(start):
    """A sandbox whose 2K pictures are 512 pixels wide or high."""
    return await start(render=True, image_scale=0.25)


async def pictures(caller, job_id):
    found = {}
    for row in (await caller.results(job_id))["results"]:
        assert row["status"] == "completed", row["error_message"]
        _, content = await caller.fetch(row["output"]["full_size"])
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            found[row["image_index"], row["group_index"]] = picture
    return found


async def shots(caller, *instructions, path=PACKSHOT, photos=(TSHIRT,), **more):
    body = {
        "project_id": await caller.project(),
        "images": [await caller.upload(photo(index), filename="a.jpg") for index in photos],
        "instructions": list(instructions),
    }
    found = await pictures(caller, await caller.run(path, body | more))
    return list(found.values())


def pixels(picture):
    return np.asarray(picture.convert("RGB")).astype(float)


def rim(picture):
    """The outermost pixels, where no garment is."""
    values, edge = pixels(picture), max(2, min(picture.size) // 40)
    return np.concatenate(
        [
            values[:edge].reshape(-1, 3),
            values[:, :edge].reshape(-1, 3),
            values[:, -edge:].reshape(-1, 3),
        ]
    )


def difference(one, other):
    assert one.size == other.size
    return float(np.abs(pixels(one) - pixels(other)).mean())


def redness(picture):
    """How many of the pixels have the colour of the T-shirt."""
    red, green, blue = np.moveaxis(pixels(picture), -1, 0)
    return float(((red > 1.6 * green) & (red > 1.6 * blue) & (red > 90)).mean())


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


async def test_a_figure_wears_all_the_garments(caller):
    (both,) = await shots(caller, {}, path=FLAT, photos=(TSHIRT, CHINOS), identity_code=ARIA)
    (top,) = await shots(caller, {}, path=FLAT, photos=(TSHIRT,), identity_code=ARIA)
    assert both.size == (384, 512)
    assert redness(both) > 0.03
    assert redness(top) == pytest.approx(redness(both), abs=0.01)
    height, width = pixels(both).shape[:2]
    legs = (
        slice(int(0.55 * height), int(0.85 * height)),
        slice(int(0.3 * width), int(0.7 * width)),
    )
    sand, dark = pixels(both)[legs].mean(axis=(0, 1)), pixels(top)[legs].mean(axis=(0, 1))
    assert sand[0] - sand[2] > dark[0] - dark[2] + 15


async def test_identities_look_different_and_always_the_same(caller):
    async def drawn(code):
        instruction = {"camera": "portrait", "background": "white studio"}
        return (await shots(caller, instruction, path=FLAT, identity_code=code))[0]

    def face(picture):
        width, height = picture.size
        box = (0.45 * width, 0.35 * height, 0.55 * width, 0.42 * height)
        return pixels(picture.crop(box)).mean(axis=(0, 1))

    aria, again, kofi = await drawn(ARIA), await drawn(ARIA), await drawn(KOFI)
    assert aria.tobytes() == again.tobytes()
    assert np.abs(face(aria) - face(kofi)).max() > 40


async def test_a_swap_keeps_garment_backdrop_and_size_and_changes_the_person(start):
    caller = await start(render=True)
    instruction = {"background": "light blue", "options": {"width": 384, "height": 512}}
    (worn,) = await shots(caller, instruction, path=FLAT, identity_code=KOFI)
    written = io.BytesIO()
    worn.save(written, "JPEG", quality=95)
    body = {
        "identity_code": ARIA,
        "project_id": await caller.project(),
        "images": [await caller.upload(written.getvalue())],
    }
    made = await pictures(caller, await caller.run(SWAP, body))
    swapped = made[0, 0]
    assert swapped.size == (384, 512)
    assert redness(swapped) == pytest.approx(redness(worn), abs=0.03)
    assert np.abs(rim(swapped).mean(axis=0) - rim(worn).mean(axis=0)).max() < 25
    box = (170, 45, 214, 70)
    skins = [pixels(picture.crop(box)).mean() for picture in (worn, swapped)]
    assert skins[1] > skins[0] + 25


async def played(caller, *indexes, **body):
    images = [await caller.upload(photo(index)) for index in indexes]
    job_id, results = await caller.generate(image_ids=images, **body)
    assert {data["status"] for data in results} == {"completed"}, results
    return job_id, await pictures(caller, job_id)


def balance(picture):
    """Red against blue."""
    red, _, blue = pixels(picture).mean(axis=(0, 1))
    return red - blue


async def test_the_playground_does_what_known_words_say(caller):
    _, plain = await played(caller, TSHIRT, prompt="mirror it")
    _, warm = await played(caller, TSHIRT, prompt="Warm the lighting")
    _, cool = await played(caller, TSHIRT, prompt="a cooler look")
    assert balance(warm[0, 0]) > balance(plain[0, 0]) + 10
    assert balance(cool[0, 0]) < balance(plain[0, 0]) - 10
    _, blue = await played(caller, TSHIRT, prompt="make the shirt royal blue")
    assert redness(plain[0, 0]) > 0.2
    assert redness(blue[0, 0]) < 0.01
    _, street = await played(caller, TSHIRT, prompt="on a wet city street at night, neon")
    assert rim(street[0, 0]).mean() < 90 < rim(plain[0, 0]).mean()
    assert redness(street[0, 0]) > 0.1
    assert plain[0, 0].size == (96, 120)  # that of the photo, scaled


async def test_words_that_mean_nothing_still_change_the_picture(caller):
    _, one = await played(caller, TSHIRT, prompt="xyzzy")
    _, other = await played(caller, TSHIRT, prompt="plugh")
    assert difference(one[0, 0], other[0, 0]) > 1


async def test_a_conversation_goes_on_from_its_last_output(caller):
    job_id, made = await played(caller, TSHIRT, prompt="make the shirt blue", num_variations=2)
    assert difference(made[0, 0], made[0, 1]) > 1
    await caller.generate(prompt="brighter", conversation_id=job_id)
    made = await pictures(caller, job_id)
    assert redness(made[1, 0]) < 0.01
    assert pixels(made[1, 0]).mean() > pixels(made[0, 1]).mean() + 5


async def test_without_an_image_a_prompt_is_drawn(caller):
    _, sunset = await played(caller, prompt="a bottle in the ocean at sunset", size="1K")
    _, again = await played(caller, prompt="a bottle in the ocean at sunset", size="1K")
    _, other = await played(caller, prompt="quarterly report", size="1K")
    assert sunset[0, 0].size == (256, 256)
    assert sunset[0, 0].tobytes() == again[0, 0].tobytes()
    assert difference(sunset[0, 0], other[0, 0]) > 20


async def test_the_playground_delivers_the_dimensions_that_were_asked_for(start):
    caller = await start(render=True)
    _, made = await played(
        caller, prompt="a hat", size="1K", output_mode="ratio", aspect_ratio="21:9"
    )
    assert made[0, 0].size == (1024, 439)
    _, made = await played(
        caller, TSHIRT, prompt="warm", output_mode="custom", width=512, height=256
    )
    assert made[0, 0].size == (512, 256)
    _, made = await played(caller, TSHIRT, prompt="warm", output_mode="match")
    assert made[0, 0].size == (384, 480)


async def test_identities_stand_in_the_picture(caller):
    prompt = "in a forest green coat, studio backdrop"
    _, one = await played(caller, prompt=prompt, identity_codes=[ARIA])
    _, two = await played(caller, prompt=prompt, identity_codes=[ARIA, NOOR])
    green = [
        (lambda p: (p[..., 1] > 1.2 * p[..., 0]).mean())(pixels(each[0, 0])) for each in (one, two)
    ]
    assert green[0] > 0.02
    assert green[1] > 1.6 * green[0]


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
