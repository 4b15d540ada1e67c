"""Packshots: clean pictures of a product without a person, from any photos of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, TypeAlias, get_args

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.instructions import InstructedJob, Instruction, check_instructions
from piktid_async.models.outputs import Design, design

Style: TypeAlias = Literal["flat_lay", "ghost_mannequin", "marketing_ready", "white_cutout", "free"]
Framing: TypeAlias = Literal["square_packshot", "tall_3_4", "wide_4_3", "full_frame"]
Angle: TypeAlias = Literal["front", "back", "three_quarter", "top_down", "detail_macro"]
Shadow: TypeAlias = Literal["auto", "none", "contact", "soft_drop", "natural"]


@attrs.frozen(kw_only=True)
class PackshotInstruction(Instruction):
    """One packshot, and how many variations of it; only `style` is needed.

    What is left out follows from the style.
    https://docs.piktid.com/docs/v2/create-packshot ("Instruction parameters")
    """

    style: Style = attrs.field(validator=rules.one_of(*get_args(Style)))
    composition: Design | None = attrs.field(default=None, validator=design())
    """Such as "single garment centered"."""
    props: Design | None = attrs.field(default=None, validator=design())
    """Things around it; for `marketing_ready` alone."""
    surface: Design | None = attrs.field(default=None, validator=design())
    """What it lies on; for `flat_lay` alone."""
    framing: Framing | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(Framing)))
    )
    """How it fills the picture."""
    angle: Angle | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(Angle)))
    )
    """Of a `flat_lay` always `top_down`, whatever is given: the service forces it."""
    shadow: Shadow | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(Shadow)))
    )

    def __attrs_post_init__(self) -> None:
        self._only_with("marketing_ready", "props")
        self._only_with("flat_lay", "surface")

    def _only_with(self, style: str, field: str) -> None:
        # The service would ignore it, and bill a picture without it.
        if getattr(self, field) is not None and self.style != style:
            raise InvalidRequestError(
                field,
                f"means something only with style {style!r}, not {self.style!r}: "
                "leave it out, or say it in prompt",
            )


def _instructions(value: Iterable[PackshotInstruction]) -> tuple[PackshotInstruction, ...]:
    return rules.in_order("instructions", value)


@attrs.frozen(kw_only=True)
class CreatePackshot(InstructedJob):
    """Make packshots of one garment from 1 to 10 photos of it.

    Makes `num_variations` outputs for each of the instructions, at 3, 5 or 10 credits each, by
    size. Raises `InvalidRequestError` when built against a rule.
    https://docs.piktid.com/docs/v2/create-packshot
    """

    kind: ClassVar[str] = "create_packshot"

    instructions: tuple[PackshotInstruction, ...] = attrs.field(converter=_instructions)
    """One or more."""
    use_anchor: bool = attrs.field(default=False, validator=rules.boolean)
    """Align every output to one instruction's look."""

    def __attrs_post_init__(self) -> None:
        check_instructions(self.instructions, PackshotInstruction)
        if not self.instructions:
            raise InvalidRequestError(
                "instructions", "a packshot needs at least one: give a PackshotInstruction"
            )
        super().__attrs_post_init__()
