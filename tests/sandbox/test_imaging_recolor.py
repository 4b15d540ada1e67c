"""Recolouring, measured on the sample photos."""

import functools
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from piktid_async.sandbox.imaging import ImagingError, recolor, sample_photos, sample_swatch
from piktid_async.sandbox.imaging.colors import parse_color
from piktid_async.sandbox.imaging.filters import dilate, erode
from piktid_async.sandbox.imaging.io import read_image, write_jpeg
from piktid_async.sandbox.imaging.segment import find_garment
from piktid_async.sandbox.imaging.spaces import oklab_from_srgb

SIZE = 360
PHOTOS = sample_photos(7, size=SIZE)
TARGETS = ["forest green", "navy", "mustard", "ivory", "#d62828", "blush"]

each_photo = pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def lab_of(data):
    return oklab_from_srgb(pixels(data))


@functools.cache
def garment(photo):
    """Where the garment is for sure, and where it is for sure not."""
    mask, _ = find_garment(read_image(photo.data, size=SIZE))
    return erode(mask, radius=4), ~dilate(mask, radius=5)


def hue_gap(one, two):
    gap = np.degrees(np.arctan2(one[2], one[1]) - np.arctan2(two[2], two[1]))
    return abs((gap + 180) % 360 - 180)


@pytest.mark.parametrize(
    ("photo", "target"),
    [(photo, TARGETS[(at + step) % 6]) for at, photo in enumerate(PHOTOS) for step in (0, 3)],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_garment_takes_the_target_colour_and_the_rest_stays(photo, target):
    inside, outside = garment(photo)
    done = recolor(photo.data, reference_text=target, size=SIZE)
    found, wanted = np.median(lab_of(done.full)[inside], axis=0), parse_color(target)
    assert abs(found[0] - wanted[0]) < 0.06
    assert np.hypot(found[1] - wanted[1], found[2] - wanted[2]) < 0.03
    if np.hypot(*wanted[1:]) > 0.03:
        assert hue_gap(found, wanted) < 8
    change = np.abs(pixels(done.full).astype(int) - pixels(photo.data))[outside]
    assert change.mean() < 1.5
    assert np.percentile(change, 99.5) < 12


@each_photo
def test_folds_stay(photo):
    """Towards the far end of the lightness scale, where flat paint would be easiest."""
    target = "forest green" if PHOTOS.index(photo) % 2 == 0 else "ivory"
    inside, _ = garment(photo)
    before = lab_of(photo.data)[..., 0][inside]
    after = lab_of(recolor(photo.data, reference_text=target, size=SIZE).full)[..., 0][inside]
    order = [np.argsort(np.argsort(values)) for values in (before, after)]
    assert np.corrcoef(*order)[0, 1] > 0.9
    assert after.std() > 0.012


@each_photo
def test_the_mask_covers_the_garment_and_nothing_else(photo):
    """The samples stand in the middle: their outline must not reach the picture's border."""
    mask, _ = find_garment(read_image(photo.data, size=SIZE))
    assert 0.15 < mask.mean() < 0.6
    assert not mask[0].any()
    assert not mask[:, 0].any()
    both = mask & mask[:, ::-1]
    assert both.sum() > 0.93 * mask.sum()


@pytest.mark.parametrize(
    ("index", "target"), [(0, "#d62828"), (2, "forest green")], ids=["buttons", "drawstrings"]
)
def test_details_of_another_lightness_stay(index, target):
    photo = sample_photos(index + 1, size=720)[index]
    mask, _ = find_garment(read_image(photo.data, size=720))
    grown = np.asarray(Image.fromarray(mask).resize((576, 720)))
    source = lab_of(photo.data)
    odd = (source[..., 0] < 0.3) if index == 0 else (source[..., 0] > 0.8)
    odd &= erode(grown, radius=12)
    assert odd.sum() > 50
    after = lab_of(recolor(photo.data, reference_text=target, size=720).full)[odd]
    assert np.abs(after - source[odd]).mean() < 0.02
    assert np.percentile(np.abs(after - source[odd]), 95) < 0.07


def test_a_swatch_and_an_instruction_work_like_words():
    inside, _ = garment(PHOTOS[1])
    by_words = recolor(PHOTOS[1].data, reference_text="teal", size=SIZE)
    by_swatch = recolor(PHOTOS[1].data, reference_image=sample_swatch("teal"), size=SIZE)
    by_order = recolor(PHOTOS[1].data, instruction="make it teal please", size=SIZE)
    assert by_order == by_words
    gap = np.median(lab_of(by_swatch.full)[inside], axis=0) - np.median(
        lab_of(by_words.full)[inside], axis=0
    )
    assert np.linalg.norm(gap) < 0.04


@pytest.mark.parametrize("size", [256, 1500])
def test_size_is_the_long_edge_of_the_output(size):
    done = recolor(PHOTOS[3].data, reference_text="lilac", size=size)
    assert (done.width, done.height) == (round(size * 0.8), size)
    assert Image.open(io.BytesIO(done.full)).size == (done.width, done.height)
    assert Image.open(io.BytesIO(done.full)).format == "JPEG"
    assert Image.open(io.BytesIO(done.thumbnail)).size == (205, 256)


@pytest.mark.parametrize("target", ["forest green", "ivory"])
def test_variations_differ_visibly_but_stay_near(target):
    inside, _ = garment(PHOTOS[1])
    colors = [
        np.median(
            lab_of(recolor(PHOTOS[1].data, reference_text=target, size=SIZE, variation=i).full)[
                inside
            ],
            axis=0,
        )
        for i in range(5)
    ]
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(colors) for b in colors[:i]]
    assert min(gaps) > 0.004
    assert all(np.linalg.norm(color - colors[0]) > 0.015 for color in colors[1:])
    assert max(np.linalg.norm(color - colors[0]) for color in colors) < 0.12


def test_the_watermark_changes_the_corner_and_nothing_else():
    plain = pixels(recolor(PHOTOS[2].data, reference_text="sage", size=600).full).astype(int)
    marked = pixels(recolor(PHOTOS[2].data, reference_text="sage", size=600, watermark=True).full)
    changed = np.argwhere(np.abs(marked - plain).max(axis=2) > 30)
    height, width = plain.shape[:2]
    assert len(changed) > 400
    assert changed[:, 0].min() > 0.92 * height
    assert changed[:, 1].min() > 0.7 * width


def test_the_same_call_gives_the_same_bytes_from_any_thread():
    def work(_):
        return recolor(PHOTOS[0].data, reference_text="petrol", size=SIZE, variation=3)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(4)))) == 1


def flat(color, size=(400, 500)):
    return write_jpeg(Image.new("RGB", size, color), quality=90)


def graded():
    tones = np.linspace(120, 230, 500)[:, None] + np.linspace(-20, 20, 400)[None]
    return write_jpeg(
        Image.fromarray(np.repeat(tones[..., None], 3, 2).astype(np.uint8)), quality=90
    )


def noisy():
    noise = np.random.default_rng(3).normal(200, 12, (500, 400, 3))
    return write_jpeg(Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)), quality=90)


@pytest.mark.parametrize(
    "source",
    [flat("white"), flat("#345"), graded(), noisy(), flat("white", (1, 1)), flat("red", (3, 900))],
)
def test_a_picture_without_a_garment_is_refused_by_name(source):
    with pytest.raises(ImagingError, match=r"^We couldn't find the garment in this image$"):
        recolor(source, reference_text="navy", size=360)


def test_a_missing_garment_is_named_by_its_label():
    with pytest.raises(ImagingError, match=r"^We couldn't find the wool hat in this image$"):
        recolor(flat("white"), reference_text="navy", garment_label="wool hat", size=200)


@pytest.mark.parametrize("change", ["noise", "stripes", "spotlight", "cropped", "dim"])
@pytest.mark.parametrize("photo", [PHOTOS[0], PHOTOS[2]], ids=["white", "dark"])
def test_imperfect_photos_work(photo, change):
    rng = np.random.default_rng(0)
    seen = pixels(photo.data).astype(float)
    height, width = seen.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    inside, outside = garment(photo)
    if change == "noise":
        seen += rng.normal(0, 7, seen.shape)
    elif change == "stripes":
        seen += 4 * np.sin(x / 3)[..., None]
    elif change == "spotlight":
        seen *= (1.05 - 0.4 * ((x / width - 0.2) ** 2 + (y / height - 0.2) ** 2))[..., None]
    elif change == "dim":
        seen *= 0.5
    rows = round(height * 0.7) if change == "cropped" else height
    seen = np.clip(seen[:rows], 0, 255).astype(np.uint8)
    size = max(seen.shape[:2])
    done = recolor(
        write_jpeg(Image.fromarray(seen), quality=90), reference_text="emerald", size=size
    )
    green = lab_of(done.full)
    hit = (green[..., 1] < -0.05) & (green[..., 2] > 0)
    assert hit[inside[:rows]].mean() > 0.93
    assert hit[outside[:rows]].mean() < 0.01


def standing():
    """Draw a person in a red top and dark trousers, flat; return it and where each part is."""
    parts = {
        "hair": ((165, 20, 235, 110), "#2a1d16"),
        "skin": ((180, 45, 220, 130), "#d9a887"),
        "arms": ((100, 130, 300, 260), "#d9a887"),
        "top": ((130, 120, 270, 270), "#b8413a"),
        "trousers": ((140, 270, 260, 470), "#22252c"),
    }
    image = Image.new("RGB", (400, 500), "#dcdad6")
    owner = np.full((500, 400), "wall", dtype=object)
    for name, ((left, top, right, bottom), color) in parts.items():
        image.paste(color, (left, top, right, bottom))
        owner[top:bottom, left:right] = name
    return write_jpeg(image, quality=92), owner


@pytest.mark.parametrize(
    ("label", "dyed"), [(None, "top"), ("t-shirt", "top"), ("trousers", "trousers")]
)
def test_on_a_model_only_the_named_garment_is_dyed(label, dyed):
    source, owner = standing()
    done = recolor(source, reference_text="emerald", garment_label=label, size=500)
    change = np.abs(pixels(done.full).astype(int) - pixels(source)).max(axis=2) > 25
    for name in ("hair", "skin", "arms", "top", "trousers", "wall"):
        share = change[erode(owner == name, radius=4)].mean()
        assert (share > 0.95) if name == dyed else (share < 0.05), name
