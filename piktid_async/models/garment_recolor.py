"""Garment recolor: one garment, one new colour, across a set of product images."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import inputs, rules
from piktid_async.models.images import AnnotatedImage, UploadedFile, file_id_of, unannotated
from piktid_async.models.projects import Project, project_id_of
from piktid_async.models.requests import CREDITS_BY_EDGE, JobRequest


@attrs.frozen(kw_only=True)
class GarmentRecolor(JobRequest):
    """Recolor one garment in 1 to 10 images of it; everything else stays.

    At least one of `reference_image`, `reference_text` and `instruction` is needed; they
    combine. Makes `len(images) * num_variations` outputs of 3, 5 or 10 credits each, by
    `processing_size`. Raises `InvalidRequestError` when built against a rule.
    https://docs.piktid.com/docs/v2/garment-recolor
    """

    kind: ClassVar[str] = "garment_recolor"

    project: Project | str
    images: tuple[UploadedFile | AnnotatedImage | str, ...] = attrs.field(
        converter=inputs.as_images
    )
    garment_label: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    """Which garment, such as "jacket"; found by the service when left out."""
    reference_image: UploadedFile | str | None = None
    """A swatch of colour or pattern, uploaded like any image."""
    reference_text: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    """A colour or pattern: "#2E5A3B", "forest green"."""
    instruction: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    """Free text."""
    num_variations: int = attrs.field(default=1, validator=rules.whole_number(1, 8))
    processing_size: Literal[1024, 2048, 4096] = attrs.field(
        default=2048, validator=rules.one_of(1024, 2048, 4096)
    )
    """Edge of the outputs in pixels."""
    model: str = attrs.field(default="auto", validator=rules.text)
    """Engine: auto, nano_banana_2, nano_banana_pro, seedream, gpt_image, or one that is new.

    A named engine has no safety fallback.
    """
    post_process: bool = attrs.field(default=True, validator=rules.boolean)
    """Even out the tones over the whole set."""
    use_anchor: bool = attrs.field(default=True, validator=rules.boolean)
    """Keep the set consistent; matters with more than one output."""
    add_ai_watermark: bool = attrs.field(default=False, validator=rules.boolean)
    """Burn in an "AI-generated" mark; cannot be undone."""

    def __attrs_post_init__(self) -> None:
        project_id_of(self.project)
        inputs.check_image_count(self.images)
        if self.reference_image is not None:
            unannotated("reference_image", self.reference_image)
        if not (self.reference_image or self.reference_text or self.instruction):
            raise InvalidRequestError(
                "reference_text",
                "a recolor needs a target: give reference_text, reference_image or instruction",
            )

    @property
    def total_outputs(self) -> int:
        """Images times variations."""
        return len(self.images) * self.num_variations

    @property
    def credits(self) -> float | None:
        """Estimated cost in credits."""
        return float(self.total_outputs * CREDITS_BY_EDGE[self.processing_size])

    @property
    def project_id(self) -> str | None:
        """The project's id."""
        return project_id_of(self.project)

    @property
    def input_ids(self) -> tuple[str, ...]:
        """File ids of the images, in order."""
        return tuple(file_id_of("images", image) for image in self.images)
