"""Checks the body of `POST /garment-recolor`.

https://docs.piktid.com/docs/v2/garment-recolor
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from piktid_async.sandbox.answers import JsonObject, refuse
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.checks.instructions import find_images
from piktid_async.sandbox.checks.lookup import Lookup, check_model
from piktid_async.sandbox.orders import CREDITS_PER_OUTPUT, Drawing, Order, Shot, Upload

KIND = "garment_recolor"
# The first five are in the guide; the vendor's newest program knows two more.
MODELS = (
    "auto", "nano_banana_2", "nano_banana_pro", "seedream", "gpt_image",
    "seedream_5_pro", "gpt_image_2_5",
)  # fmt: skip
MAX_IMAGES = 10
MAX_VARIATIONS = 8


def check_recolor(body: JsonObject, lookup: Lookup) -> Order:
    """Return the order, or raise the 400 or 404 that it deserves."""
    fields = Fields(body)
    project_key = fields.required_text("project_id")
    # The guide lists texts; whether objects with notes are taken is not documented, so both are.
    given = fields.images("images", most=MAX_IMAGES)
    options: dict[str, Any] = {
        "garment_label": fields.text("garment_label"),
        "reference_image": fields.text("reference_image"),
        "reference_text": fields.text("reference_text"),
        "instruction": fields.text("instruction"),
        "num_variations": fields.number("num_variations", 1, range(1, MAX_VARIATIONS + 1)),
        "processing_size": fields.number("processing_size", 2048, list(CREDITS_PER_OUTPUT)),
        "model": fields.text("model") or "auto",
        "use_anchor": fields.flag("use_anchor", default=True),
        "add_ai_watermark": fields.flag("add_ai_watermark", default=False),
    }
    post_process = fields.flag("post_process", default=True)
    fields.raise_problems()
    if not any(options[name] for name in ("reference_image", "reference_text", "instruction")):
        raise refuse(400, "Provide at least one of reference_image, reference_text, or instruction")
    check_model(options["model"], MODELS)
    project = lookup.project(project_key)
    images, notes = find_images(given, lookup)
    options["notes"] = notes
    swatch = options["reference_image"]
    extra = (lookup.image(swatch, what="Reference image"),) if swatch else ()
    return Order(
        kind=KIND,
        project=project,
        shots=_shots(images, Drawing(kind=KIND, options=options, extra=extra)),
        model=options["model"],
        post_process=post_process,
        options=options,
    )


def _shots(images: Sequence[Upload], drawing: Drawing) -> tuple[Shot, ...]:
    size = drawing.options["processing_size"]
    return tuple(
        Shot(
            image_index=image_index,
            group_index=group_index,
            sources=(image,),
            size=size,
            credits=CREDITS_PER_OUTPUT[size],
            model=drawing.options["model"],
            drawing=drawing,
        )
        for image_index, image in enumerate(images)
        for group_index in range(drawing.options["num_variations"])
    )
