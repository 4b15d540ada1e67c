"""Notifications: the stream, polling, and deleting what was handled."""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import invalid, json_answer, json_object, problem, refuse
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.middleware import STREAM_PATH
from piktid_async.sandbox.notifications import Filter, NotificationBoard
from piktid_async.sandbox.paging import query_list
from piktid_async.sandbox.stream import Streams


@attrs.frozen(kw_only=True)
class NotificationRoutes:
    """`/notifications...`."""

    board: NotificationBoard
    streams: Streams
    faults: Faults

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get(STREAM_PATH, self.stream),
            web.post("/notifications", self.poll),
            web.delete("/notifications/{id}", self.delete),
        ]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Open an event stream."""
        if self.faults.stream_refuse:
            self.faults.happened("stream_refuse")
            raise refuse(503, "Service temporarily unavailable")
        wanted = Filter(
            tasks=query_list(request, "id_task"),
            images=query_list(request, "id_image"),
            names=query_list(request, "name_list"),
        )
        return await self.streams.serve(request, wanted)

    async def poll(self, request: web.Request) -> web.Response:
        """List what is outstanding."""
        body = await json_object(request)
        names = _texts("name_list", body.get("name_list"))
        if names is None:
            raise invalid(problem("name_list", "Missing data for required field."))
        wanted = Filter(names=names, tasks=_texts("id_task", body.get("id_task")))
        return json_answer([note.body() for note in self.board.outstanding(wanted)])

    async def delete(self, request: web.Request) -> web.Response:
        """Acknowledge one notification."""
        if self.faults.take("acks_fail"):
            raise refuse(500, "Internal server error")
        text = request.match_info["id"]
        if not (text.isascii() and text.isdigit() and self.board.acknowledge(int(text))):
            raise refuse(404, "Notification not found")
        return json_answer({"success": True, "message": "Notification deleted"})


def _texts(field: str, value: Any) -> set[str] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return {value}
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return set(value)
    raise invalid(problem(field, "Must be a string or a list of strings."))
