"""Model swap: the same photos with another person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.images import file_id_of
from piktid_async.models.inputs import (
    PlainImage,
    as_identity_code,
    as_plain_images,
    check_image_count,
)
from piktid_async.models.projects import Project, project_id_of
from piktid_async.models.requests import JobRequest
from piktid_async.types import Json, JsonObject


def _options(value: Mapping[str, Json]) -> JsonObject:
    options = rules.as_json("swap_options", value)
    if not isinstance(options, dict):
        raise InvalidRequestError("swap_options", f"must be a mapping, not {type(value).__name__}")
    return options


@attrs.frozen(kw_only=True)
class ModelSwap(JobRequest):
    """Put one identity into 1 to 10 photos of somebody else; one output for each.

    Raises `InvalidRequestError` when built against a rule.
    https://docs.piktid.com/docs/v2/model-swap/create_model_swap_job__post
    """

    kind: ClassVar[str] = "model_swap"

    identity: str = attrs.field(converter=as_identity_code)
    """Who is to be seen: an identity, or its code. Kept as the code."""
    project: Project | str
    images: tuple[PlainImage, ...] = attrs.field(converter=as_plain_images)
    """1 to 10; the service takes no notes on them."""
    post_process: bool = attrs.field(default=False, validator=rules.boolean)
    """Even out the skin over the whole set."""
    swap_options: Mapping[str, Json] = attrs.field(factory=dict, converter=_options, hash=False)
    """Goes out as it is: the service takes options here and documents none."""

    def __attrs_post_init__(self) -> None:
        project_id_of(self.project)
        check_image_count(self.images)

    @property
    def total_outputs(self) -> int:
        """One for each image."""
        return len(self.images)

    @property
    def credits(self) -> float | None:
        """None: the price is not documented."""
        return None

    @property
    def project_id(self) -> str | None:
        """The project's id."""
        return project_id_of(self.project)

    @property
    def input_ids(self) -> tuple[str, ...]:
        """File ids of the images, in order."""
        return tuple(file_id_of("images", image) for image in self.images)
