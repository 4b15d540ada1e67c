"""Products before anything is sent: what they can be, and by what they are told apart."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import pytest

from piktid_async import (
    AnnotatedImage,
    GarmentRecolor,
    ImagePlayground,
    InvalidRequestError,
    Project,
    UploadedFile,
)
from piktid_async.batch import Product
from piktid_async.batch.products import build, fingerprint, safe_name

PROJECT = Project("p", "spring")
FILES = [UploadedFile(file_id="f1", filename="a.jpg", content_type="image/jpeg")]
EXPECTED = GarmentRecolor(project=PROJECT, images=FILES, reference_text="navy")


def recolor(project, images):
    return GarmentRecolor(project=project, images=images, reference_text="navy")


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(recolor, id="callable"),
        pytest.param((GarmentRecolor, {"reference_text": "navy"}), id="pair"),
        pytest.param(functools.partial(GarmentRecolor, reference_text="navy"), id="partial"),
    ],
)
def test_a_request_can_be_said_in_many_ways(template):
    assert build(template, PROJECT, FILES) == EXPECTED


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (None, "takes a job request class"),
        ("GarmentRecolor", "takes a job request class"),
        ((GarmentRecolor, {"colour": "navy"}), "cannot be built"),
        (lambda project, images: None, "makes NoneType"),
        (lambda: EXPECTED, "cannot be built"),
        (dict, "makes dict"),
        ((ImagePlayground, {"prompt": "x", "conversation": "j"}), "jobs of their own"),
        (GarmentRecolor, "reference_text"),
        ((GarmentRecolor, {"project": "other", "reference_text": "x"}), "cannot be built"),
        (lambda _, images: recolor("other", images), "must be the batch's own"),
        ((GarmentRecolor, {"images": [], "reference_text": "x"}), "cannot be built"),
    ],
)
def test_a_request_that_is_none_is_refused_by_name(template, words):
    with pytest.raises(InvalidRequestError, match=words):
        build(template, PROJECT, FILES)


@pytest.mark.parametrize(
    "images", ["a.jpg", Path("a.jpg"), b"abc", io.BytesIO(b"abc"), ["a.jpg"], ("a.jpg",)]
)
def test_one_image_may_stand_alone(images):
    assert len(Product("k", images, recolor).images) == 1


@pytest.mark.parametrize(("key", "images"), [("", []), (" ", []), (7, []), ("k", 7), ("k", {})])
def test_what_can_be_no_product_is_refused(key, images):
    with pytest.raises(InvalidRequestError):
        Product(key, images, recolor)


def swatch(file_id: str, name: str = "swatch.png") -> UploadedFile:
    return UploadedFile(file_id=file_id, filename=name, content_type="image/png")


def with_swatch(file: UploadedFile):
    return (GarmentRecolor, {"reference_image": file})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((recolor, ["a"]), ((GarmentRecolor, {"reference_text": "navy"}), ["a"]), True),
        ((recolor, ["a"]), ((GarmentRecolor, {"reference_text": "red"}), ["a"]), False),
        ((recolor, ["a"]), (recolor, ["b"]), False),
        ((recolor, ["a", "b"]), (recolor, ["b", "a"]), False),
        ((with_swatch(swatch("1")), ["a"]), (with_swatch(swatch("2")), ["a"]), True),
        ((with_swatch(swatch("1")), ["a"]), (with_swatch(swatch("1", "x.png")), ["a"]), False),
    ],
)
def test_a_fingerprint_tells_changed_products_apart(one, other, same):
    assert (fingerprint(*one) == fingerprint(*other)) is same


def test_a_note_on_an_image_counts():
    def noted(note):
        return lambda project, images: GarmentRecolor(
            project=project,
            images=[AnnotatedImage(each.file_id, note) for each in images],
            reference_text="navy",
        )

    assert fingerprint(noted("back"), ["a"]) != fingerprint(noted("front"), ["a"])


def test_names_for_folders_are_safe_and_stay_apart():
    keys = [
        "a/b",
        "a_b",
        "a b",
        "../a",
        "..",
        ".",
        "ä",
        "A" * 300,
        "x.",
        "-x",
        "con/../..",
        "sku-1",
    ]
    names = [safe_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    assert names[-1] == "sku-1"
    for name in names:
        assert name == Path(name).name
        assert name not in ("", ".", "..")
        assert len(name) <= 100
        assert not name.startswith(".")
