"""What packshots and flat-to-model have in common: instructions, each with its own outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.images import file_id_of
from piktid_async.models.inputs import Image, as_images, check_image_count
from piktid_async.models.outputs import Design, DesignValue, Lighting, OutputOptions, design
from piktid_async.models.projects import Project, project_id_of
from piktid_async.models.requests import JobRequest


def _names(value: Iterable[str]) -> tuple[str, ...]:
    names = rules.as_tuple("category_names", value)
    if not all(isinstance(name, str) for name in names):
        raise InvalidRequestError("category_names", "must be texts")
    for name in names:
        rules.checked_letters("category_names", name)
    return names


def _prompt(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    # Unlike elsewhere, an empty one is documented: the engine then writes its own.
    if value is not None and not isinstance(value, str):
        raise InvalidRequestError(attribute.name, f"must be text, not {type(value).__name__}")
    rules.checked_letters(attribute.name, value or "")


@attrs.frozen(kw_only=True)
class Instruction:
    """One look, and how many outputs of it."""

    background: Design | None = attrs.field(default=None, validator=design())
    lighting: str | int | DesignValue | Lighting | None = attrs.field(
        default=None, validator=design(Lighting)
    )
    color_palette: Design | None = attrs.field(default=None, validator=design())
    prompt: str | None = attrs.field(default=None, validator=_prompt)
    """Free text on top of the other fields."""
    seed: int | None = attrs.field(default=None, validator=rules.optional(rules.integer))
    num_variations: int = attrs.field(default=1, validator=rules.whole_number(1, 8))
    preset_name: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    """The preset that this comes from; shown in the vendor's app, without effect."""
    category_names: tuple[str, ...] = attrs.field(default=(), converter=_names)
    """The preset's categories; shown in the vendor's app, without effect."""
    options: OutputOptions | None = attrs.field(
        default=None, validator=rules.optional(rules.instance_of(OutputOptions))
    )

    @property
    def credits(self) -> float | None:
        """Estimated cost in credits; None unless `options` names a size."""
        price = self.options.credits_per_output if self.options else None
        return None if price is None else price * self.num_variations


@attrs.frozen(kw_only=True)
class InstructedJob(JobRequest):
    """A job that takes all images together and makes the outputs that its instructions ask for."""

    project: Project | str
    images: tuple[Image, ...] = attrs.field(converter=as_images)
    """1 to 10."""
    instructions: tuple[Instruction, ...]
    post_process: bool = attrs.field(default=False, validator=rules.boolean)
    model: str = attrs.field(default="auto", validator=rules.text)
    """Engine: auto, nano_banana_pro, seedream, or one that is new.

    A named engine has no safety fallback.
    """
    use_anchor: bool = attrs.field(validator=rules.boolean)
    anchor_index: int = attrs.field(default=0, validator=rules.integer)
    """Which instruction the others are aligned to, counted from 0; needs `use_anchor`."""

    def __attrs_post_init__(self) -> None:
        project_id_of(self.project)
        check_image_count(self.images)
        self._check_anchor()

    def _check_anchor(self) -> None:
        # No instruction means one default output.
        count = len(self.instructions) or 1
        if not 0 <= self.anchor_index < count:
            raise InvalidRequestError(
                "anchor_index",
                f"must be from 0 to {count - 1}, the last instruction, not {self.anchor_index}",
            )
        if self.anchor_index and not self.use_anchor:
            raise InvalidRequestError(
                "anchor_index", "means nothing without an anchor: set use_anchor=True, too"
            )

    @property
    def total_outputs(self) -> int:
        """The variations of all instructions together."""
        return sum(each.num_variations for each in self.instructions) or 1

    @property
    def credits(self) -> float | None:
        """Estimated cost in credits; None unless every instruction names a size.

        The size that the service takes by itself is not documented, nor is the price of a
        custom one.
        """
        prices = [each.credits for each in self.instructions]
        known = [price for price in prices if price is not None]
        return sum(known) if known and len(known) == len(prices) else None

    @property
    def project_id(self) -> str | None:
        """The project's id."""
        return project_id_of(self.project)

    @property
    def input_ids(self) -> tuple[str, ...]:
        """File ids of the images, in order."""
        return tuple(file_id_of("images", image) for image in self.images)


def check_instructions(instructions: tuple[object, ...], kind: type[Instruction]) -> None:
    """Raise unless each is of the kind."""
    for each in instructions:
        if not isinstance(each, kind):
            raise InvalidRequestError(
                "instructions", f"takes {kind.__name__}(...), not {type(each).__name__}"
            )
