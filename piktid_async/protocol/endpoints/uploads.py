"""`/upload`."""

from __future__ import annotations

import attrs

from piktid_async.protocol.endpoints.building import call
from piktid_async.protocol.messages import Call, Request
from piktid_async.types import JsonObject


@attrs.frozen(kw_only=True)
class UploadTicket:
    """The answer of `POST /upload`: where to put the bytes."""

    upload_url: str = attrs.field(repr=False)
    file_id: str
    filename: str
    content_type: str
    download_url: str | None = attrs.field(default=None, repr=False)


def request_upload(filename: str | None, project_name: str | None) -> Call[UploadTicket]:
    """`POST /upload`. A ticket that is not used costs nothing, so it may be asked for again."""
    named = {"filename": filename, "project_name": project_name}
    body: JsonObject = {key: value for key, value in named.items() if value is not None}
    return call(Request(method="POST", path="/upload", json=body, replayable=True), UploadTicket)
