"""`/preset`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import JsonObject, json_answer, json_object, refuse
from piktid_async.sandbox.checks.fields import MISSING, Fields
from piktid_async.sandbox.checks.lookup import Lookup
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.state import iso

TYPES = ("flat_2_model", "model_swap")
# The reference lists two; the vendor's own program asks for the third.
EXTRACTED_TYPES = (*TYPES, "identity_creation")
MOST_COPIED = 50


@attrs.define(kw_only=True, eq=False)
class Category:
    """A folder of presets."""

    category_id: str
    name: str
    description: str | None
    thumbnail_url: str | None
    created: float


@attrs.define(kw_only=True, eq=False)
class Preset:
    """A saved instruction."""

    code: str
    name: str
    description: str | None
    type: str
    instruction_data: JsonObject
    categories: list[Category]
    created: float
    updated: float


@attrs.frozen(kw_only=True)
class PresetRoutes:
    """Presets and their categories. Nothing here charges: no document names an amount."""

    lookup: Lookup
    ledger: Ledger
    presets: dict[str, Preset] = attrs.field(factory=dict, init=False)
    categories: dict[str, Category] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Have them kept."""
        self.ledger.keep("presets", lambda: (self.presets, self.categories), self._restore)

    def _restore(self, kept: tuple[dict[str, Preset], dict[str, Category]]) -> None:
        self.presets.update(kept[0])
        self.categories.update(kept[1])

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/preset", self.create),
            web.post("/preset/bulk-delete", self.delete),
            web.post("/preset/extract-from-image", self.extract_from_image),
            web.post("/preset/extract-from-text", self.extract_from_text),
            web.post("/preset/categories", self.create_category),
            web.patch("/preset/categories/{category_id}", self.update_category),
            web.post("/preset/categories/{category_id}/duplicate", self.duplicate),
            web.get("/preset/{code}", self.get),
            web.patch("/preset/{code}", self.update),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Save an instruction."""
        body = await json_object(request)
        fields = Fields(body)
        name, description = fields.required_text("name"), fields.text("description")
        kind = fields.required_choice("type", EXTRACTED_TYPES)
        data = _instruction(fields, body, required=True)
        ids = fields.texts("category_ids", most=None, required=False)
        fields.raise_problems()
        categories = [self._category(each) for each in ids]
        preset = self._save(name, description, kind, data or {}, categories)
        return json_answer(self._shown(preset), status=201)

    async def get(self, request: web.Request) -> web.Response:
        """Describe one."""
        return json_answer(self._shown(self._preset(request)))

    async def update(self, request: web.Request) -> web.Response:
        """Change what is given."""
        preset, body = self._preset(request), await json_object(request)
        fields = Fields(body)
        name, description = fields.text("name"), fields.text("description")
        data = _instruction(fields, body, required=False)
        fields.raise_problems()
        preset.name = name or preset.name
        preset.description = preset.description if description is None else description
        preset.instruction_data = preset.instruction_data if data is None else data
        preset.updated = time.time()
        return json_answer(self._shown(preset))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete several."""
        fields = Fields(await json_object(request))
        codes = fields.texts("preset_codes", most=None)
        fields.raise_problems()
        known = {code for code in codes if code in self.presets}
        for code in known:
            del self.presets[code]
        failed = [code for code in codes if code not in known]
        return json_answer({"deleted_count": len(known), "failed_codes": failed})

    async def extract_from_image(self, request: web.Request) -> web.Response:
        """Suggest an instruction for a picture; the sandbox does not look at it."""
        fields = Fields(await json_object(request))
        file_id = fields.required_text("file_id")
        kind = fields.choice("type", EXTRACTED_TYPES, TYPES[0])
        fields.raise_problems()
        upload = self.lookup.image(file_id, what="Asset", status=404)
        stem = PurePath(upload.filename).stem
        return json_answer(
            {
                "instruction_data": _PERSON if kind == "identity_creation" else _SCENE,
                "suggested_name": f"From {stem}",
                "suggested_description": f"Style of {upload.filename}",
                "file_id": file_id,
            }
        )

    async def extract_from_text(self, request: web.Request) -> web.Response:
        """Suggest an instruction for a text."""
        fields = Fields(await json_object(request))
        text = fields.required_text("text")
        fields.raise_problems()
        return json_answer(
            {
                "instruction_data": {**_SCENE, "background": text},
                "suggested_name": text[:40],
                "suggested_description": text,
                "file_id": None,
            }
        )

    async def create_category(self, request: web.Request) -> web.Response:
        """Make a category."""
        fields = Fields(await json_object(request))
        name, description = fields.required_text("name"), fields.text("description")
        thumbnail_url = fields.text("thumbnail_url")
        fields.raise_problems()
        category = self._add_category(name, description, thumbnail_url)
        return json_answer(self._category_shown(category), status=201)

    async def update_category(self, request: web.Request) -> web.Response:
        """Change what is given."""
        category = self._category(request.match_info["category_id"])
        fields = Fields(await json_object(request))
        name, description = fields.text("name"), fields.text("description")
        thumbnail_url = fields.text("thumbnail_url")
        fields.raise_problems()
        category.name = name or category.name
        category.description = category.description if description is None else description
        category.thumbnail_url = category.thumbnail_url if thumbnail_url is None else thumbnail_url
        return json_answer(self._category_shown(category))

    async def duplicate(self, request: web.Request) -> web.Response:
        """Copy a category and what is in it."""
        source = self._category(request.match_info["category_id"])
        fields = Fields(await json_object(request))
        name = fields.required_text("name")
        fields.raise_problems()
        copy = self._add_category(name, source.description, source.thumbnail_url)
        inside = self._within(source)[:MOST_COPIED]
        for each in inside:
            self._save(each.name, each.description, each.type, dict(each.instruction_data), [copy])
        return json_answer(
            {"category": self._category_shown(copy), "preset_count": len(inside)}, status=201
        )

    def _preset(self, request: web.Request) -> Preset:
        found = self.presets.get(request.match_info["code"])
        if found is None:
            raise refuse(404, "Preset not found")
        return found

    def _category(self, category_id: str) -> Category:
        found = self.categories.get(category_id)
        if found is None:
            raise refuse(404, "Category not found")
        return found

    def _within(self, category: Category) -> list[Preset]:
        return [each for each in self.presets.values() if category in each.categories]

    def _save(
        self,
        name: str,
        description: str | None,
        kind: str,
        data: JsonObject,
        categories: Iterable[Category],
    ) -> Preset:
        now, code = time.time(), secrets.token_hex(6)
        preset = Preset(
            code=code,
            name=name,
            description=description,
            type=kind,
            instruction_data=data,
            categories=list(categories),
            created=now,
            updated=now,
        )
        self.presets[code] = preset
        return preset

    def _add_category(
        self, name: str, description: str | None, thumbnail_url: str | None
    ) -> Category:
        category = Category(
            category_id=secrets.token_hex(6),
            name=name,
            description=description,
            thumbnail_url=thumbnail_url,
            created=time.time(),
        )
        self.categories[category.category_id] = category
        return category

    def _shown(self, preset: Preset) -> JsonObject:
        return {
            "preset_code": preset.code,
            "name": preset.name,
            "description": preset.description,
            "type": preset.type,
            "visibility": "private",
            "groups": [],
            "categories": [self._category_shown(each) for each in preset.categories],
            "instruction_data": preset.instruction_data,
            "created_by": "sandbox",
            "created_at": iso(preset.created),
            "updated_at": iso(preset.updated),
        }

    def _category_shown(self, category: Category) -> JsonObject:
        return {
            "id": category.category_id,
            "name": category.name,
            "description": category.description,
            "thumbnail_url": category.thumbnail_url,
            "visibility": "private",
            "created_by": "sandbox",
            "created_at": iso(category.created),
            "preset_count": len(self._within(category)),
            "groups": [],
        }


_SCENE: dict[str, Any] = {
    "background": "plain light grey studio",
    "lighting": {"direction": "front", "quality": "soft"},
    "mood": "calm",
}
_PERSON: dict[str, Any] = {
    "appearance": {"gender": "female", "age": 28, "skin": "light", "build": "slim"},
    "face": {"eyes": "brown"},
    "hair": {"color": "dark brown", "length": "long", "style": "straight"},
}


def _instruction(fields: Fields, body: JsonObject, *, required: bool) -> JsonObject | None:
    value = body.get("instruction_data")
    if value is None:
        if required:
            fields.wrong("instruction_data", MISSING)
        return None
    fields.inner("instruction_data")
    return value if isinstance(value, dict) else None
