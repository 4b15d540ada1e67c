from __future__ import annotations

from typing import Any, get_args

import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.create_packshot import CreatePackshot, PackshotInstruction, Style
from piktid_async.models.outputs import DesignValue
from piktid_async.protocol import endpoints

STYLES = get_args(Style)


def test_the_kind_is_the_services():
    assert CreatePackshot.kind == "create_packshot"


def test_a_style_is_needed_and_must_be_a_known_one():
    assert sorted(STYLES) == [
        "flat_lay",
        "free",
        "ghost_mannequin",
        "marketing_ready",
        "white_cutout",
    ]
    with pytest.raises(TypeError, match="style"):
        PackshotInstruction()  # type: ignore[call-arg]
    with pytest.raises(InvalidRequestError, match=r"^style: must be one of 'flat_lay', "):
        PackshotInstruction(style="flatlay")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("framing", ["square_packshot", "tall_3_4", "wide_4_3", "full_frame"]),
        ("angle", ["front", "back", "three_quarter", "top_down", "detail_macro"]),
        ("shadow", ["auto", "none", "contact", "soft_drop", "natural"]),
    ],
)
def test_the_documented_values_are_taken_and_no_others(field, values):
    for value in values:
        assert getattr(PackshotInstruction(style="free", **{field: value}), field) == value
    for value in ("", "Front", 1, True):
        with pytest.raises(InvalidRequestError, match=f"^{field}: must be one of"):
            PackshotInstruction(style="free", **{field: value})


@pytest.mark.parametrize("angle", [None, "top_down"])
def test_a_flat_lay_is_seen_from_above_said_or_unsaid(angle):
    assert PackshotInstruction(style="flat_lay", angle=angle).angle == angle


@pytest.mark.parametrize("angle", [None, "front", "back", "three_quarter", "detail_macro"])
def test_a_flat_lay_is_sent_as_seen_from_above_whatever_is_given(angle):
    lay = PackshotInstruction(style="flat_lay", angle=angle)
    request = CreatePackshot(project="p", images=["i"], instructions=[lay])
    body: Any = endpoints.submit(request).request.json
    assert body["instructions"][0]["angle"] == "top_down"


@pytest.mark.parametrize("value", ["linen", 0, DesignValue("linen")])
@pytest.mark.parametrize(("field", "home"), [("props", "marketing_ready"), ("surface", "flat_lay")])
def test_a_field_of_one_style_is_refused_with_the_others(field, home, value):
    assert getattr(PackshotInstruction(style=home, **{field: value}), field) == value
    for style in {*STYLES} - {home}:
        with pytest.raises(InvalidRequestError) as caught:
            PackshotInstruction(style=style, **{field: value})
        assert caught.value.field == field
        assert f"only with style {home!r}, not {style!r}" in caught.value.rule
        assert "leave it out" in caught.value.rule


def test_a_packshot_without_instructions_is_refused():
    with pytest.raises(InvalidRequestError, match=r"^instructions: .* at least one"):
        CreatePackshot(project="p", images=["i"], instructions=[])


def test_no_number_of_instructions_is_too_many():
    looks = [PackshotInstruction(style="free")] * 30
    assert CreatePackshot(project="p", images=["i"], instructions=looks).total_outputs == 30
