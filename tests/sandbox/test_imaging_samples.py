"""The drawn sample photos and swatches."""

import io

import numpy as np
import pytest
from PIL import Image

from piktid_async.sandbox.imaging import sample_photos, sample_swatch
from piktid_async.sandbox.imaging.filters import label_regions, outside_of
from piktid_async.sandbox.imaging.spaces import oklab_from_srgb, oklab_of


def test_photos_are_jpegs_of_the_asked_size_with_names_of_their_own():
    photos = sample_photos(size=200)
    assert len(photos) == 6
    assert len({photo.name for photo in photos}) == 6
    assert len({photo.description for photo in photos}) == 6
    for photo in photos:
        image = Image.open(io.BytesIO(photo.data))
        assert (image.format, image.size) == ("JPEG", (160, 200))
        assert photo.name.endswith(".jpg")


def test_more_photos_than_garments_come_in_other_colours():
    photos = sample_photos(16, size=120)
    assert len({photo.name for photo in photos}) == 16
    assert len({photo.data for photo in photos}) == 16
    assert photos[7].name == "linen-shirt-2.jpg"


def test_the_same_call_gives_the_same_bytes():
    assert sample_photos(3, size=200) == sample_photos(3, size=200)
    assert sample_photos(3, size=200) == sample_photos(6, size=200)[:3]


def test_one_garment_is_white_and_one_is_dark():
    def middle(photo):
        rgb = np.asarray(Image.open(io.BytesIO(photo.data)))
        lab = oklab_from_srgb(rgb)[100:200, 90:150]
        return np.median(lab[..., 0])

    tones = [middle(photo) for photo in sample_photos(size=300)]
    assert max(tones) > 0.93
    assert min(tones) < 0.4


def test_a_swatch_has_its_colour_and_a_weave():
    swatch = np.asarray(Image.open(io.BytesIO(sample_swatch("#2E5A3B", size=128))))
    assert swatch.shape == (128, 128, 3)
    lab = oklab_from_srgb(swatch)
    assert lab.mean(axis=(0, 1)) == pytest.approx(oklab_of((0x2E, 0x5A, 0x3B)), abs=0.02)
    assert lab[..., 0].std() > 0.01


def test_a_swatch_of_no_colour_is_refused():
    with pytest.raises(ValueError, match="tropical leaves"):
        sample_swatch("tropical leaves")


def test_regions_are_numbered_and_measured():
    mask = np.array(
        [[1, 1, 0, 0, 1], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 0, 1]], bool
    )
    labels, areas = label_regions(mask)
    assert sorted(areas[1:].tolist()) == [2, 3, 3, 5]
    assert (labels > 0).tolist() == mask.tolist()
    assert labels[3, 0] == labels[3, 2] != labels[3, 4]
    assert areas[0] == (~mask).sum()


def test_holes_are_not_outside():
    ring = np.zeros((5, 5), bool)
    ring[1:4, 1:4] = True
    ring[2, 2] = False
    assert not outside_of(ring)[2, 2]
    assert outside_of(ring).sum() == 16
