"""`/preset`."""

from __future__ import annotations

from collections.abc import Sequence

from piktid_async.models.account import Deletion
from piktid_async.models.presets import CategoryCopy, Preset, PresetCategory, PresetSuggestion
from piktid_async.protocol.endpoints.account import deletion
from piktid_async.protocol.endpoints.building import call, get, segment
from piktid_async.protocol.messages import Call, Request
from piktid_async.types import JsonObject


def create_preset(body: JsonObject) -> Call[Preset]:
    """`POST /preset`."""
    return call(Request(method="POST", path="/preset", json=body), Preset)


def preset(code: str) -> Call[Preset]:
    """`GET /preset/{code}`."""
    return call(get(_path(code)), Preset)


def update_preset(code: str, changes: JsonObject) -> Call[Preset]:
    """`PATCH /preset/{code}`."""
    return call(Request(method="PATCH", path=_path(code), json=changes, replayable=True), Preset)


def delete_presets(codes: Sequence[str]) -> Call[Deletion]:
    """`POST /preset/bulk-delete`."""
    request = Request(method="POST", path="/preset/bulk-delete", json={"preset_codes": list(codes)})
    return deletion(request, "failed_codes")


def preset_from_image(file_id: str, kind: str) -> Call[PresetSuggestion]:
    """`POST /preset/extract-from-image`: charges credits, so it is sent once."""
    body: JsonObject = {"file_id": file_id, "type": kind}
    request = Request(method="POST", path="/preset/extract-from-image", json=body)
    return call(request, PresetSuggestion)


def preset_from_text(text: str) -> Call[PresetSuggestion]:
    """`POST /preset/extract-from-text`: charges credits, so it is sent once."""
    request = Request(method="POST", path="/preset/extract-from-text", json={"text": text})
    return call(request, PresetSuggestion)


def create_category(body: JsonObject) -> Call[PresetCategory]:
    """`POST /preset/categories`."""
    return call(Request(method="POST", path="/preset/categories", json=body), PresetCategory)


def update_category(category_id: str, changes: JsonObject) -> Call[PresetCategory]:
    """`PATCH /preset/categories/{id}`."""
    path = f"/preset/categories/{segment('category_id', category_id)}"
    request = Request(method="PATCH", path=path, json=changes, replayable=True)
    return call(request, PresetCategory)


def duplicate_category(category_id: str, name: str) -> Call[CategoryCopy]:
    """`POST /preset/categories/{id}/duplicate`: a deep copy of at most 50 presets."""
    path = f"/preset/categories/{segment('category_id', category_id)}/duplicate"
    return call(Request(method="POST", path=path, json={"name": name}), CategoryCopy)


def _path(code: str) -> str:
    return f"/preset/{segment('code', code)}"
