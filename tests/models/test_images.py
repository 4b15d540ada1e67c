from __future__ import annotations

import io
from pathlib import Path

import attrs
import pytest

from piktid_async.errors import InvalidRequestError, UploadError
from piktid_async.models.images import (
    AnnotatedImage,
    StreamSource,
    UploadedFile,
    UploadOutcome,
    UploadProgress,
    file_id_of,
)

SIGNED = "https://s3.example/a.jpg?X-Amz-Signature=opensesame"
FILE = UploadedFile(
    file_id="img_1", filename="a.jpg", content_type="image/jpeg", download_url=SIGNED
)


@pytest.mark.parametrize(
    "image", [FILE, "img_1", AnnotatedImage("img_1"), AnnotatedImage("img_1", "n")]
)
def test_an_image_is_known_by_its_id_however_it_is_given(image):
    assert file_id_of("images", image) == "img_1"


@pytest.mark.parametrize("image", [None, "", " ", 1, b"x", Path("a.jpg"), io.BytesIO(b"x")])
def test_what_has_no_file_id_is_refused_with_the_way_to_get_one(image):
    with pytest.raises(InvalidRequestError, match=r"^images: takes an UploadedFile or its file_id"):
        file_id_of("images", image)


def test_an_uploaded_file_shows_no_signed_query():
    assert "opensesame" not in repr(FILE)
    assert "img_1" in repr(FILE)


@pytest.mark.parametrize(
    "shown",
    [
        UploadOutcome(b"opensesame", file=FILE),
        UploadOutcome(b"opensesame", error=UploadError("<10 bytes>", "is no image")),
        UploadProgress(b"opensesame", 5, 10),
    ],
)
def test_the_bytes_of_an_image_are_in_no_repr(shown):
    assert "opensesame" not in repr(shown)
    assert "<10 bytes>" in repr(shown)


def test_sources_are_told_apart_by_identity_not_by_what_they_hold():
    chunks = io.BytesIO()
    assert StreamSource(chunks, 3) != StreamSource(chunks, 3)
    assert len({StreamSource(chunks, 3), StreamSource(chunks, 3)}) == 2


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (FILE, "file_id"),
        (AnnotatedImage("img_1"), "note"),
        (UploadOutcome("a.jpg"), "file"),
        (UploadProgress("a.jpg", 0, 1), "sent"),
        (StreamSource(None, 3), "size"),
    ],
)
def test_values_cannot_be_changed_in_place(value, field):
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, field, "x")
