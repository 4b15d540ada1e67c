from __future__ import annotations

from typing import Any

import pytest

from piktid_async import (
    CreateIdentity,
    IdentityInstruction,
    IdentityOptions,
    InvalidRequestError,
    UploadedFile,
)

FILE = UploadedFile(file_id="file-1", filename="a.jpg", content_type="image/jpeg")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "prompt"),
        ({"appearance": {}}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x", "num_variations": 0}, "num_variations"),
        ({"prompt": "x", "num_variations": 9}, "num_variations"),
        ({"prompt": "x", "input_assets": ["a", "b", "c", "d"]}, "input_assets"),
        ({"prompt": "x", "input_assets": "abc"}, "input_assets"),
        ({"prompt": "x", "input_assets": [{}]}, "input_assets"),
        ({"face": "round"}, "face"),
        ({"prompt": "x", "options": {"size": "2K"}}, "options"),
    ],
)
def test_an_instruction_against_the_rules_names_the_field(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        IdentityInstruction(**fields)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "at least one"),
        (["a tall person"], "not str"),
        ("a tall person", "wrap it"),
        ([{"prompt": "x", "outfit": {}}], "no field outfit"),
        ([{"prompt": "x", "options": {"width": 512}}], "no field width"),
    ],
)
def test_instructions_that_are_none_are_refused(given: Any, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        CreateIdentity(instructions=given)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input_assets": [FILE]}, "takes none"),
        ({"options": IdentityOptions(size="2K")}, "1K only"),
        ({"options": IdentityOptions(ar="21:9")}, "21:9"),
    ],
)
def test_orbita_has_rules_of_its_own(fields: dict[str, Any], words: str) -> None:
    instruction = IdentityInstruction(prompt="x", **fields)
    assert CreateIdentity(instructions=[instruction]).model == "auto"
    with pytest.raises(InvalidRequestError, match=words):
        CreateIdentity(instructions=[instruction], model="orbita")


def test_drafts_are_counted_and_their_price_is_not_known() -> None:
    request = CreateIdentity(
        instructions=[
            {"hair": {"color": "red"}, "num_variations": 3},
            IdentityInstruction(prompt="x", input_assets=[FILE, {"file_id": "file-2"}]),
        ]
    )
    assert (request.total_outputs, request.credits, request.project_id) == (4, None, None)
    assert request.input_ids == ("file-1", "file-2")
