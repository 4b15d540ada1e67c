"""`/identity`."""

from __future__ import annotations

from piktid_async.models.identities import (
    CreateIdentity,
    Identity,
    IdentityInstruction,
    IdentityStatus,
    MetadataUpdate,
    PovUpload,
    Promotion,
)
from piktid_async.models.rules import as_json
from piktid_async.protocol import codec
from piktid_async.protocol.endpoints.building import Page, call, get, page_of, segment
from piktid_async.protocol.messages import Call, Form, Request
from piktid_async.types import Json, JsonObject, Params


def upload_identity(form: Form, *, replayable: bool) -> Call[Identity]:
    """`POST /identity/upload`; 409 when it exists, with its code."""
    request = Request(method="POST", path="/identity/upload", form=form, replayable=replayable)
    return call(request, Identity)


def upload_pov(code: str, form: Form, *, replayable: bool) -> Call[PovUpload]:
    """`POST /identity/{code}/pov`: puts another picture in the place of one."""
    path = f"/identity/{segment('code', code)}/pov"
    return call(Request(method="POST", path=path, form=form, replayable=replayable), PovUpload)


def identity(code: str) -> Call[Identity]:
    """`GET /identity/{code}`."""
    return call(get(f"/identity/{segment('code', code)}"), Identity)


def identity_status(code: str) -> Call[IdentityStatus]:
    """`GET /identity/{code}/status`: no page has it, the vendor's own program relies on it."""
    return call(get(f"/identity/{segment('code', code)}/status"), IdentityStatus)


def list_identities(page: int, filters: Params) -> Call[Page]:
    """`GET /identity`."""
    return page_of("/identity", "identities", page, filters)


def identity_of_row(row: JsonObject) -> Identity:
    """Read a row of the list."""
    return codec.structure("GET /identity", row, Identity)


def update_identity(code: str, changes: JsonObject) -> Call[MetadataUpdate]:
    """`PATCH /identity/{code}/metadata`."""
    path = f"/identity/{segment('code', code)}/metadata"
    return call(Request(method="PATCH", path=path, json=changes, replayable=True), MetadataUpdate)


def promote_draft(image_result_id: int, name: str | None) -> Call[Promotion]:
    """`POST /identity/promote-generated`: 50 credits and a slot; 409 when it was done before."""
    named: JsonObject = {} if name is None else {"name": name}
    body: JsonObject = {"image_result_id": image_result_id, **named}
    return call(Request(method="POST", path=PROMOTION_PATH, json=body), Promotion)


def creation_body(request: CreateIdentity) -> JsonObject:
    """Return the body of `POST /identity/create`."""
    named: JsonObject = {} if request.name is None else {"name": request.name}
    return {
        "instructions": [_instruction(each) for each in request.instructions],
        "options": {"model": request.model},
        **named,
    }


def _instruction(given: IdentityInstruction) -> JsonObject:
    groups: JsonObject = {
        name: as_json(name, group)
        for name in ("appearance", "face", "hair")
        if (group := getattr(given, name))
    }
    assets: list[Json] = [{"file_id": file_id} for file_id in given.input_assets]
    options = given.options
    chosen: JsonObject = (
        {}
        if options is None
        else {
            name: value
            for name in ("ar", "size", "format")
            if (value := getattr(options, name)) is not None
        }
    )
    return {
        **groups,
        **({} if given.prompt is None else {"prompt": given.prompt}),
        **({"input_assets": assets} if assets else {}),
        "num_variations": given.num_variations,
        **({"options": chosen} if chosen else {}),
    }


CREATION_PATH = "/identity/create"
PROMOTION_PATH = "/identity/promote-generated"
