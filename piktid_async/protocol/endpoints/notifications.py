"""`/notifications`."""

from __future__ import annotations

from collections.abc import Sequence

from piktid_async.errors import ResponseFormatError
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.endpoints.building import get, segment
from piktid_async.protocol.feed import notification_of
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import raise_for_status, read_json
from piktid_async.types import JsonObject, NoteId


def events() -> Request:
    """`GET /notifications/events`: the stream; the token goes in the header, not the query."""
    return get("/notifications/events")


def acknowledge(note_id: NoteId) -> Call[None]:
    """`DELETE /notifications/{id}`; one that is gone already is acknowledged."""
    # A number has nothing to quote.
    own = note_id if isinstance(note_id, int) else segment("id", note_id)
    request = Request(method="DELETE", path=f"/notifications/{own}", replayable=True, beside=True)

    def parse(response: Response) -> None:
        if response.status not in (204, 404, 410):
            raise_for_status(request, response)

    return Call(request, parse)


def outstanding(
    names: Sequence[str], job_ids: Sequence[str] | None
) -> Call[tuple[WireNotification, ...]]:
    """`POST /notifications`: what is not deleted and not too old, of these names and jobs."""
    jobs: JsonObject = {} if job_ids is None else {"id_task": [*job_ids]}
    request = Request(
        method="POST", path="/notifications", json={"name_list": [*names], **jobs}, replayable=True
    )

    def parse(response: Response) -> tuple[WireNotification, ...]:
        rows = read_json(request, response)
        if not isinstance(rows, list):
            raise ResponseFormatError(request.call, f"a list, not {type(rows).__name__}")
        return tuple(notification_of(row) for row in rows)

    return Call(request, parse)
