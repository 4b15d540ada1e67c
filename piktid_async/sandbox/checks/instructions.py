"""What packshot and flat-lay requests have in common: instructions, notes, generation options.

Each instruction gives one output or more: `image_index` is the instruction, `group_index` the
variation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from piktid_async.sandbox.answers import JsonObject, refuse
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.checks.lookup import Lookup, check_model
from piktid_async.sandbox.checks.outputs import OutputOptions, read_output_options
from piktid_async.sandbox.orders import CREDITS_PER_OUTPUT, Drawing, Shot, Upload

MAX_IMAGES = 10
MAX_VARIATIONS = 8

ReadStyle = Callable[[Fields], JsonObject]


@attrs.frozen(kw_only=True)
class Instruction:
    """One checked instruction."""

    style: JsonObject
    """What it says about the picture, by the documented names."""
    num_variations: int
    output: OutputOptions


@attrs.frozen(kw_only=True)
class Generation:
    """The `options` of the whole request."""

    model: str
    use_anchor: bool
    anchor_index: int
    add_ai_watermark: bool

    def shown(self) -> JsonObject:
        """Return the options as a job's status shows them."""
        return attrs.asdict(self)


def read_instruction(fields: Fields, read_style: ReadStyle) -> Instruction:
    """Read one instruction; `read_style` knows the fields of its kind of job."""
    style = read_style(fields)
    output = read_output_options(fields.inner("options"))
    seed = fields.whole("seed")
    fields.text("preset_name")
    fields.texts("category_names", most=None, required=False)
    return Instruction(
        # The guide: the seed of the instruction is preferred to that of its options.
        style={
            **style,
            "prompt": fields.text("prompt"),
            "seed": output.seed if seed is None else seed,
        },
        num_variations=fields.number("num_variations", 1, range(1, MAX_VARIATIONS + 1)),
        output=output,
    )


def read_generation(fields: Fields, *, use_anchor: bool) -> Generation:
    """Read the options of the request."""
    model = fields.text("model") or "auto"
    if fields.flag("use_alternative_method", default=False):  # legacy, flat lay only
        model = "seedream"
    return Generation(
        model=model,
        use_anchor=fields.flag("use_anchor", default=use_anchor),
        anchor_index=fields.whole("anchor_index") or 0,
        add_ai_watermark=fields.flag("add_ai_watermark", default=False),
    )


def check_generation(wanted: Generation, *, models: tuple[str, ...], instructions: int) -> None:
    """Refuse an engine that is not there, and an anchor that points nowhere."""
    check_model(wanted.model, models)
    if not 0 <= wanted.anchor_index < instructions:
        raise refuse(400, f"Invalid anchor_index: must be between 0 and {instructions - 1}")


def check_designs(instructions: Iterable[Instruction], lookup: Lookup) -> None:
    """Refuse a Design Value whose picture is not there."""
    for instruction in instructions:
        for value in instruction.style.values():
            if isinstance(value, dict) and value.get("image"):
                lookup.image(value["image"], what="Design image")


def find_images(
    images: list[tuple[str, str | None]], lookup: Lookup
) -> tuple[tuple[Upload, ...], list[str | None]]:
    """Return the uploads and their notes."""
    return (
        tuple(lookup.image(file_id) for file_id, _ in images),
        [note for _, note in images],
    )


def make_shots(
    kind: str,
    instructions: list[Instruction],
    *,
    images: tuple[Upload, ...],
    generation: Generation,
    common: dict[str, Any],
) -> tuple[Shot, ...]:
    """List the outputs of all instructions; every one is made from all images."""
    return tuple(
        Shot(
            image_index=image_index,
            group_index=group_index,
            sources=images,
            size=wanted.output.price_class,
            credits=CREDITS_PER_OUTPUT[wanted.output.price_class],
            model=generation.model,
            format=wanted.output.format,
            custom_size=custom,
            drawing=Drawing(
                kind=kind,
                options={
                    **wanted.style,
                    # The guide: width and height override size and ar.
                    "ar": wanted.output.ratio if custom is None else None,
                    "add_ai_watermark": generation.add_ai_watermark,
                    **common,
                },
            ),
        )
        for image_index, (wanted, custom) in enumerate(
            [(each, each.output.custom_size()) for each in instructions]
        )
        for group_index in range(wanted.num_variations)
    )
