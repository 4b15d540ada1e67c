"""The four documented endpoints. Their errors are not documented: `{"detail": "<text>"}`."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import orjson
from aiohttp import web

from piktid_async.sandbox import connections
from piktid_async.sandbox.answers import json_answer
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.vtryon.pages import detail, page
from piktid_async.sandbox.vtryon.runner import TaskRunner
from piktid_async.sandbox.vtryon.state import MODELS, POSES, Change, Look, Task, Tasks

_RECOLORS = "/v4/models/multipose-image-recolor/"
_TASK = r"/v2/models/multipose-tasks/{task_id:\d+}/"


@attrs.frozen(kw_only=True)
class VtryonRoutes:
    """Create, poll, list, delete."""

    tasks: Tasks
    runner: TaskRunner
    faults: Faults

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post(_RECOLORS, self.create),
            web.get(_RECOLORS, self.list),
            web.get(_TASK, self.poll),
            web.delete(_TASK, self.delete),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Queue a task."""
        task = self.tasks.add(*_checked(await request.read()))
        self.runner.start(task)
        if self.faults.take("vtryon_create_lost"):
            return connections.reset(request)
        return json_answer({"id": task.number, "status": "queued", "created_at": task.created_at})

    async def poll(self, request: web.Request) -> web.Response:
        """Tell of one task."""
        if self.faults.take("vtryon_poll_errors"):
            raise detail(503, "Service temporarily unavailable")
        return json_answer(self._find(request).body())

    async def list(self, request: web.Request) -> web.Response:
        """Cut one page out of all tasks, newest first."""
        newest = [task.body() for task in reversed(self.tasks.by_number.values())]
        return json_answer(page(request, newest))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a task and its picture."""
        task = self._find(request)
        del self.tasks.by_number[task.number]
        self.runner.drop(task)
        if self.faults.take("vtryon_delete_lost"):
            return connections.reset(request)
        return json_answer({"detail": "Deleted successfully"})

    def _find(self, request: web.Request) -> Task:
        task = self.tasks.by_number.get(int(request.match_info["task_id"]))
        if task is None:
            raise detail(404, "Not found.")
        return task


def _checked(raw: bytes) -> tuple[Look, tuple[Change, ...], Literal["2k", "4k"]]:
    """Return the request, or raise the 400 or 404 that it deserves."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise detail(400, "JSON parse error") from None
    if not isinstance(body, dict):
        raise detail(400, "Invalid data. Expected a dictionary.")
    quality = body.get("image_quality", "2k")
    if quality not in ("2k", "4k"):
        raise detail(400, "image_quality: must be '2k' or '4k'.")
    return _look(body), _changes(body.get("color_changes")), quality


def _look(body: dict[str, Any]) -> Look:
    # The page marks both ids as required, and its own sample sends the pose's alone.
    found: Look | None = None
    for name, looks in (
        ("models_image_generation_task_id", MODELS),
        ("pose_image_generation_id", POSES),
    ):
        number = body.get(name)
        if number is None:
            continue
        if type(number) is not int:
            raise detail(400, f"{name}: a valid integer is required.")
        found = looks.get(number)
        if found is None:
            raise detail(404, f"{name}: there is no task {number}.")
    if found is None:
        raise detail(400, "pose_image_generation_id: this field is required.")
    return found


def _changes(listed: object) -> tuple[Change, ...]:
    if not isinstance(listed, list) or not listed:
        raise detail(400, "color_changes: this field is required.")
    changes = []
    for each in listed:
        words = [each.get("target"), each.get("color")] if isinstance(each, dict) else [None]
        if not all(isinstance(word, str) and word.strip() for word in words):
            raise detail(400, "color_changes: each needs a target and a color.")
        changes.append(Change(*words))
    return tuple(changes)
