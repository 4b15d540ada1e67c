"""Put pictures into a page, and tell their colours."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from PIL import Image

CHANGED = 24
"""Difference (of 255) from which a pixel counts as recoloured."""
LARGE = 600
"""Long edge in pixels from which a picture is worth a better quality."""


@attrs.frozen
class Picture:
    """One picture as a page holds it."""

    uri: str
    """A data URI."""
    width: int
    height: int


@attrs.frozen
class Shift:
    """The colour of the recoloured part, before and after, as hex codes."""

    old: str
    new: str


def embed(path: Path, edge: int) -> Picture | None:
    """Read a picture into a data URI, no longer than `edge`; None for what is none, or gone."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.draft("RGB", (edge, edge))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((edge, edge))
            flat, buffer = _flattened(upright), io.BytesIO()
            flat.save(buffer, "JPEG", quality=86 if edge >= LARGE else 74)
    # What Pillow raises for damaged files, and for those that would fill the memory.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    body = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{body}", *flat.size)


def color_shift(before: Path, after: Path) -> Shift | None:
    """Compare two pictures of the same thing; None where they are alike."""
    from PIL import Image, ImageChops, ImageOps, ImageStat

    try:
        with Image.open(before) as first, Image.open(after) as second:
            old, new = (
                ImageOps.exif_transpose(image).convert("RGB").resize((128, 128))
                for image in (first, second)
            )
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    bands = ImageChops.difference(old, new).split()
    loudest = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    mask = loudest.point(lambda value: 255 if value >= CHANGED else 0)
    if mask.getbbox() is None:
        return None
    return Shift(_hex(ImageStat.Stat(old, mask).median), _hex(ImageStat.Stat(new, mask).median))


def _flattened(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode not in ("RGBA", "LA", "P", "PA"):
        return image.convert("RGB")
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layers).convert("RGB")


def _hex(color: list[int]) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in color[:3])
