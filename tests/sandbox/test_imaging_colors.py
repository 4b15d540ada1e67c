"""Colour words, hex codes and swatches."""

import io
import math

import pytest
from PIL import Image

from piktid_async.sandbox.imaging.colors import Lab, color_from_hash, parse_color
from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.recolor import find_target
from piktid_async.sandbox.imaging.samples import sample_swatch
from piktid_async.sandbox.imaging.spaces import oklab_from_srgb, oklab_of, srgb_from_oklab


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def named(name: str) -> Lab:
    color = parse_color(name)
    assert color is not None
    return color


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("#2E5A3B", (0x2E, 0x5A, 0x3B)),
        ("2e5a3b", (0x2E, 0x5A, 0x3B)),
        ("#abc", (0xAA, 0xBB, 0xCC)),
        ("dye it #d62828, please", (0xD6, 0x28, 0x28)),
        ("rgb(10, 200, 30)", (10, 200, 30)),
        ("red", (255, 0, 0)),
        ("RebeccaPurple", (0x66, 0x33, 0x99)),
        ("dark slate gray", (0x2F, 0x4F, 0x4F)),
        ("Dark-Slate_Grey", (0x2F, 0x4F, 0x4F)),
    ],
)
def test_codes_and_css_names_give_the_exact_colour(text, code):
    assert parse_color(text) == pytest.approx(oklab_of(code))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("make it forest green please", "forest green"),
        ("ForestGreen", "forest green"),
        ("forest-green!", "forest green"),
        ("a warm royal  blue tone", "royal blue"),
        ("change the white shirt to burgundy", "burgundy"),
        ("make the white shirt navy", "navy"),
        ("navy with white buttons", "navy"),
        ("teal instead of red", "teal"),
        ("replace the red with mustard", "mustard"),
        ("turn this into a sage", "sage"),
        ("Off-White", "off white"),
    ],
)
def test_names_are_found_among_other_words(text, name):
    assert parse_color(text) == named(name)


@pytest.mark.parametrize(
    ("name", "hue"),
    [
        ("forest green", 152), ("royal blue", 266), ("burgundy", 10), ("mustard", 84),
        ("teal", 198), ("navy", 270), ("terracotta", 41), ("emerald", 162), ("lilac", 316),
    ],
)  # fmt: skip
def test_fashion_names_have_the_hue_people_expect(name, hue):
    _, a, b = named(name)
    found = math.degrees(math.atan2(b, a)) % 360
    assert abs((found - hue + 180) % 360 - 180) < 10


def test_modifiers_change_lightness_but_not_hue():
    base, dark, light = named("olive"), named("dark olive"), named("light olive")
    assert dark[0] < base[0] - 0.05 < base[0] + 0.05 < light[0]
    assert math.atan2(light[2], light[1]) == pytest.approx(math.atan2(base[2], base[1]))


@pytest.mark.parametrize(
    "text", ["tropical leaves", "", "facade decade", "#12", "bluegrass", "123"]
)
def test_texts_without_a_colour_give_none(text):
    if text == "123":
        assert parse_color(text) == pytest.approx(oklab_of((0x11, 0x22, 0x33)))
    else:
        assert parse_color(text) is None


def test_the_hash_colour_is_stable_and_differs_between_texts():
    assert color_from_hash("tropical leaves") == color_from_hash(" Tropical  Leaves ")
    assert color_from_hash("tropical leaves") != color_from_hash("polka dots")


def test_text_with_a_colour_wins_over_a_swatch():
    assert find_target("teal", sample_swatch("red"), "make it navy") == named("teal")


def test_swatch_wins_when_the_text_has_no_colour():
    found = find_target("this fabric", sample_swatch("teal"), "make it red")
    assert found == pytest.approx(named("teal"), abs=0.04)


def test_instruction_is_used_when_nothing_else_is_given():
    assert find_target(None, None, "make it forest green") == named("forest green")
    assert find_target("polka dots", None, "on navy") == named("navy")


def test_pattern_words_alone_still_give_a_target():
    assert find_target("tropical leaves", None, None) == color_from_hash("tropical leaves")


def test_no_target_at_all_is_refused():
    with pytest.raises(ImagingError, match="No recolor target"):
        find_target(None, None, "  ")


@pytest.mark.parametrize("surround", ["white", "black"])
def test_a_plain_surround_of_the_swatch_is_ignored(surround):
    sheet = Image.new("RGB", (300, 300), surround)
    sheet.paste(Image.open(io.BytesIO(sample_swatch("mustard"))).resize((110, 110)), (90, 90))
    assert find_target(None, png(sheet), None) == pytest.approx(named("mustard"), abs=0.04)


def test_an_all_white_swatch_means_white():
    light, a, b = find_target(None, png(Image.new("RGB", (50, 50), "white")), None)
    assert light > 0.98
    assert math.hypot(a, b) < 0.01


def test_an_unreadable_swatch_is_refused():
    with pytest.raises(ImagingError, match="could not be read"):
        find_target(None, b"nope", None)


def test_oklab_and_back_is_the_identity():
    import numpy as np

    rgb = np.random.default_rng(0).integers(0, 256, (500, 3), dtype=np.uint8)
    assert np.abs(srgb_from_oklab(oklab_from_srgb(rgb)) - rgb).max() < 0.6
