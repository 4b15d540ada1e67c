"""Recolor: made under `/v4`, polled and deleted under `/v2`; and the pictures for the try-on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import attrs

from piktid_async.errors import ResponseFormatError
from piktid_async.protocol import codec
from piktid_async.protocol.messages import Call, Form, Request, Response
from piktid_async.protocol.responses import raise_for_status, read_object
from piktid_async.types import Json, JsonObject, Params
from piktid_async.vtryon.models import Recolor, TaskResult, TryOnImage

T = TypeVar("T")

RECOLORS = "/v4/models/multipose-image-recolor/"
TASKS = "/v2/models/multipose-tasks/"
PERSON_IMAGES = "/v2/tryon/person-images/"
GARMENT_IMAGES = "/v2/tryon/garment-images/"

REASONS = ("error_message", "error", "error_details", "message", "detail", "reason")
"""Where the reason of a failure is looked for: the page says that there is one, not where."""


@attrs.frozen
class Rows(Generic[T]):
    """One page of a list."""

    rows: tuple[T, ...]
    has_next: bool


def create(recolor: Recolor) -> Call[TaskResult]:
    """`POST /v4/models/multipose-image-recolor/`: makes a task, each time it is sent."""
    ids: JsonObject = {
        name: value
        for name in ("pose_image_generation_id", "models_image_generation_task_id")
        if (value := getattr(recolor, name)) is not None
    }
    changes: list[Json] = [
        {"target": change.target, "color": change.color} for change in recolor.color_changes
    ]
    body: Json = {**ids, "color_changes": changes, "image_quality": recolor.image_quality}
    return _one(Request(method="POST", path=RECOLORS, json=body))


def read_task(task_id: int) -> Call[TaskResult]:
    """`GET /v2/models/multipose-tasks/{task_id}/`."""
    return _one(Request(method="GET", path=f"{TASKS}{task_id}/", replayable=True))


def list_tasks(page: int, page_size: int | None) -> Call[Rows[TaskResult]]:
    """`GET /v4/models/multipose-image-recolor/`; the order of the tasks is not documented."""
    size: Params = {} if page_size is None else {"page_size": page_size}
    request = Request(method="GET", path=RECOLORS, params={"page": page, **size}, replayable=True)
    return Call(request, partial(_page, request, _task))


def delete(task_id: int) -> Call[None]:
    """`DELETE /v2/models/multipose-tasks/{task_id}/`, for good."""
    request = Request(method="DELETE", path=f"{TASKS}{task_id}/", replayable=True)
    return Call(request, partial(raise_for_status, request))


def upload_image(path: str, form: Form) -> Call[TryOnImage]:
    """`POST` to the one or the other list of pictures: makes an image, each time it is sent."""
    request = Request(method="POST", path=path, form=form)
    return Call(request, lambda response: _image(request.call, read_object(request, response)))


def list_images(
    path: str, page: int, page_size: int | None, name: str | None
) -> Call[Rows[TryOnImage]]:
    """`GET` of the one or the other list of pictures."""
    given = {"page_size": page_size, "image_name": name}
    params: Params = {key: value for key, value in given.items() if value is not None}
    request = Request(method="GET", path=path, params={"page": page, **params}, replayable=True)
    return Call(request, partial(_page, request, _image))


def delete_person_image(image_id: int) -> Call[None]:
    """`DELETE /v2/tryon/person-images/{id}/`."""
    request = Request(method="DELETE", path=f"{PERSON_IMAGES}{image_id}/", replayable=True)
    return Call(request, partial(raise_for_status, request))


def _one(request: Request) -> Call[TaskResult]:
    def parse(response: Response) -> TaskResult:
        return _task(request.call, read_object(request, response))

    return Call(request, parse)


def _page(request: Request, read: Callable[[str, JsonObject], T], response: Response) -> Rows[T]:
    body = read_object(request, response)
    rows = body.get("results")
    if not isinstance(rows, list):
        raise ResponseFormatError(request.call, "required field missing @ $.results")
    found = tuple(read(request.call, row) for row in rows if isinstance(row, dict))
    # Only whether there is a next page: its URL names an origin, and the key goes to ours alone.
    return Rows(found, has_next=bool(rows) and body.get("next") is not None)


def _image(call: str, body: JsonObject) -> TryOnImage:
    return codec.structure(call, body, TryOnImage)


def _task(call: str, body: JsonObject) -> TaskResult:
    # One with an empty link has none.
    told: JsonObject = {"result_url": body.get("result_url") or None, "error_message": _why(body)}
    return codec.structure(call, {**body, **told}, TaskResult)


def _why(body: JsonObject) -> str | None:
    for name in REASONS:
        reason = body.get(name)
        if isinstance(reason, dict):
            reason = reason.get("message")
        if isinstance(reason, str) and reason.strip():
            return reason
    return None
