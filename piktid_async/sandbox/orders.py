"""What can be asked for: pictures, and the job that makes them. Values only.

Every kind of job is turned into an `Order` when its request is checked; from then on booking,
running, charging and describing a job need not know its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs

Format: TypeAlias = Literal["jpg", "png"]

# https://docs.piktid.com/docs/v2/garment-recolor, "Output options"; the other guides name the
# same prices by "1K", "2K" and "4K".
CREDITS_PER_OUTPUT: Mapping[int, float] = {1024: 3.0, 2048: 5.0, 4096: 10.0}
SIZES: Mapping[str, int] = {"1K": 1024, "2K": 2048, "4K": 4096}

# https://docs.piktid.com/docs/v2/garment-recolor, "Concurrent job limit reached".
# The README of the vendor's create-identity counts the drafts of identities in, too.
POOLED_KINDS = frozenset(
    {"garment_recolor", "create_packshot", "flat_2_model", "identity_creation", "model_swap"}
)


@attrs.frozen(kw_only=True)
class Project:
    """A project; `key` is what requests carry, `number` what job answers call `project_id`."""

    number: int
    key: str
    name: str
    created: float


@attrs.frozen(kw_only=True)
class Upload:
    """An upload ticket, and the file that may have arrived for it."""

    file_id: str
    filename: str
    content_type: str
    object_key: str
    """Where the storage keeps the bytes."""


@attrs.frozen(kw_only=True)
class Cast:
    """The identity that a job was asked to use."""

    code: str
    name: str


@attrs.frozen(kw_only=True)
class Drawing:
    """What the image work is told."""

    kind: str
    options: Mapping[str, Any]
    """As the documents name them."""
    extra: tuple[Upload, ...] = ()
    """Pictures that are not inputs of their own, such as a swatch."""


@attrs.frozen(kw_only=True)
class Shot:
    """One picture that is asked for, and all that it takes to make it, or to make it again."""

    image_index: int
    group_index: int
    sources: tuple[Upload, ...]
    size: int
    """The size class in pixels, which the price and the plan's policy go by."""
    credits: float
    model: str
    drawing: Drawing
    format: Format = "jpg"
    custom_size: tuple[int, int] | None = None


@attrs.frozen(kw_only=True)
class Order:
    """A checked request for a job."""

    kind: str
    project: Project | None
    shots: tuple[Shot, ...]
    model: str
    post_process: bool = False
    cast: tuple[Cast, ...] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict)
    """Shown as `processing_options`."""

    @property
    def credits(self) -> float:
        """Price of the job when every output succeeds."""
        return sum(shot.credits for shot in self.shots)
