"""Checks the body of `POST /edit-chat`, Image Playground.

https://docs.piktid.com/docs/v2/image-playground
"""

from __future__ import annotations

import attrs

from piktid_async.sandbox.answers import JsonObject, refuse
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.checks.lookup import Lookup, check_model
from piktid_async.sandbox.checks.outputs import check_custom
from piktid_async.sandbox.orders import (
    CREDITS_PER_OUTPUT,
    SIZES,
    Cast,
    Drawing,
    Order,
    Shot,
    Upload,
)
from piktid_async.sandbox.state import CONVERSATION, Job

MODELS = ("auto", "nano_banana_2", "nano_banana_pro", "gpt_image", "seedream")
MODES = ("auto", "match", "ratio", "custom")
RATIOS = ("1:1", "3:2", "2:3", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
MAX_VARIATIONS = 4
MAX_IDENTITIES = 2
DEFAULT_SIZE = "2K"


@attrs.frozen(kw_only=True)
class Turn:
    """One checked call: a generation, and the conversation that it belongs to, if any."""

    order: Order
    images: tuple[Upload, ...]
    continues: Job | None


def check_turn(body: JsonObject, lookup: Lookup) -> Turn:
    """Return the generation that is asked for, or raise the 400 or 404 that it deserves."""
    fields = Fields(body)
    prompt = fields.text("prompt")
    file_ids = fields.texts("image_ids", most=None, required=False)
    codes = fields.texts("identity_codes", most=MAX_IDENTITIES, required=False)
    model = fields.text("model") or "auto"
    size = SIZES[fields.choice("size", SIZES, DEFAULT_SIZE) or DEFAULT_SIZE]
    variations = fields.number("num_variations", 1, range(1, MAX_VARIATIONS + 1))
    mode = fields.choice("output_mode", MODES, "auto")
    ratio = fields.choice("aspect_ratio", RATIOS)
    custom = (fields.whole("width"), fields.whole("height"))
    conversation_id = fields.text("conversation_id")
    if mode == "ratio" and ratio is None and not fields.problems:
        fields.wrong("aspect_ratio", "Required for output_mode ratio.")
    fields.raise_problems()
    if not (prompt or file_ids or codes):
        raise refuse(400, "Provide at least one of prompt, image_ids, or identity_codes")
    check_model(model, MODELS)
    exact = check_custom(*custom)
    if mode == "custom" and exact is None:
        raise refuse(400, "Invalid custom dimensions: output_mode custom needs width and height")
    earlier = _conversation(conversation_id, lookup)
    images = tuple(lookup.image(file_id, status=404) for file_id in file_ids)
    cast = tuple(lookup.identity(code) for code in codes)
    shots = _shots(
        earlier,
        images=images,
        size=size,
        custom_size=exact if mode == "custom" else None,
        model=model,
        variations=variations,
        drawing=_drawing(prompt, cast, ratio=ratio if mode == "ratio" else None),
    )
    return Turn(
        order=Order(kind=CONVERSATION, project=None, shots=shots, model=model, cast=cast),
        images=images,
        continues=earlier,
    )


def _conversation(conversation_id: str | None, lookup: Lookup) -> Job | None:
    if conversation_id is None:
        return None
    job = lookup.account.jobs.get(conversation_id)
    if job is None or not job.conversation:
        raise refuse(404, f"Conversation not found: {conversation_id}")
    return job


def _drawing(prompt: str | None, cast: tuple[Cast, ...], *, ratio: str | None) -> Drawing:
    return Drawing(
        kind=CONVERSATION,
        options={
            "prompt": prompt,
            "identity_codes": [each.code for each in cast],
            "aspect_ratio": ratio,
        },
    )


def _shots(
    earlier: Job | None,
    *,
    images: tuple[Upload, ...],
    size: int,
    custom_size: tuple[int, int] | None,
    model: str,
    variations: int,
    drawing: Drawing,
) -> tuple[Shot, ...]:
    """List the variations; `image_index` is the generation."""
    made = [output.image_index for output in earlier.history] if earlier is not None else []
    return tuple(
        Shot(
            image_index=max(made, default=-1) + 1,
            group_index=group_index,
            sources=images,
            size=size,
            credits=CREDITS_PER_OUTPUT[size],
            model=model,
            custom_size=custom_size,
            drawing=drawing,
        )
        for group_index in range(variations)
    )
