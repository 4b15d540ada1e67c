"""Flat lays on a model and model swaps, measured."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tests.sandbox.measuring import (
    ARIA,
    CHINOS,
    FLAT,
    KOFI,
    SWAP,
    TSHIRT,
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
