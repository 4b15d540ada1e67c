"""The calls send what the page shows, and read what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from piktid_async import NotFoundError, ResponseFormatError
from piktid_async.forms import picture_form
from piktid_async.protocol.messages import Call, Response
from piktid_async.sources import describe
from piktid_async.vtryon import ColorChange, Recolor, TaskResult, TryOnImage, endpoints

WIRE = Path(__file__).parents[1] / "wire"

RECOLOR = Recolor(
    pose_image_generation_id=936,
    color_changes=[ColorChange("blouse", "royal blue"), ColorChange("lehenga", "royal blue")],
)
DONE = TaskResult(id=501, status="completed", result_url="https://cdn.vtryon.com/res/...")
IMAGE = TryOnImage(id=12, image_url="https://cdn.vtryon.com/...")
FORM = picture_form(describe(b"pixels", None), {"image_name": "front"})
SAMPLES: dict[str, tuple[Call[Any], Any]] = {
    "create": (
        endpoints.create(RECOLOR),
        TaskResult(id=501, status="queued", created_at="2024-05-05T12:00:00Z"),
    ),
    "poll": (endpoints.read_task(501), DONE),
    "list": (endpoints.list_tasks(1, 10), endpoints.Rows((DONE,), has_next=False)),
    "delete": (endpoints.delete(501), None),
    "person_upload": (endpoints.upload_image(endpoints.PERSON_IMAGES, FORM), IMAGE),
    "person_list": (
        endpoints.list_images(endpoints.PERSON_IMAGES, 1, 10, "front"),
        endpoints.Rows((IMAGE,), has_next=False),
    ),
    "person_delete": (endpoints.delete_person_image(12), None),
    "garment_upload": (endpoints.upload_image(endpoints.GARMENT_IMAGES, FORM), IMAGE),
    "garment_list": (
        endpoints.list_images(endpoints.GARMENT_IMAGES, 1, 10, "front"),
        endpoints.Rows((IMAGE,), has_next=False),
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_documented_exchange_is_sent_and_read(name: str) -> None:
    call, value = SAMPLES[name]
    sample = json.loads((WIRE / f"vtryon_{name}.json").read_text())
    request = call.request
    assert (request.method, request.path) == (
        sample["request"]["method"],
        sample["request"]["path"],
    )
    assert request.json == sample["request"].get("json")
    assert (request.form and request.form.fields) == sample["request"].get("form")
    assert dict(request.params or {}) == sample["request"].get("params", {})
    assert call.parse(answer(sample["response"]["json"])) == value


def answer(body: Any, status: int = 200) -> Response:
    return Response(status=status, body=orjson.dumps(body))


def test_what_makes_something_is_not_replayable() -> None:
    once = {name for name, (call, _) in SAMPLES.items() if not call.request.replayable}
    assert once == {"create", "person_upload", "garment_upload"}


def test_only_the_ids_that_are_given_are_sent() -> None:
    both = Recolor(
        pose_image_generation_id=936,
        models_image_generation_task_id=411,
        color_changes=[ColorChange("blouse", "#0000ff")],
        image_quality="4k",
    )
    assert endpoints.create(both).request.json == {
        "pose_image_generation_id": 936,
        "models_image_generation_task_id": 411,
        "color_changes": [{"target": "blouse", "color": "#0000ff"}],
        "image_quality": "4k",
    }


@pytest.mark.parametrize(
    "details",
    [
        {"error": "no garment"},
        {"error": {"code": 7, "message": "no garment"}},
        {"error_message": "no garment", "message": "ok"},
        {"detail": "no garment"},
        {"error": None, "reason": "no garment"},
    ],
)
def test_the_reason_of_a_failure_is_found_under_any_usual_name(details: Any) -> None:
    told = endpoints.read_task(1).parse(answer({"id": 1, "status": "failed", **details}))
    assert told == TaskResult(id=1, status="failed", error_message="no garment")


def test_new_fields_and_an_empty_link_are_no_trouble() -> None:
    told = endpoints.read_task(1).parse(
        answer({"id": 1, "status": "upscaling", "result_url": "", "eta": [1, 2]})
    )
    assert told == TaskResult(id=1, status="upscaling")


@pytest.mark.parametrize("body", [[], {}, {"id": "x", "status": "queued"}, {"id": 1, "status": 2}])
def test_an_answer_that_is_no_task_is_named(body: Any) -> None:
    with pytest.raises(ResponseFormatError, match=r"GET /v2/models/multipose-tasks/1/: "):
        endpoints.read_task(1).parse(answer(body))


@pytest.mark.parametrize("body", [{}, {"results": {}}, {"results": [{"id": 1}]}])
def test_an_answer_that_is_no_list_is_named(body: Any) -> None:
    with pytest.raises(ResponseFormatError, match="GET /v4/models/multipose-image-recolor/"):
        endpoints.list_tasks(1, None).parse(answer(body))


def test_an_empty_page_is_the_last_whatever_it_says() -> None:
    page = endpoints.list_tasks(9, None).parse(answer({"next": "http://x/", "results": []}))
    assert page == endpoints.Rows((), has_next=False)


def test_a_refusal_has_the_service_s_words() -> None:
    with pytest.raises(NotFoundError, match="Not found"):
        endpoints.delete(1).parse(answer({"detail": "Not found."}, 404))
