from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.garment_recolor import GarmentRecolor
from piktid_async.models.images import AnnotatedImage, UploadedFile
from piktid_async.models.outputs import DesignValue
from piktid_async.models.projects import Project

SIGNED = "https://s3.example/a.jpg?X-Amz-Signature=opensesame"
FILE = UploadedFile(
    file_id="img_1", filename="a.jpg", content_type="image/jpeg", download_url=SIGNED
)


def recolor(**changes: Any) -> GarmentRecolor:
    return GarmentRecolor(
        **{"project": "p", "images": ("img_1", "img_2"), "reference_text": "green", **changes}
    )


def test_the_defaults_are_the_documented_ones():
    request = recolor()
    assert (request.num_variations, request.processing_size, request.model) == (1, 2048, "auto")
    assert (request.post_process, request.use_anchor, request.add_ai_watermark) == (
        True,
        True,
        False,
    )
    assert request.garment_label is None
    assert request.kind == "garment_recolor"
    assert request.pooled is True


@pytest.mark.parametrize("number", [1, 10])
def test_1_and_10_images_are_taken(number):
    assert len(recolor(images=["img"] * number).images) == number


@pytest.mark.parametrize("number", [0, 11])
def test_0_and_11_images_are_refused(number):
    with pytest.raises(InvalidRequestError, match=f"images: takes 1 to 10 images, not {number}"):
        recolor(images=["img"] * number)


def test_images_come_as_files_ids_and_annotated_images():
    images = [FILE, "img_2", AnnotatedImage("img_3", "back view")]
    request = recolor(images=images)
    assert request.images == tuple(images)
    assert request.input_ids == ("img_1", "img_2", "img_3")


def test_images_are_drawn_from_any_iterable_once():
    assert recolor(images=(f"img_{n}" for n in range(3))).input_ids == ("img_0", "img_1", "img_2")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("img_1", "images: must be a list, not str"),
        (b"img_1", "images: must be a list, not bytes"),
        (FILE, "images: must be a list, not UploadedFile"),
        (None, "images: must be a list, not NoneType"),
        ({"front.jpg": FILE}, "images: must be a list, not dict"),
        (["img_1", ""], "images: takes an UploadedFile or its file_id, not ''"),
        (["img_1", "  "], "images: takes an UploadedFile or its file_id, not '  '"),
        ([None], "images: takes an UploadedFile or its file_id, not None"),
        ([7], "images: takes an UploadedFile or its file_id, not 7"),
        ([["img_1"]], "images: takes an UploadedFile or its file_id"),
        ([AnnotatedImage("", "back view")], "images: takes an UploadedFile or its file_id"),
    ],
)
def test_what_is_no_list_of_images_is_refused(images, words):
    with pytest.raises(InvalidRequestError) as caught:
        recolor(images=images)
    assert str(caught.value).startswith(words)
    assert caught.value.field == "images"


def test_the_bytes_of_an_image_given_by_mistake_are_not_in_the_message():
    with pytest.raises(InvalidRequestError) as caught:
        recolor(images=[b"\xff\xd8opensesame"])
    assert "<12 bytes>" in str(caught.value)
    assert "opensesame" not in str(caught.value) + repr(caught.value)
    with pytest.raises(InvalidRequestError) as caught:
        recolor(reference_text=b"opensesame")
    assert "opensesame" not in str(caught.value)


@pytest.mark.parametrize("project", ["p", Project("p"), Project("p", "spring-drop")])
def test_a_project_comes_as_such_or_as_its_id(project):
    assert recolor(project=project).project_id == "p"


@pytest.mark.parametrize("project", ["", " ", None, 7, Project(""), b"p"])
def test_what_is_no_project_is_refused(project):
    with pytest.raises(InvalidRequestError, match=r"^project: must be a Project or its id, not"):
        recolor(project=project)


@pytest.mark.parametrize(
    "target",
    [
        {"reference_text": "green"},
        {"reference_image": "img_9"},
        {"reference_image": FILE},
        {"instruction": "make it green"},
        {"reference_text": "green", "reference_image": FILE, "instruction": "darker"},
    ],
)
def test_each_target_alone_and_all_together_will_do(target):
    request = GarmentRecolor(project="p", images=["img_1"], **target)
    assert {name: getattr(request, name) for name in target} == target


def test_a_recolor_without_a_target_is_refused():
    with pytest.raises(InvalidRequestError, match=r"^reference_text: a recolor needs a target"):
        GarmentRecolor(project="p", images=["img_1"])


@pytest.mark.parametrize("field", ["reference_text", "instruction", "garment_label"])
@pytest.mark.parametrize("value", ["", " \n", 7, True, ["green"]])
def test_a_text_that_says_nothing_is_refused(field, value):
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be a non-empty text, not"):
        recolor(**{field: value})


@pytest.mark.parametrize("value", ["", " ", 7, b"\xff\xd8", Project("p")])
def test_a_reference_that_is_no_image_is_refused(value):
    with pytest.raises(InvalidRequestError, match=r"^reference_image: takes an UploadedFile or"):
        recolor(reference_image=value)


@pytest.mark.parametrize("value", [0, 9, -1, 1.0, "2", True, None])
def test_variations_beyond_1_to_8_are_refused(value):
    with pytest.raises(
        InvalidRequestError, match=r"^num_variations: must be a whole number from 1 to 8, not"
    ):
        recolor(num_variations=value)


@pytest.mark.parametrize("value", [1, 1000, "2048", 2048.0, None, True])
def test_sizes_that_are_not_listed_are_refused(value):
    with pytest.raises(
        InvalidRequestError, match=r"^processing_size: must be one of 1024, 2048, 4096, not"
    ):
        recolor(processing_size=value)


@pytest.mark.parametrize("value", ["", None, 7])
def test_a_model_without_a_name_is_refused(value):
    with pytest.raises(InvalidRequestError, match=r"^model: must be a non-empty text, not"):
        recolor(model=value)


def test_an_engine_that_is_newer_than_this_version_is_taken():
    assert recolor(model="seedream_5_pro").model == "seedream_5_pro"


@pytest.mark.parametrize("field", ["post_process", "use_anchor", "add_ai_watermark"])
@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_switches_are_true_or_false_and_nothing_alike(field, value):
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be True or False, not"):
        recolor(**{field: value})


@pytest.mark.parametrize(
    ("images", "variations", "size", "outputs", "credits"),
    [
        (1, 1, 1024, 1, 3.0),
        (1, 1, 2048, 1, 5.0),
        (1, 1, 4096, 1, 10.0),
        (3, 2, 2048, 6, 30.0),
        (10, 8, 4096, 80, 800.0),
    ],
)
def test_outputs_and_credits_are_counted_as_documented(images, variations, size, outputs, credits):
    request = recolor(images=["img"] * images, num_variations=variations, processing_size=size)
    assert (request.total_outputs, request.credits) == (outputs, credits)


def test_a_request_cannot_be_changed_after_it_was_checked():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        recolor().num_variations = 9
    with pytest.raises(AttributeError):
        recolor().tyop = 1


def test_a_list_that_changes_later_does_not_change_the_request():
    images = ["img_1"]
    request = recolor(images=images)
    images.append("img_2")
    assert request.input_ids == ("img_1",)


def test_a_changed_request_is_checked_again():
    with pytest.raises(InvalidRequestError, match="num_variations"):
        attrs.evolve(recolor(), num_variations=9)


def test_fields_are_given_by_name():
    with pytest.raises(TypeError):
        GarmentRecolor("p", ["img_1"], reference_text="green")


def test_a_request_shows_no_signed_query():
    request = recolor(images=[FILE], reference_image=FILE)
    assert "opensesame" not in repr(request)
    assert "https://s3.example/a.jpg?***" in repr(request)


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))]
)
def test_a_request_survives_copying_and_pickling(clone):
    request = recolor(images=[FILE, AnnotatedImage("img_2", "back")], project=Project("p", "n"))
    assert clone(request) == request
    assert hash(clone(request)) == hash(request)


def test_a_note_that_the_service_would_not_see_is_refused():
    for build in (
        lambda: recolor(reference_image=AnnotatedImage("img_9", "the swatch")),
        lambda: DesignValue(image=AnnotatedImage("img_9", "the swatch")),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidRequestError, match="image: the service takes no note on this"):
            build()
    assert recolor(reference_image=AnnotatedImage("img_9")).reference_image
