from __future__ import annotations

import copy
import pickle
from datetime import date
from typing import Any

import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.images import AnnotatedImage, UploadedFile
from piktid_async.models.model_swap import ModelSwap

FILE = UploadedFile(file_id="img_1", filename="a.jpg", content_type="image/jpeg")


def swap(**changes: Any) -> ModelSwap:
    return ModelSwap(**{"identity": "id", "project": "p", "images": [FILE, "img_2"], **changes})


def test_each_image_makes_one_output_of_unknown_price():
    request = swap()
    assert (request.kind, request.pooled) == ("model_swap", True)
    assert (request.total_outputs, request.credits) == (2, None)
    assert (request.project_id, request.input_ids) == ("p", ("img_1", "img_2"))
    assert (request.post_process, request.swap_options) == (False, {})


@pytest.mark.parametrize("number", [1, 10])
def test_1_and_10_images_are_taken(number):
    assert swap(images=["i"] * number).total_outputs == number


@pytest.mark.parametrize("number", [0, 11])
def test_0_and_11_images_are_refused(number):
    with pytest.raises(InvalidRequestError, match=f"^images: takes 1 to 10 images, not {number}"):
        swap(images=["i"] * number)


def test_a_note_that_the_service_would_not_take_is_refused():
    with pytest.raises(InvalidRequestError, match=r"^images: .* no notes .* pass their file_id"):
        swap(images=[AnnotatedImage("img_1", "back view")])


@pytest.mark.parametrize(
    ("field", "value"),
    [("images", "img_1"), ("images", [""]), ("identity", ""), ("project", ""), ("post_process", 1)],
)
def test_a_broken_rule_names_its_field(field, value):
    with pytest.raises(InvalidRequestError, match=f"^{field}: "):
        swap(**{field: value})


def test_swap_options_are_kept_apart_from_what_the_caller_does_with_his():
    options = {"regions": ["face"], "deep": {"strength": 1}}
    request = swap(swap_options=options)
    options["regions"].append("hair")  # type: ignore[attr-defined]
    assert request.swap_options == {"regions": ["face"], "deep": {"strength": 1}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("face", "swap_options: must be a mapping, not str"),
        ([1], "swap_options: must be a mapping, not list"),
        (None, "swap_options: must be a mapping, not NoneType"),
        ({"day": date(2025, 1, 1)}, "swap_options.day: cannot be sent as JSON: date"),
        ({"a": [0, {"b": b"x"}]}, "swap_options.a[1].b: cannot be sent as JSON: bytes"),
        ({1: "a"}, "swap_options: has a key that is no text: 1"),
    ],
)
def test_swap_options_that_cannot_be_sent_are_refused_by_path(options, words):
    with pytest.raises(InvalidRequestError) as caught:
        swap(swap_options=options)
    assert str(caught.value) == words


def test_requests_are_hashable_copied_and_pickled():
    request = swap(swap_options={"a": [1]})
    for twin in (copy.deepcopy(request), pickle.loads(pickle.dumps(request))):
        assert twin == request
        assert hash(twin) == hash(request)
