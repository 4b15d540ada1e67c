"""Checks the body of `POST /create-packshot`.

https://docs.piktid.com/docs/v2/create-packshot
"""

from __future__ import annotations

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.checks.instructions import (
    MAX_IMAGES,
    check_designs,
    check_generation,
    find_images,
    make_shots,
    read_generation,
    read_instruction,
)
from piktid_async.sandbox.checks.lookup import Lookup
from piktid_async.sandbox.orders import Order

KIND = "create_packshot"
# The guide names the first three; the vendor's later program offers all five.
MODELS = ("auto", "nano_banana_pro", "seedream", "nano_banana_2", "gpt_image")
STYLES = ("flat_lay", "ghost_mannequin", "marketing_ready", "white_cutout", "free")
FRAMINGS = ("square_packshot", "tall_3_4", "wide_4_3", "full_frame")
ANGLES = ("front", "back", "three_quarter", "top_down", "detail_macro")
SHADOWS = ("auto", "none", "contact", "soft_drop", "natural")
LIGHTING = ("direction", "quality", "complexity")


def check_packshot(body: JsonObject, lookup: Lookup) -> Order:
    """Return the order, or raise the 400 or 404 that it deserves."""
    fields = Fields(body)
    project_key = fields.required_text("project_id")
    images = fields.images("images", most=MAX_IMAGES)
    given = fields.objects("instructions", most=None, required=True)
    instructions = [read_instruction(each, _read_style) for each in given]
    post_process = fields.flag("post_process", default=False)
    generation = read_generation(fields.inner("options"), use_anchor=False)
    fields.raise_problems()
    check_generation(generation, models=MODELS, instructions=len(instructions))
    project = lookup.project(project_key)
    uploads, notes = find_images(images, lookup)
    check_designs(instructions, lookup)
    return Order(
        kind=KIND,
        project=project,
        shots=make_shots(
            KIND, instructions, images=uploads, generation=generation, common={"notes": notes}
        ),
        model=generation.model,
        post_process=post_process,
        options=generation.shown(),
    )


def _read_style(fields: Fields) -> JsonObject:
    style = fields.required_choice("style", STYLES)
    angle = fields.choice("angle", ANGLES)
    return {
        "style": style,
        "background": fields.design("background"),
        "composition": fields.design("composition"),
        "props": fields.design("props"),
        "surface": fields.design("surface"),
        "color_palette": fields.design("color_palette"),
        "lighting": fields.design("lighting", LIGHTING),
        "framing": fields.choice("framing", FRAMINGS),
        # The guide: "top_down is forced for flat_lay".
        "angle": "top_down" if style == "flat_lay" else angle,
        "shadow": fields.choice("shadow", SHADOWS, "auto"),
    }
