"""Pictures of looks, recoloured. Needs Pillow and NumPy, so it is imported late."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image

from piktid_async.sandbox.imaging import recolor
from piktid_async.sandbox.imaging.io import read_image, write_jpeg
from piktid_async.sandbox.imaging.samples import sample_photo
from piktid_async.sandbox.vtryon.state import Change, Look

_SMALLEST, _LARGEST = 200, 800
"""Edges of the sample photos in pixels: below, there is no garment to find; above, no gain."""
_TALL = 0.625
"""Height of a picture of two upright photos (4:5) side by side, for a width of 1."""


def draw(look: Look, changes: tuple[Change, ...], *, width: int) -> bytes:
    """Draw both garments side by side as JPEG, the named ones in their new colours."""
    height = max(1, round(width * _TALL))
    colors = {change.garment: change.color for change in changes}
    halves = [
        _garment(look.upper, colors.get("upper"), height),
        _garment(look.lower, colors.get("lower"), height),
    ]
    picture = Image.new("RGB", (sum(half.width for half in halves), height))
    picture.paste(halves[0], (0, 0))
    picture.paste(halves[1], (halves[0].width, 0))
    return write_jpeg(picture, quality=93)


def _garment(number: int, color: str | None, height: int) -> Image.Image:
    photo = _photo(number, min(max(height, _SMALLEST), _LARGEST))
    if color is not None:
        photo = recolor(photo, reference_text=color, size=height).full
    return read_image(photo, size=height)


@lru_cache(maxsize=8)
def _photo(number: int, size: int) -> bytes:
    return sample_photo(number, size=size).data
