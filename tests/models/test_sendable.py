"""What cannot be sent is refused when it is built, by the name of its field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from piktid_async import (
    AnnotatedImage,
    CreatePackshot,
    FlatToModel,
    GarmentRecolor,
    ImagePlayground,
    ModelInstruction,
    ModelSwap,
    PackshotInstruction,
)
from piktid_async.errors import InvalidRequestError
from piktid_async.models.identities import IdentityInstruction
from piktid_async.protocol import endpoints
from piktid_async.protocol.messages import Form, Request
from piktid_async.sources import describe

HALF = "Sun \ud83d"
HOLDING_ITSELF: dict[str, Any] = {}
HOLDING_ITSELF["self"] = HOLDING_ITSELF


def recolor(**changes: Any) -> GarmentRecolor:
    return GarmentRecolor(**{"project": "p", "images": ["a"], "reference_text": "green", **changes})


def swap(options: Any) -> ModelSwap:
    return ModelSwap(identity="i", project="p", images=["a"], swap_options=options)


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("prompt", lambda: PackshotInstruction(style="free", prompt=HALF)),
        ("background", lambda: PackshotInstruction(style="free", background=HALF)),
        ("pose", lambda: ModelInstruction(pose=HALF)),
        ("category_names", lambda: ModelInstruction(category_names=["ok", HALF])),
        ("note", lambda: AnnotatedImage("a", HALF)),
        ("images", lambda: recolor(images=[HALF])),
        ("reference_image", lambda: recolor(reference_image=HALF)),
        ("project", lambda: recolor(project=HALF)),
        ("reference_text", lambda: recolor(reference_text=HALF)),
        ("identity", lambda: FlatToModel(project="p", images=["a"], identity=HALF)),
        ("conversation", lambda: ImagePlayground(prompt="x", conversation=HALF)),
        ("swap_options.mood", lambda: swap({"mood": HALF})),
        ("swap_options.", lambda: swap({HALF: 1})),
        ("appearance.age", lambda: IdentityInstruction(appearance={"age": HALF})),
    ],
)
def test_half_a_letter_is_refused_when_it_is_built(field: str, build: Callable[[], Any]) -> None:
    with pytest.raises(InvalidRequestError, match="half of a surrogate pair") as caught:
        build()
    assert field.startswith(caught.value.field)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (float("nan"), "a number that JSON has, not nan"),
        (float("-inf"), "a number that JSON has, not -inf"),
        (2**64, "at most 64 bits"),
        (-(2**63) - 1, "at most 64 bits"),
        (HOLDING_ITSELF, "holds itself"),
    ],
)
def test_what_json_does_not_have_is_refused_when_it_is_built(value: object, rule: str) -> None:
    with pytest.raises(InvalidRequestError, match=rule) as caught:
        swap({"deep": [1, value]})
    assert caught.value.field.startswith("swap_options.deep[1]")


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 1.5, None, True, "\U0001f600", [[]]])
def test_what_json_has_is_kept(value: object) -> None:
    assert swap({"deep": [value]}).swap_options == {"deep": [value]}


def test_every_body_is_checked_where_all_are_made() -> None:
    # Whatever builds it, and whichever field it is.
    body: Any = {"image_ids": [1], "inner": {"error_message": [HALF]}}
    with pytest.raises(InvalidRequestError) as caught:
        Request(method="POST", path="/any", json=body)
    assert caught.value.field == "inner.error_message[0]"


def test_every_query_is_checked() -> None:
    for value in (HALF, ("ok", HALF), float("nan")):
        with pytest.raises(InvalidRequestError) as caught:
            Request(method="GET", path="/any", params={"search": value})
        assert caught.value.field.startswith("search")


def test_every_form_is_checked() -> None:
    file = describe(b"x", None).body
    with pytest.raises(InvalidRequestError, match="name: "):
        Form(fields={"name": HALF}, name="image", filename="a", content_type="image/png", file=file)
    with pytest.raises(InvalidRequestError, match="filename: "):
        Form(fields={}, name="image", filename=HALF, content_type="image/png", file=file)


def test_the_message_names_the_place_and_a_remedy() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        endpoints.fail_stuck_images([1], "x" * 1000 + HALF)
    assert str(caught.value) == (
        "error_message: holds letters that cannot be sent: 'xxxxxxSun \\ud83d' has half of a "
        "surrogate pair; read the text anew, or leave them out"
    )


def test_images_come_in_an_order() -> None:
    with pytest.raises(InvalidRequestError, match="images: must be in order, and a set is not"):
        recolor(images={"a", "b"})
    with pytest.raises(InvalidRequestError, match="instructions: must be in order"):
        CreatePackshot(
            project="p", images=["a"], instructions=frozenset({PackshotInstruction(style="free")})
        )
    assert len(recolor(images=dict.fromkeys("ab").keys()).images) == 2
