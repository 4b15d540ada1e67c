"""Flat to model: product photos, worn by a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.inputs import as_identity_code
from piktid_async.models.instructions import InstructedJob, Instruction, check_instructions
from piktid_async.models.outputs import Camera, Design, DesignValue, design
from piktid_async.types import Json, JsonObject

ALTERNATIVE = "seedream"
MOST_INSTRUCTIONS = 10
"""https://docs.piktid.com/docs/v2/flat-lay-to-model/create_flat_2_model_job__post"""


@attrs.frozen(kw_only=True)
class ModelInstruction(Instruction):
    """One picture of the model, and how many variations of it; nothing is needed.

    https://docs.piktid.com/docs/v2/flat-lay ("Instruction parameters")
    """

    pose: Design | None = attrs.field(default=None, validator=design())
    """Such as "walking, mid-stride"."""
    expression: Design | None = attrs.field(default=None, validator=design())
    mood: Design | None = attrs.field(default=None, validator=design())
    camera: str | int | DesignValue | Camera | None = attrs.field(
        default=None, validator=design(Camera)
    )
    style: Design | None = attrs.field(default=None, validator=design())
    angle: Design | None = attrs.field(default=None, validator=design())
    """Deprecated by the service: use `camera=Camera(angle=...)`."""

    def __attrs_post_init__(self) -> None:
        if self.angle is not None:
            # Up past this method and the __init__ that attrs writes.
            warnings.warn(
                "angle is deprecated by the service: use camera=Camera(angle=...)",
                DeprecationWarning,
                stacklevel=3,
            )


def _instructions(value: Iterable[ModelInstruction]) -> tuple[ModelInstruction, ...]:
    return rules.in_order("instructions", value)


def _review_config(value: Mapping[str, Json] | None) -> JsonObject | None:
    if value is None:
        return None
    config = rules.as_json("review_config", value)
    if not isinstance(config, dict):
        raise InvalidRequestError("review_config", f"must be a mapping, not {type(value).__name__}")
    return config


@attrs.frozen(kw_only=True)
class FlatToModel(InstructedJob):
    """Dress a model in the garments of 1 to 10 photos, all of them in every output.

    Makes `num_variations` outputs for each of the instructions, or one default output without
    any, at 3, 5 or 10 credits each, by size. Raises `InvalidRequestError` when built against a
    rule. https://docs.piktid.com/docs/v2/flat-lay
    """

    kind: ClassVar[str] = "flat_2_model"

    identity: str = attrs.field(converter=as_identity_code)
    """The model: an identity, or its code. Kept as the code."""
    instructions: tuple[ModelInstruction, ...] = attrs.field(default=(), converter=_instructions)
    """At most 10."""
    use_anchor: bool = attrs.field(default=True, validator=rules.boolean)
    """Keep the set consistent."""
    add_ai_watermark: bool = attrs.field(default=False, validator=rules.boolean)
    """Burn in an "AI-generated" mark; cannot be undone."""
    use_alternative_method: bool = attrs.field(default=False, validator=rules.boolean)
    """Deprecated by the service, which takes it for `model="seedream"`: name that instead."""
    review_config: Mapping[str, Json] | None = attrs.field(
        default=None, converter=_review_config, hash=False
    )
    """Goes out as it is; an older edition has requires_review, default_reviewer_type,
    default_retouch_method and auto_approve_threshold."""

    def __attrs_post_init__(self) -> None:
        if self.use_alternative_method:
            self._check_alternative()
        check_instructions(self.instructions, ModelInstruction)
        if len(self.instructions) > MOST_INSTRUCTIONS:
            raise InvalidRequestError(
                "instructions",
                f"takes at most {MOST_INSTRUCTIONS}, not {len(self.instructions)}: split the job",
            )
        super().__attrs_post_init__()

    def _check_alternative(self) -> None:
        if self.model not in ("auto", ALTERNATIVE):
            raise InvalidRequestError(
                "use_alternative_method",
                f"means model={ALTERNATIVE!r}, not {self.model!r}: leave one of the two out",
            )
        # Up past this method, the one that calls it, and the __init__ that attrs writes.
        warnings.warn(
            f"use_alternative_method is deprecated by the service: use model={ALTERNATIVE!r}",
            DeprecationWarning,
            stacklevel=4,
        )
