from __future__ import annotations

import pickle
from typing import Any

import attrs
import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.image_playground import ImagePlayground
from piktid_async.models.images import AnnotatedImage, UploadedFile

FILE = UploadedFile(file_id="img_1", filename="a.jpg", content_type="image/jpeg")


@attrs.frozen
class Known:
    identity_code: str


@attrs.frozen
class Finished:
    id: str
    kind: str = "edit_chat"


def play(**changes: Any) -> ImagePlayground:
    return ImagePlayground(**{"prompt": "a bottle", **changes})


def test_the_defaults_are_the_documented_ones():
    request = play()
    assert (request.model, request.size, request.num_variations) == ("auto", "2K", 1)
    assert (request.output_mode, request.aspect_ratio) == ("auto", None)
    assert (request.width, request.height, request.conversation) == (None, None, None)
    assert (request.images, request.identities) == ((), ())


def test_it_belongs_to_no_project_and_takes_no_slot_of_the_batch_services():
    request = play()
    assert (request.kind, request.pooled, request.project_id) == ("edit_chat", False, None)


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "a"},
        {"images": [FILE]},
        {"identities": ["id"]},
        {"prompt": "a", "images": ["i"], "identities": ["id"]},
    ],
)
def test_each_of_the_three_alone_and_all_together_will_do(given):
    assert ImagePlayground(**given).total_outputs == 1


@pytest.mark.parametrize("given", [{}, {"images": []}, {"conversation": "job_1"}])
def test_nothing_to_go_by_is_refused(given):
    with pytest.raises(
        InvalidRequestError, match=r"^prompt: give at least one of prompt, images, "
    ):
        ImagePlayground(**given)


@pytest.mark.parametrize("prompt", ["", "  ", 5])
def test_a_prompt_that_says_nothing_is_refused(prompt):
    with pytest.raises(InvalidRequestError, match=r"^prompt: must be a non-empty text"):
        play(prompt=prompt)


def test_images_keep_their_order_and_are_not_limited():
    request = play(images=[FILE, *(f"img_{n}" for n in range(2, 20))])
    assert request.input_ids == tuple(f"img_{n}" for n in range(1, 20))


@pytest.mark.parametrize("images", ["img_1", None, [""], [AnnotatedImage("img_1", "back view")]])
def test_what_is_no_list_of_plain_images_is_refused(images):
    with pytest.raises(InvalidRequestError, match=r"^images: "):
        play(images=images)


def test_two_identities_are_taken_and_three_are_not():
    assert play(identities=["a", Known("b")]).identities == ("a", "b")
    with pytest.raises(InvalidRequestError, match=r"^identities: takes at most 2, not 3"):
        play(identities=["a", "b", "c"])


@pytest.mark.parametrize("identities", ["a", None, [""], [Known("")], [3]])
def test_what_is_no_list_of_identities_is_refused(identities):
    with pytest.raises(InvalidRequestError, match=r"^identities: "):
        play(identities=identities)


@pytest.mark.parametrize("number", [1, 4])
def test_1_and_4_variations_are_taken(number):
    assert play(num_variations=number).total_outputs == number


@pytest.mark.parametrize("number", [0, 5, True, "2", None])
def test_other_numbers_of_variations_are_refused(number):
    with pytest.raises(
        InvalidRequestError, match=r"^num_variations: must be a whole number from 1"
    ):
        play(num_variations=number)


@pytest.mark.parametrize(("size", "price"), [("1K", 3), ("2K", 5), ("4K", 10)])
def test_each_variation_is_paid_by_size(size, price):
    assert play(size=size, num_variations=3).credits == 3 * price


def test_a_custom_delivery_is_paid_by_size_too():
    assert play(output_mode="custom", width=7000, height=7000, size="1K").credits == 3


@pytest.mark.parametrize(("field", "value"), [("size", "8K"), ("output_mode", "fit")])
def test_a_value_that_is_not_listed_is_refused(field, value):
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be one of"):
        play(**{field: value})


@pytest.mark.parametrize(
    "ratio", ["1:1", "3:2", "2:3", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"]
)
def test_each_documented_ratio_is_taken(ratio):
    assert play(output_mode="ratio", aspect_ratio=ratio).aspect_ratio == ratio


def test_another_ratio_is_refused():
    with pytest.raises(InvalidRequestError, match=r"^aspect_ratio: must be one of"):
        play(output_mode="ratio", aspect_ratio="1:2")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"output_mode": "ratio"}, "aspect_ratio"),
        ({"output_mode": "custom"}, "width"),
        ({"output_mode": "custom", "width": 512}, "height"),
        ({"output_mode": "custom", "height": 512}, "width"),
    ],
)
def test_a_mode_without_what_it_needs_is_refused(given, field):
    with pytest.raises(InvalidRequestError, match=f"^{field}: is needed with output_mode="):
        play(**given)


@pytest.mark.parametrize("mode", ["auto", "match", "ratio", "custom"])
@pytest.mark.parametrize(
    ("field", "value", "home"),
    [
        ("aspect_ratio", "1:1", "ratio"),
        ("width", 512, "custom"),
        ("height", 512, "custom"),
    ],
)
def test_what_belongs_to_one_mode_is_refused_with_the_others(mode, field, value, home):
    needed = {"ratio": {"aspect_ratio": "1:1"}, "custom": {"width": 512, "height": 512}}
    given = {**needed.get(mode, {}), field: value}
    if mode == home:
        assert getattr(play(output_mode=mode, **given), field) == value
        return
    with pytest.raises(InvalidRequestError, match=f"^{field}: belongs to output_mode='{home}'"):
        play(output_mode=mode, **given)


@pytest.mark.parametrize("edges", [(248, 512), (512, 7008), (513, 512), (256, 1032), (512.0, 512)])
def test_a_custom_size_keeps_the_documented_limits(edges):
    with pytest.raises(InvalidRequestError, match=r"^(width|height): "):
        play(output_mode="custom", width=edges[0], height=edges[1])


@pytest.mark.parametrize("earlier", ["job_1", Finished("job_1")])
def test_a_conversation_goes_on_from_a_job_or_its_id(earlier):
    request = play(conversation=earlier)
    assert request.conversation == request.conversation_id == "job_1"


def test_a_request_that_goes_on_from_a_job_does_not_hold_it():
    request = play(conversation=Finished("job_1"))
    assert pickle.loads(pickle.dumps(request)) == request


@pytest.mark.parametrize("earlier", ["", " ", 5, Finished(""), object()])
def test_what_is_no_job_is_refused(earlier):
    with pytest.raises(
        InvalidRequestError, match=r"^conversation: takes a job of this kind or its"
    ):
        play(conversation=earlier)


def test_a_job_of_another_kind_cannot_go_on():
    with pytest.raises(InvalidRequestError, match=r"^conversation: a garment_recolor job cannot"):
        play(conversation=Finished("job_1", "garment_recolor"))
