"""The rules that packshots and flat-to-model share, for both of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.create_packshot import CreatePackshot, PackshotInstruction
from piktid_async.models.flat_to_model import FlatToModel, ModelInstruction
from piktid_async.models.images import AnnotatedImage, UploadedFile
from piktid_async.models.outputs import OutputOptions
from piktid_async.models.projects import Project

FILE = UploadedFile(file_id="img_1", filename="a.jpg", content_type="image/jpeg")

Kind = type[CreatePackshot] | type[FlatToModel]
both = pytest.mark.parametrize("kind", [CreatePackshot, FlatToModel])


def look(kind: Kind, **fields: Any) -> Any:
    if kind is CreatePackshot:
        return PackshotInstruction(**{"style": "free", **fields})
    return ModelInstruction(**fields)


def job(kind: Kind, **fields: Any) -> Any:
    given = {"project": "p", "images": ["img_1"], "instructions": [look(kind)], **fields}
    return kind(**given) if kind is CreatePackshot else kind(identity="id", **given)


@both
def test_the_defaults_are_the_documented_ones(kind):
    request = job(kind)
    assert (request.post_process, request.model, request.anchor_index) == (False, "auto", 0)
    assert request.use_anchor is (kind is FlatToModel)
    assert request.pooled is True
    assert request.conversation_id is None
    fields = attrs.asdict(request.instructions[0])
    assert fields.pop("num_variations") == 1
    if kind is CreatePackshot:
        fields.pop("style")
    assert set(fields.values()) == {None, ()}


@both
@pytest.mark.parametrize("number", [1, 10])
def test_1_and_10_images_are_taken(kind, number):
    assert len(job(kind, images=["i"] * number).images) == number


@both
@pytest.mark.parametrize("number", [0, 11])
def test_0_and_11_images_are_refused(kind, number):
    with pytest.raises(InvalidRequestError, match=f"^images: takes 1 to 10 images, not {number}"):
        job(kind, images=["i"] * number)


@both
def test_images_come_as_files_ids_and_annotated_images_and_keep_their_order(kind):
    images = (FILE, "img_2", AnnotatedImage("img_3", "back view"))
    request = job(kind, images=iter(images))
    assert request.images == images
    assert request.input_ids == ("img_1", "img_2", "img_3")


@both
@pytest.mark.parametrize("images", ["img_1", b"x", None, [None], [""], [7], [AnnotatedImage("")]])
def test_what_is_no_list_of_images_is_refused(kind, images):
    with pytest.raises(InvalidRequestError, match=r"^images: "):
        job(kind, images=images)


@both
def test_a_project_comes_as_such_or_as_its_id(kind):
    assert job(kind, project=Project("p7", "spring")).project_id == "p7"
    assert job(kind, project="p7").project_id == "p7"
    with pytest.raises(InvalidRequestError, match=r"^project: "):
        job(kind, project="")


@both
def test_instructions_must_be_a_list_of_the_right_kind(kind):
    other = FlatToModel if kind is CreatePackshot else CreatePackshot
    with pytest.raises(InvalidRequestError, match=r"^instructions: must be a list, .* wrap it"):
        job(kind, instructions=look(kind))
    for wrong in (look(other), {"style": "free"}, None):
        with pytest.raises(InvalidRequestError, match=r"^instructions: takes \w+Instruction\("):
            job(kind, instructions=[wrong])


@both
@pytest.mark.parametrize("number", [1, 8])
def test_1_and_8_variations_are_taken(kind, number):
    assert look(kind, num_variations=number).num_variations == number


@both
@pytest.mark.parametrize("number", [0, 9, True, 2.0, "2", None])
def test_other_numbers_of_variations_are_refused(kind, number):
    with pytest.raises(
        InvalidRequestError, match=r"^num_variations: must be a whole number from 1"
    ):
        look(kind, num_variations=number)


@both
def test_the_variations_of_all_instructions_make_the_outputs(kind):
    looks = [look(kind, num_variations=number) for number in (3, 1, 8)]
    assert job(kind, instructions=looks, images=["i"] * 4).total_outputs == 12


@both
def test_every_variation_is_paid_by_its_instructions_size(kind):
    looks = [
        look(kind, num_variations=number, options=OutputOptions(size=size))
        for number, size in ((1, "1K"), (2, "2K"), (3, "4K"))
    ]
    assert job(kind, instructions=looks).credits == 3 + 2 * 5 + 3 * 10


@both
@pytest.mark.parametrize(
    "options", [None, OutputOptions(), OutputOptions(size="2K", width=512, height=512)]
)
def test_one_instruction_of_unknown_price_makes_the_whole_price_unknown(kind, options):
    known = look(kind, options=OutputOptions(size="1K"))
    assert job(kind, instructions=[known]).credits == 3
    assert job(kind, instructions=[known, look(kind, options=options)]).credits is None


@both
def test_the_anchor_is_one_of_the_instructions(kind):
    looks = [look(kind)] * 3
    last = job(kind, instructions=looks, use_anchor=True, anchor_index=2)
    assert last.anchor_index == 2
    for wrong in (3, -1):
        with pytest.raises(InvalidRequestError, match=f"^anchor_index: .* 0 to 2, .* not {wrong}"):
            job(kind, instructions=looks, use_anchor=True, anchor_index=wrong)
    for wrong in (True, 1.0, "1", None):
        with pytest.raises(InvalidRequestError, match=r"^anchor_index: must be a whole number"):
            job(kind, instructions=looks, use_anchor=True, anchor_index=wrong)


@both
def test_an_anchor_is_not_chosen_in_vain(kind):
    with pytest.raises(InvalidRequestError, match=r"^anchor_index: .* set use_anchor=True"):
        job(kind, instructions=[look(kind)] * 2, use_anchor=False, anchor_index=1)


@both
@pytest.mark.parametrize("model", ["nano_banana_pro", "an_engine_of_next_year"])
def test_any_engine_can_be_named(kind, model):
    assert job(kind, model=model).model == model
    with pytest.raises(InvalidRequestError, match=r"^model: "):
        job(kind, model="")


@both
@pytest.mark.parametrize("field", ["post_process", "use_anchor"])
@pytest.mark.parametrize("value", [1, "true", None])
def test_a_switch_is_true_or_false(kind, field, value):
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be True or False"):
        job(kind, **{field: value})


@both
@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("background", "", "must be a non-empty text"),
        ("lighting", {"quality": "soft"}, "must be a non-empty text.* or Lighting"),
        ("color_palette", -1, "must be a non-empty text"),
        ("prompt", 5, "must be text, not int"),
        ("seed", 1.5, "must be a whole number"),
        ("preset_name", " ", "must be a non-empty text"),
        ("category_names", "Summer", "must be a list"),
        ("category_names", ["Summer", 3], "must be texts"),
        ("options", {"size": "2K"}, r"must be OutputOptions\(...\), not dict"),
    ],
)
def test_a_broken_field_is_named_with_its_rule(kind, field, value, rule):
    with pytest.raises(InvalidRequestError, match=f"^{field}: {rule}"):
        look(kind, **{field: value})


@both
def test_an_empty_prompt_leaves_the_words_to_the_engine(kind):
    assert look(kind, prompt="").prompt == ""


@both
def test_requests_are_equal_hashable_copied_pickled_and_never_changed(kind):
    request = job(kind, instructions=[look(kind, category_names=["a"])])
    for twin in (copy.deepcopy(request), pickle.loads(pickle.dumps(request))):
        assert twin == request
        assert hash(twin) == hash(request)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.model = "seedream"
    with pytest.raises(TypeError):
        job(kind, imagse=[])
