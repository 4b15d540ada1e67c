"""`/notifications`."""

from __future__ import annotations

from piktid_async.protocol.endpoints.building import get, segment
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import raise_for_status
from piktid_async.types import NoteId


def events() -> Request:
    """`GET /notifications/events`: the stream; the token goes in the header, not the query."""
    return get("/notifications/events")


def acknowledge(note_id: NoteId) -> Call[None]:
    """`DELETE /notifications/{id}`; one that is gone already is acknowledged."""
    path = f"/notifications/{segment('id', str(note_id))}"
    request = Request(method="DELETE", path=path, replayable=True)

    def parse(response: Response) -> None:
        if response.status not in (404, 410):
            raise_for_status(request, response)

    return Call(request, parse)
