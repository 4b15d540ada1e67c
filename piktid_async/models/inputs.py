"""What jobs are made from: images and identities, in any of the forms that callers have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.images import AnnotatedImage, UploadedFile, file_id_of

Image: TypeAlias = "UploadedFile | AnnotatedImage | str"
PlainImage: TypeAlias = "UploadedFile | str"

MOST_IMAGES = 10


class HasIdentityCode(Protocol):
    """An identity, as far as jobs are concerned."""

    @property
    def identity_code(self) -> str:
        """The service's name for it."""


def as_images(value: Iterable[Image]) -> tuple[Image, ...]:
    """Return the images of a job; raise if one is no image."""
    images = rules.in_order("images", value)
    for image in images:
        file_id_of("images", image)
    return images


def as_plain_images(value: Iterable[PlainImage]) -> tuple[PlainImage, ...]:
    """Return the images of a job that takes no notes; raise if one has a note or is no image."""
    images = rules.in_order("images", value)
    for image in images:
        if isinstance(image, AnnotatedImage):
            raise InvalidRequestError(
                "images", "this service takes no notes on images: pass their file_id"
            )
        file_id_of("images", image)
    return images


def check_image_count(images: tuple[object, ...]) -> None:
    """Raise unless there are 1 to 10."""
    if not 1 <= len(images) <= MOST_IMAGES:
        raise InvalidRequestError(
            "images", f"takes 1 to {MOST_IMAGES} images, not {len(images)}: split the set"
        )


def as_identity_code(value: HasIdentityCode | str) -> str:
    """Return the code of one identity, given as such or as its code."""
    return _identity_code("identity", value)


def as_identity_codes(value: Iterable[HasIdentityCode | str]) -> tuple[str, ...]:
    """Return the codes of several identities."""
    return tuple(_identity_code("identities", each) for each in rules.as_tuple("identities", value))


def _identity_code(field: str, value: object) -> str:
    found: object = value if isinstance(value, str) else getattr(value, "identity_code", None)
    if not isinstance(found, str) or not found.strip():
        raise InvalidRequestError(
            field,
            "takes an identity or its code, a non-empty text, "
            f"not {type(value).__name__}: see session.identities",
        )
    return rules.checked_letters(field, found)
