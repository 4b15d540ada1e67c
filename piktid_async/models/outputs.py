"""How outputs are to come out, and the words that style them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.models.images import UploadedFile, unannotated

Size: TypeAlias = Literal["1K", "2K", "4K"]
AspectRatio: TypeAlias = Literal["1:1", "3:4", "4:3", "9:16", "16:9"]
Format: TypeAlias = Literal["jpg", "png"]

CREDITS_BY_SIZE: Mapping[str, int] = {"1K": 3, "2K": 5, "4K": 10}
"""Credits per output. https://docs.piktid.com/docs/v2/create-packshot ("Credit cost")"""


def check_custom_size(width: int | None, height: int | None) -> None:
    """Raise unless both edges fit, or neither is given.

    https://docs.piktid.com/docs/v2/create-packshot ("Output options")
    """
    if width is None and height is None:
        return
    if width is None or height is None:
        missing = "width" if width is None else "height"
        raise InvalidRequestError(missing, "a custom size takes width and height: give both")
    for field, edge in (("width", width), ("height", height)):
        if type(edge) is not int or not 256 <= edge <= 7000 or edge % 8:
            told = edge if type(edge) is int else type(edge).__name__
            raise InvalidRequestError(
                field, f"must be from 256 to 7000 and a multiple of 8, not {told}"
            )
    if not height <= 4 * width <= 16 * height:
        raise InvalidRequestError(
            "width", f"width to height must be from 1:4 to 4:1, not {width}:{height}"
        )


@attrs.frozen(kw_only=True)
class OutputOptions:
    """Size, shape and format of the outputs of one instruction; what is left out is the service's.

    `width` and `height` come together, override `size` and `ar`, and need a plan that allows
    custom dimensions. https://docs.piktid.com/docs/v2/create-packshot ("Output options")
    """

    size: Size | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(Size)))
    )
    """Sets the price: 3, 5 or 10 credits per output."""
    ar: AspectRatio | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(AspectRatio)))
    )
    """Aspect ratio."""
    format: Format | None = attrs.field(
        default=None, validator=rules.optional(rules.one_of(*get_args(Format)))
    )
    width: int | None = None
    """Pixels: 256 to 7000, a multiple of 8; from a quarter of `height` to four times it."""
    height: int | None = None
    """Pixels: 256 to 7000, a multiple of 8."""
    seed: int | None = attrs.field(default=None, validator=rules.optional(rules.integer))
    """The service prefers the instruction's own `seed`."""

    def __attrs_post_init__(self) -> None:
        check_custom_size(self.width, self.height)

    @property
    def credits_per_output(self) -> float | None:
        """Price of one output; None for a custom size, or the service's own, for want of a list."""
        if self.size is None or self.width is not None:
            return None
        return float(CREDITS_BY_SIZE[self.size])


def _file_id(value: UploadedFile | str | None) -> str | None:
    return None if value is None else unannotated("image", value)


@attrs.frozen
class DesignValue:
    """A description with an uploaded image that shows what is meant.

    https://docs.piktid.com/docs/v2/flat-lay ("Instruction parameters")
    """

    text: str | None = attrs.field(default=None, validator=rules.optional(rules.text))
    image: str | None = attrs.field(default=None, converter=_file_id)
    """An uploaded file, or its id. Kept as the id."""

    def __attrs_post_init__(self) -> None:
        if self.image is None and self.text is None:
            raise InvalidRequestError("text", "a design value says something: give text or image")


@attrs.frozen(kw_only=True)
class _Described:
    def __attrs_post_init__(self) -> None:
        names = [field.name for field in attrs.fields(type(self))]
        if all(getattr(self, name) is None for name in names):
            raise InvalidRequestError(names[0], f"give at least one of {', '.join(names)}")


_TEXT = rules.optional(rules.text)


@attrs.frozen(kw_only=True)
class Camera(_Described):
    """How the camera sees it, in words: `Camera(framing="full body", angle="eye level")`."""

    framing: str | None = attrs.field(default=None, validator=_TEXT)
    angle: str | None = attrs.field(default=None, validator=_TEXT)
    lens: str | None = attrs.field(default=None, validator=_TEXT)
    aperture: str | None = attrs.field(default=None, validator=_TEXT)


@attrs.frozen(kw_only=True)
class Lighting(_Described):
    """How the light falls, in words: `Lighting(direction="from the left", quality="soft")`."""

    direction: str | None = attrs.field(default=None, validator=_TEXT)
    quality: str | None = attrs.field(default=None, validator=_TEXT)
    complexity: str | None = attrs.field(default=None, validator=_TEXT)


Design: TypeAlias = "str | int | DesignValue"
"""A description, the index of a value saved on the account, or a `DesignValue`."""


def design(*structured: type) -> rules.Validator:
    """Accept None, text, the index of a saved value, a `DesignValue`, or what is named."""
    kinds = (DesignValue, *structured)
    names = " or ".join(kind.__name__ for kind in kinds)

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if type(value) is int:
            fits = 0 <= value < 2**63
        else:
            fits = bool(value.strip()) if isinstance(value, str) else isinstance(value, kinds)
        if not fits:
            raise InvalidRequestError(
                attribute.name,
                f"must be a non-empty text, the index of a saved design value, or {names}",
            )
        if isinstance(value, str):
            rules.checked_letters(attribute.name, value)

    return rules.optional(check)
