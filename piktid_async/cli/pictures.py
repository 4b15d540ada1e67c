"""Put pictures into a page: smaller where Pillow (extra `sandbox`) is there, as they are if not."""

from __future__ import annotations

import base64
import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from piktid_async.cli.inputs import media_type

if TYPE_CHECKING:
    from PIL import Image

EDGE = 1200
"""Long edge in pixels to which pictures are reduced for a page."""
CHANGED = 24
"""Difference (of 255) from which a pixel counts as recoloured."""


@attrs.frozen
class Picture:
    """One picture as a page holds it."""

    uri: str
    """A data URI."""
    width: int | None = None
    height: int | None = None


@attrs.frozen
class Shift:
    """The colour of the recoloured part, before and after, as hex codes."""

    old: str
    new: str


def embed(path: Path) -> Picture:
    """Read a picture into a data URI; what cannot be made smaller goes in as it is."""
    data = path.read_bytes()
    if importlib.util.find_spec("PIL") is not None:
        reduced = _reduced(data)
        if reduced is not None:
            return reduced
    return Picture(_uri(media_type(data[:16]) or "application/octet-stream", data))


def color_shift(before: Path, after: Path) -> Shift | None:
    """Compare two pictures of the same thing; None where they are alike, or without Pillow."""
    if importlib.util.find_spec("PIL") is None:
        return None
    from PIL import Image, ImageChops, ImageOps, ImageStat

    try:
        with Image.open(before) as first, Image.open(after) as second:
            old, new = (
                ImageOps.exif_transpose(image).convert("RGB").resize((128, 128))
                for image in (first, second)
            )
    except (OSError, SyntaxError, ValueError):
        return None
    bands = ImageChops.difference(old, new).split()
    loudest = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    mask = loudest.point(lambda value: 255 if value >= CHANGED else 0)
    if mask.getbbox() is None:
        return None
    return Shift(_hex(ImageStat.Stat(old, mask).median), _hex(ImageStat.Stat(new, mask).median))


def _reduced(data: bytes) -> Picture | None:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (EDGE, EDGE))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((EDGE, EDGE))
            buffer = io.BytesIO()
            _flattened(upright).save(buffer, "JPEG", quality=86)
            return Picture(_uri("image/jpeg", buffer.getvalue()), *upright.size)
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for damaged files
        return None


def _flattened(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode not in ("RGBA", "LA", "P", "PA"):
        return image.convert("RGB")
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layers).convert("RGB")


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _hex(color: list[int]) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in color[:3])
