from __future__ import annotations

import warnings
from typing import Any

import attrs
import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.flat_to_model import FlatToModel, ModelInstruction
from piktid_async.models.outputs import Camera, DesignValue
from piktid_async.protocol import endpoints


@attrs.frozen
class Known:
    identity_code: str


def flat(**changes: Any) -> FlatToModel:
    return FlatToModel(**{"identity": "id", "project": "p", "images": ["i", "j"], **changes})


def test_the_kind_is_the_services():
    assert FlatToModel.kind == "flat_2_model"


def test_without_instructions_there_is_one_default_output_of_unknown_price():
    request = flat()
    assert (request.instructions, request.total_outputs, request.credits) == ((), 1, None)
    assert (request.use_anchor, request.add_ai_watermark) == (True, False)


def test_10_instructions_are_taken_and_11_are_not():
    assert flat(instructions=[ModelInstruction()] * 10).total_outputs == 10
    with pytest.raises(InvalidRequestError, match=r"^instructions: takes at most 10, not 11"):
        flat(instructions=[ModelInstruction()] * 11)


def test_without_instructions_only_the_first_can_be_the_anchor():
    with pytest.raises(InvalidRequestError, match=r"^anchor_index: must be from 0 to 0"):
        flat(anchor_index=1)


def test_an_identity_comes_as_such_or_as_its_code():
    assert flat(identity="default-pro-x").identity == "default-pro-x"
    assert flat(identity=Known("id_7")).identity == "id_7"


@pytest.mark.parametrize("identity", ["", " ", None, 7, b"id", Known("")])
def test_what_is_no_identity_is_refused(identity):
    with pytest.raises(InvalidRequestError, match=r"^identity: takes an identity or its code"):
        flat(identity=identity)


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_the_mark_is_asked_for_with_true_or_false(value):
    with pytest.raises(InvalidRequestError, match=r"^add_ai_watermark: must be True or False"):
        flat(add_ai_watermark=value)


@pytest.mark.parametrize("field", ["pose", "expression", "mood", "camera", "style", "background"])
@pytest.mark.parametrize("value", ["calm", 3, DesignValue("calm", "img_1")])
def test_each_design_field_takes_text_an_index_or_a_design_value(field, value):
    assert getattr(ModelInstruction(**{field: value}), field) == value
    with pytest.raises(InvalidRequestError, match=f"^{field}: must be a non-empty text"):
        ModelInstruction(**{field: ""})


def test_only_the_camera_takes_a_camera():
    camera = Camera(framing="full body")
    assert ModelInstruction(camera=camera).camera is camera
    with pytest.raises(InvalidRequestError, match=r"^pose: "):
        ModelInstruction(pose=camera)  # type: ignore[arg-type]


def test_the_deprecated_angle_warns_the_line_that_uses_it():
    with pytest.warns(DeprecationWarning, match=r"camera=Camera\(angle=...\)") as caught:
        instruction = ModelInstruction(angle="front")
    assert [warning.filename for warning in caught] == [__file__]
    assert instruction.angle == "front"


def test_nothing_else_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ModelInstruction(camera=Camera(angle="low"))


def test_the_alternative_method_is_still_taken_and_warns_the_line_that_uses_it():
    with pytest.warns(DeprecationWarning, match="use model='seedream'") as caught:
        request = flat(use_alternative_method=True)
    assert [warning.filename for warning in caught] == [__file__]
    body: Any = endpoints.submit(request).request.json
    assert body["options"]["use_alternative_method"] is True
    with pytest.raises(InvalidRequestError, match=r"^use_alternative_method: .* not 'gpt_image'"):
        flat(use_alternative_method=True, model="gpt_image")
    body = endpoints.submit(flat()).request.json
    assert "use_alternative_method" not in body["options"]


def test_a_review_is_passed_on_as_it_is():
    review = {"requires_review": True, "auto_approve_threshold": 0.5}
    body: Any = endpoints.submit(flat(review_config=review)).request.json
    assert body["review_config"] == review
    assert "review_config" not in endpoints.submit(flat()).request.json
    with pytest.raises(InvalidRequestError, match=r"^review_config: must be a mapping, not list"):
        flat(review_config=[])
    hash(flat(review_config=review))
