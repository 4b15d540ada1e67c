"""Rules that are checked when a recolor is built."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from piktid_async import InvalidRequestError
from piktid_async.vtryon import ColorChange, Recolor, TaskResult

RED = ColorChange("blouse", "red")


@pytest.mark.parametrize(
    "ids",
    [
        {"pose_image_generation_id": 936},
        {"models_image_generation_task_id": 411},
        {"pose_image_generation_id": 936, "models_image_generation_task_id": 411},
    ],
)
def test_either_base_is_enough_since_the_page_contradicts_itself(ids: dict[str, int]) -> None:
    recolor = Recolor(**ids, color_changes=[RED])
    assert recolor.color_changes == (RED,)
    assert recolor.image_quality == "2k"
    assert pickle.loads(pickle.dumps(recolor)) == copy.copy(recolor) == recolor


BASE: dict[str, Any] = {"pose_image_generation_id": 936, "color_changes": [RED]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pose_image_generation_id": None}, "pose_image_generation_id: a recolor needs a base"),
        ({"pose_image_generation_id": "936"}, "pose_image_generation_id: must be the number"),
        ({"pose_image_generation_id": True}, "pose_image_generation_id: must be the number"),
        ({"models_image_generation_task_id": 0}, "models_image_generation_task_id: must be"),
        ({"color_changes": []}, "color_changes: takes at least one"),
        ({"color_changes": RED}, "color_changes: must be a list, not ColorChange"),
        ({"color_changes": [("blouse", "red")]}, "color_changes: takes ColorChange"),
        ({"image_quality": "8k"}, "image_quality: must be one of '2k', '4k'"),
    ],
)
def test_what_the_page_forbids_is_refused_by_field_and_rule(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Recolor(**BASE | changes)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(("target", "color"), [("", "red"), ("blouse", " "), ("blouse", None)])
def test_a_change_needs_a_garment_and_a_colour(target: str, color: Any) -> None:
    with pytest.raises(InvalidRequestError, match="must be a non-empty text"):
        ColorChange(target, color)


def test_the_query_of_a_link_is_not_shown() -> None:
    shown = repr(TaskResult(id=1, status="completed", result_url="https://c.invalid/r?sig=hidden"))
    assert "https://c.invalid/r" in shown
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("queued", False),
        ("pending", False),
        ("processing", False),
        ("completed", True),
        ("failed", True),
        ("upscaling", False),
    ],
)
def test_only_two_statuses_are_the_last(status: str, ended: bool) -> None:
    assert TaskResult(id=1, status=status).ended is ended
