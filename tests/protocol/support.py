"""Samples of what goes over the wire, and the values that go in and come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.feed import read_notification
from piktid_async.protocol.messages import Request, Response
from piktid_async.types import Json, JsonObject, NoteId

WIRE = Path(__file__).parents[1] / "wire"


@attrs.frozen
class Sample:
    """One file of `tests/wire`."""

    name: str
    content: dict[str, Any]

    @property
    def request(self) -> dict[str, Any]:
        found: dict[str, Any] = self.content["request"]
        return found

    @property
    def body(self) -> Any:
        return self.content["response"]["json"]

    @property
    def response(self) -> Response:
        answer = self.content["response"]
        body = answer["text"] if "text" in answer else json.dumps(answer["json"])
        return Response(
            status=answer["status"], headers=answer.get("headers", {}), body=body.encode()
        )

    @property
    def notification(self) -> WireNotification:
        return read_notification(json.dumps(self.content["notification"]))


def sample(name: str) -> Sample:
    return Sample(name, json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8")))


def sample_names() -> list[str]:
    return sorted(path.stem for path in WIRE.glob("*.json"))


def sent(request: Request) -> dict[str, Any]:
    """What a request puts on the wire, in the form of the samples."""
    parts = {
        "method": request.method,
        "path": request.path,
        "params": request.params,
        "json": request.json,
    }
    return {key: value for key, value in parts.items() if value is not None}


def answer(value: Json, status: int = 200, **headers: str) -> Response:
    return Response(status=status, headers=headers, body=json.dumps(value).encode())


def note(
    note_id: NoteId, job_id: str | None = "j", name: str = "batch_edit", **data: Json
) -> WireNotification:
    content: JsonObject = {"id_task": job_id, **data}
    return WireNotification(note_id, name, 0.0, job_id, content)


def text_of(wire: WireNotification) -> bytes:
    """What the stream holds of it."""
    parts = {"id": wire.id, "name": wire.name, "timestamp": wire.timestamp, "data": wire.data}
    return json.dumps(parts).encode()
