"""Presets: saved instructions, in categories."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from piktid_async.types import Json, redact_url


@attrs.frozen(kw_only=True)
class PresetCategory:
    """A folder of presets.

    https://docs.piktid.com/docs/v2/preset-categories/duplicate_category__post
    """

    id: str
    name: str | None = None
    description: str | None = None
    thumbnail_url: str | None = attrs.field(default=None, repr=redact_url)
    visibility: str | None = None
    created_by: str | None = None
    created_at: str | None = None
    preset_count: int | None = None
    groups: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Preset:
    """A saved instruction. https://docs.piktid.com/docs/v2/presets/create_preset__post."""

    preset_code: str
    name: str | None = None
    type: str | None = None
    """flat_2_model or model_swap; the service may add others."""
    instruction_data: Mapping[str, Json] = attrs.field(factory=dict)
    description: str | None = None
    visibility: str | None = None
    groups: tuple[str, ...] = ()
    categories: tuple[PresetCategory, ...] = ()
    created_by: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


@attrs.frozen(kw_only=True)
class PresetSuggestion:
    """What the service read from an image or a text; nothing is saved by it."""

    instruction_data: Mapping[str, Json] = attrs.field(factory=dict)
    suggested_name: str | None = None
    suggested_description: str | None = None
    file_id: str | None = None


@attrs.frozen(kw_only=True)
class CategoryCopy:
    """A duplicated category, and how many presets it took along."""

    category: PresetCategory
    preset_count: int | None = None
