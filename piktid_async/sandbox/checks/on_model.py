"""Checks the bodies of `POST /flat-2-model` and `POST /model-swap`.

https://docs.piktid.com/docs/v2/flat-lay and the reference page of model swap.
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
from piktid_async.sandbox.orders import Cast, Drawing, Order, Shot

FLAT = "flat_2_model"
SWAP = "model_swap"
MODELS = ("auto", "nano_banana_pro", "seedream")
MAX_INSTRUCTIONS = 10
CAMERA = ("framing", "angle", "lens", "aperture")
LIGHTING = ("direction", "quality", "complexity")
STYLISTIC = ("pose", "expression", "mood", "background", "style", "color_palette", "angle")

# No document names a price of model swap; this one is invented: that of a 2K output elsewhere.
SWAP_CREDITS = 5.0
SWAP_SIZE = 2048


def check_flat(body: JsonObject, lookup: Lookup) -> Order:
    """Return the order of a flat-lay job, or raise the 400 or 404 that it deserves."""
    fields = Fields(body)
    code, project_key = fields.required_text("identity_code"), fields.required_text("project_id")
    images = fields.images("images", most=MAX_IMAGES)
    given = fields.objects("instructions", most=MAX_INSTRUCTIONS, required=False)
    # No instruction is one with every default.
    instructions = [read_instruction(each, _read_style) for each in given or [Fields({})]]
    post_process = fields.flag("post_process", default=False)
    generation = read_generation(fields.inner("options"), use_anchor=True)
    fields.inner("review_config")  # an older edition of the reference has it; it has no effect
    fields.raise_problems()
    check_generation(generation, models=MODELS, instructions=len(instructions))
    project, cast = lookup.project(project_key), lookup.identity(code)
    uploads, notes = find_images(images, lookup)
    check_designs(instructions, lookup)
    return Order(
        kind=FLAT,
        project=project,
        shots=make_shots(
            FLAT,
            instructions,
            images=uploads,
            generation=generation,
            common={"notes": notes, "identity_code": cast.code},
        ),
        model=generation.model,
        post_process=post_process,
        cast=(cast,),
        options=generation.shown(),
    )


def check_swap(body: JsonObject, lookup: Lookup) -> Order:
    """Return the order of a model swap, or raise the 400 or 404 that it deserves."""
    fields = Fields(body)
    code, project_key = fields.required_text("identity_code"), fields.required_text("project_id")
    file_ids = fields.texts("images", most=None)
    post_process = fields.flag("post_process", default=False)
    fields.inner("swap_options")  # no document says what may be in it
    fields.raise_problems()
    project, cast = lookup.project(project_key), lookup.identity(code)
    shots = tuple(
        Shot(
            image_index=index,
            group_index=0,
            sources=(lookup.image(file_id),),
            size=SWAP_SIZE,
            credits=SWAP_CREDITS,
            model="auto",
            drawing=_swap_drawing(cast),
        )
        for index, file_id in enumerate(file_ids)
    )
    return Order(
        kind=SWAP,
        project=project,
        shots=shots,
        model="auto",
        post_process=post_process,
        cast=(cast,),
        options={"swap_options": body.get("swap_options") or {}},
    )


def _read_style(fields: Fields) -> JsonObject:
    return {
        **{name: fields.design(name) for name in STYLISTIC},
        "camera": fields.design("camera", CAMERA),
        "lighting": fields.design("lighting", LIGHTING),
    }


def _swap_drawing(cast: Cast) -> Drawing:
    return Drawing(kind=SWAP, options={"identity_code": cast.code})
