"""Presets: saved instructions, in categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from piktid_async.account import MOST_DELETED, summed
from piktid_async.errors import InvalidRequestError
from piktid_async.models.account import Deletion
from piktid_async.models.images import UploadedFile, file_id_of
from piktid_async.models.presets import CategoryCopy, Preset, PresetCategory, PresetSuggestion
from piktid_async.models.rules import as_json, as_tuple
from piktid_async.paging import text
from piktid_async.protocol import endpoints
from piktid_async.runtime import Runtime
from piktid_async.types import Json, JsonObject


class Presets:
    """`session.presets`: saved instructions. No way to list them is documented."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def create(
        self,
        name: str,
        type: str,
        instruction_data: Mapping[str, Json],
        *,
        description: str | None = None,
        category_ids: Iterable[str] | None = None,
    ) -> Preset:
        """Save an instruction; one request, not repeated after a fault.

        `type` is flat_2_model or model_swap, or identity_creation, which the vendor's own
        programs use; `instruction_data` an instruction of that kind, as
        the service takes it. https://docs.piktid.com/docs/v2/presets/create_preset__post
        """
        body: JsonObject = {
            "name": text("name", name),
            "type": text("type", type),
            "instruction_data": _instruction(instruction_data),
            **_told(description=description),
        }
        if category_ids is not None:
            ids = as_tuple("category_ids", category_ids)
            body["category_ids"] = [text("category_ids", each) for each in ids]
        return await self._runtime.connect().caller.execute(endpoints.create_preset(body))

    async def get(self, code: str) -> Preset:
        """Return a preset; one request. https://docs.piktid.com/docs/v2/presets/get_preset__get."""
        return await self._runtime.connect().caller.execute(endpoints.preset(code))

    async def update(
        self,
        preset: Preset | str,
        *,
        name: str | None = None,
        description: str | None = None,
        instruction_data: Mapping[str, Json] | None = None,
    ) -> Preset:
        """Change what is given, of a preset of one's own; one request.

        https://docs.piktid.com/docs/v2/presets/update_preset__patch
        """
        changes = _told(name=name, description=description)
        if instruction_data is not None:
            changes["instruction_data"] = _instruction(instruction_data)
        _check_changes(changes)
        call = endpoints.update_preset(_code(preset), changes)
        return await self._runtime.connect().caller.execute(call)

    async def delete_many(self, presets: Iterable[Preset | str]) -> Deletion:
        """Delete presets of one's own; one request per hundred, not repeated after a fault.

        https://docs.piktid.com/docs/v2/presets/delete_presets_bulk__post
        """
        caller = self._runtime.connect().caller
        codes = list(dict.fromkeys(_code(preset) for preset in as_tuple("presets", presets)))
        parts = [
            await caller.execute(endpoints.delete_presets(codes[start : start + MOST_DELETED]))
            for start in range(0, len(codes), MOST_DELETED)
        ]
        return summed(parts)

    async def extract_from_image(
        self, image: UploadedFile | str, type: str = "flat_2_model"
    ) -> PresetSuggestion:
        """Have an uploaded image read for its style; saves nothing; one request, sent once.

        Charges credits, by an amount that is not documented, beside any budget of the session.
        `type` is flat_2_model, model_swap, or identity_creation for a person's features, which
        fit `session.identities.create`.
        https://docs.piktid.com/docs/v2/presets/extract_preset_from_image__post
        """
        call = endpoints.preset_from_image(file_id_of("image", image), text("type", type))
        return await self._runtime.connect().caller.execute(call)

    async def extract_from_text(self, description: str) -> PresetSuggestion:
        """Have a scene in words turned into an instruction; one request, sent once.

        Charges credits like `extract_from_image`.
        https://docs.piktid.com/docs/v2/presets/extract_preset_from_text__post
        """
        call = endpoints.preset_from_text(text("description", description))
        return await self._runtime.connect().caller.execute(call)

    async def create_category(
        self, name: str, *, description: str | None = None, thumbnail_url: str | None = None
    ) -> PresetCategory:
        """Make a category; one request, not repeated after a fault.

        https://docs.piktid.com/docs/v2/preset-categories/create_category__post
        """
        told = _told(description=description, thumbnail_url=thumbnail_url)
        call = endpoints.create_category({"name": text("name", name), **told})
        return await self._runtime.connect().caller.execute(call)

    async def update_category(
        self,
        category: PresetCategory | str,
        *,
        name: str | None = None,
        description: str | None = None,
        thumbnail_url: str | None = None,
    ) -> PresetCategory:
        """Change what is given of a category; one request.

        https://docs.piktid.com/docs/v2/preset-categories/update_category__patch
        """
        changes = _told(name=name, description=description, thumbnail_url=thumbnail_url)
        _check_changes(changes)
        call = endpoints.update_category(_category_id(category), changes)
        return await self._runtime.connect().caller.execute(call)

    async def duplicate_category(self, category: PresetCategory | str, name: str) -> CategoryCopy:
        """Copy a category with its presets, 50 at most; one request, not repeated after a fault.

        https://docs.piktid.com/docs/v2/preset-categories/duplicate_category__post
        """
        call = endpoints.duplicate_category(_category_id(category), text("name", name))
        return await self._runtime.connect().caller.execute(call)


def _instruction(value: Mapping[str, Json]) -> Json:
    if not isinstance(value, Mapping):
        raise InvalidRequestError(
            "instruction_data", f"must be a mapping, not {type(value).__name__}"
        )
    return as_json("instruction_data", value)


def _told(**fields: str | None) -> JsonObject:
    return {name: text(name, value) for name, value in fields.items() if value is not None}


def _check_changes(changes: JsonObject) -> None:
    if not changes:
        raise InvalidRequestError("changes", "nothing is to be changed: give at least one field")


def _code(preset: Preset | str) -> str:
    return preset.preset_code if isinstance(preset, Preset) else text("preset", preset)


def _category_id(category: PresetCategory | str) -> str:
    return category.id if isinstance(category, PresetCategory) else text("category", category)
