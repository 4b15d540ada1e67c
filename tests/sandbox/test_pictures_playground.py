"""What Image Playground draws, measured."""

from __future__ import annotations

import pytest

from tests.sandbox.measuring import (
    ARIA,
    NOOR,
    TSHIRT,
    difference,
    photo,
    pictures,
    pixels,
    redness,
    rim,
)


@pytest.fixture
async def caller(start):
    """A sandbox whose 2K pictures are 512 pixels wide or high."""
    return await start(render=True, image_scale=0.25)


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
