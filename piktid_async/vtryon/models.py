"""What is sent to Vtryon, and what it tells of a task."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.types import redact_url

ENDED = frozenset({"completed", "failed"})
"""Statuses after which nothing changes; a status that is not known is not one of them."""


def checked_id(field: str, value: object) -> int:
    """Return the id of a task; those that are documented are whole numbers."""
    if type(value) is not int or value < 1:
        raise InvalidRequestError(field, f"must be the number of a Vtryon task, not {value!r}")
    return value


def _id(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    checked_id(attribute.name, value)


def _changes(value: Any) -> tuple[ColorChange, ...]:
    return rules.as_tuple("color_changes", value)


@attrs.frozen
class ColorChange:
    """One garment and its new colour."""

    target: str = attrs.field(validator=rules.text)
    """The garment by its name: "blouse", "lehenga"."""
    color: str = attrs.field(validator=rules.text)
    """A name or a hex code: "royal blue", "#0000ff"."""


@attrs.frozen(kw_only=True)
class Recolor:
    """Recolor garments in an image that a Vtryon pose or model task has made.

    The page marks both ids as required, while its own sample sends only the pose's and its text
    speaks of a "model or pose task". So at least one is asked for here, and what is given is
    sent; the service may still refuse one without the other. Raises `InvalidRequestError` when
    built against a rule. The price is not documented.
    https://vtryon.legresca.ai/guide/api-integration/recolor
    """

    pose_image_generation_id: int | None = attrs.field(default=None, validator=rules.optional(_id))
    """The base pose task."""
    models_image_generation_task_id: int | None = attrs.field(
        default=None, validator=rules.optional(_id)
    )
    """The base model task."""
    color_changes: tuple[ColorChange, ...] = attrs.field(converter=_changes)
    image_quality: Literal["2k", "4k"] = attrs.field(
        default="2k", validator=rules.one_of("2k", "4k")
    )

    def __attrs_post_init__(self) -> None:
        if self.pose_image_generation_id is None and self.models_image_generation_task_id is None:
            raise InvalidRequestError(
                "pose_image_generation_id",
                "a recolor needs a base: give pose_image_generation_id, "
                "models_image_generation_task_id or both",
            )
        if not self.color_changes:
            raise InvalidRequestError("color_changes", "takes at least one ColorChange")
        for change in self.color_changes:
            if not isinstance(change, ColorChange):
                raise InvalidRequestError(
                    "color_changes", f"takes ColorChange(target, color), not {change!r}"
                )


@attrs.frozen(kw_only=True)
class TaskResult:
    """A task as the service tells of it."""

    id: int
    status: str
    """queued, pending, processing, completed or failed; others may come."""
    result_url: str | None = attrs.field(default=None, repr=redact_url)
    """The recolored image, once the status is completed. How long it lives is not documented."""
    error_message: str | None = None
    """Why it failed, where the service says so. The field is not documented: the usual names
    are looked at."""
    created_at: str | None = None
    """Told by the answer to the creation only."""

    @property
    def ended(self) -> bool:
        """Whether nothing will change."""
        return self.status in ENDED


@attrs.frozen(kw_only=True)
class TryOnImage:
    """A picture of a person or a garment, for the try-on."""

    id: int
    image_url: str | None = attrs.field(default=None, repr=redact_url)
    image_name: str | None = None
