"""Checks the body of `POST /identity/create`.

https://docs.piktid.com/docs/v2/create-identity, and the README of the vendor's create-identity.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs

from piktid_async.sandbox.answers import JsonObject, refuse
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.checks.lookup import Lookup, check_model
from piktid_async.sandbox.identities import CREATION
from piktid_async.sandbox.orders import CREDITS_PER_OUTPUT, SIZES, Drawing, Format, Order, Shot

MODELS = ("auto", "nano_banana_pro", "seedream", "orbita")
GROUPS: dict[str, tuple[str, ...]] = {
    "appearance": (
        "gender",
        "ethnicity",
        "skin",
        "build",
        "size",
        "height",
        "expression",
    ),
    "face": (
        "eyes",
        "eyebrows",
        "nose",
        "lips",
        "smile",
        "face_shape",
        "facial_hair",
        "makeup",
        "marks",
    ),
    "hair": ("color", "length", "style"),
}
RATIOS = ("1:1", "3:2", "2:3", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
NOT_BY_ORBITA = ("4:5", "5:4", "21:9")
MAX_VARIATIONS = 8
MAX_ASSETS = 3
DEFAULT_SIZE = "2K"


@attrs.frozen(kw_only=True)
class _Brief:
    """One checked instruction."""

    told: dict[str, Any]
    prompt: str | None
    file_ids: tuple[str, ...]
    num_variations: int
    size: str
    ratio: str
    format: Format


def check_creation(body: JsonObject, lookup: Lookup, blocked: Collection[str]) -> Order:
    """Return the order of a draft job, or raise the 400 that it deserves."""
    fields = Fields(body)
    given = fields.objects("instructions", most=None, required=True)
    raw = body.get("instructions")
    briefs = (
        [
            _read(each, one)
            for each, one in zip(given, raw if isinstance(raw, list) else [], strict=True)
        ]
        if given
        else []
    )
    model = fields.inner("options").text("model") or "auto"
    name = fields.text("name")
    fields.raise_problems()
    check_model(model, MODELS)
    for brief in briefs:
        _check(brief, model, blocked)
    return Order(
        kind=CREATION,
        project=None,
        shots=tuple(
            shot
            for index, brief in enumerate(briefs)
            for shot in _shots(index, brief, model, lookup)
        ),
        model=model,
        options={"model": model, "name": name},
    )


def _read(fields: Fields, raw: JsonObject) -> _Brief:
    told: dict[str, Any] = {}
    for group, names in GROUPS.items():
        inner = fields.inner(group)
        for name in names:
            inner.text(name)
        if raw.get(group):
            told[group] = raw[group]
    assets = fields.objects("input_assets", most=MAX_ASSETS, required=False)
    options = fields.inner("options")
    return _Brief(
        told=told,
        prompt=fields.text("prompt"),
        file_ids=tuple(each.required_text("file_id") for each in assets),
        num_variations=fields.number("num_variations", 1, range(1, MAX_VARIATIONS + 1)),
        size=options.choice("size", SIZES, DEFAULT_SIZE) or DEFAULT_SIZE,
        ratio=options.choice("ar", RATIOS, "3:4") or "3:4",
        format="png" if options.choice("format", ("jpg", "png")) == "png" else "jpg",
    )


def _check(brief: _Brief, model: str, blocked: Collection[str]) -> None:
    if not (brief.told or brief.prompt):
        raise refuse(400, "Provide at least one structured field or a prompt")
    words = (brief.prompt or "").lower()
    for term in blocked:
        if term in words:
            raise refuse(400, f"blocked term: '{term}'")
    if model != "orbita":
        return
    if brief.file_ids:
        raise refuse(400, "input_assets are not supported by orbita")
    if brief.size != "1K":
        raise refuse(400, "orbita supports 1K only")
    if brief.ratio in NOT_BY_ORBITA:
        raise refuse(400, f"orbita does not support aspect ratio {brief.ratio}")


def _shots(index: int, brief: _Brief, model: str, lookup: Lookup) -> list[Shot]:
    size = SIZES[brief.size]
    return [
        Shot(
            image_index=index,
            group_index=group,
            sources=tuple(lookup.image(file_id) for file_id in brief.file_ids),
            size=size,
            # No document names a price of drafts; this is that of outputs elsewhere.
            credits=CREDITS_PER_OUTPUT[size],
            model=model,
            drawing=Drawing(
                kind=CREATION,
                options={**brief.told, "prompt": brief.prompt, "ratio": brief.ratio},
            ),
            format=brief.format,
        )
        for group in range(brief.num_variations)
    ]
