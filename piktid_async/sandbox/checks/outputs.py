"""The output options of an instruction, the same for packshots and pictures on a model.

https://docs.piktid.com/docs/v2/create-packshot, "Output options"
"""

from __future__ import annotations

import attrs

from piktid_async.sandbox.answers import refuse
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.orders import SIZES, Format

RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
LEAST_EDGE, MOST_EDGE, EDGE_STEP = 256, 7000, 8
WIDEST = 4.0

# "Server default" is all that the vendor's script says of it; the playground names "2K".
DEFAULT_SIZE = "2K"


@attrs.frozen(kw_only=True)
class OutputOptions:
    """What one output shall be like as a file."""

    size: int
    ratio: str | None
    format: Format
    seed: int | None
    custom: tuple[int | None, int | None]

    @property
    def price_class(self) -> int:
        """The size that price and plan go by: a custom one overrides what `size` says."""
        edges = [edge for edge in self.custom if edge is not None]
        if not edges:
            return self.size
        classes = sorted(SIZES.values())
        # No document names the price of a custom size: it is that of the class that holds it.
        return next((each for each in classes if max(edges) <= each), classes[-1])

    def custom_size(self) -> tuple[int, int] | None:
        """Return the exact size that was asked for, or raise the 400 of an impossible one."""
        return check_custom(*self.custom)


def read_output_options(fields: Fields) -> OutputOptions:
    """Read the `options` of an instruction."""
    size = fields.choice("size", SIZES, DEFAULT_SIZE)
    return OutputOptions(
        size=SIZES[size or DEFAULT_SIZE],
        ratio=fields.choice("ar", RATIOS),
        format="png" if fields.choice("format", ("jpg", "png")) == "png" else "jpg",
        seed=fields.whole("seed"),
        custom=(fields.whole("width"), fields.whole("height")),
    )


def check_custom(width: int | None, height: int | None) -> tuple[int, int] | None:
    """Return an exact size, or raise the 400."""
    if width is None and height is None:
        return None
    if width is None or height is None:
        raise _impossible("width and height must be set together")
    for edge in (width, height):
        if not LEAST_EDGE <= edge <= MOST_EDGE or edge % EDGE_STEP:
            raise _impossible(
                f"each must be between {LEAST_EDGE} and {MOST_EDGE} and a multiple of {EDGE_STEP}"
            )
    if max(width, height) > WIDEST * min(width, height):
        raise _impossible("the aspect ratio must be between 1:4 and 4:1")
    return width, height


def _impossible(why: str) -> Exception:
    return refuse(400, f"Invalid custom dimensions: {why}")
