"""The last steps of every picture: exact size, mark, encoding, thumbnail."""

import io
from typing import Literal

import attrs
from PIL import Image

from piktid_async.sandbox.imaging.compose import Size
from piktid_async.sandbox.imaging.io import write_jpeg
from piktid_async.sandbox.imaging.mark import stamp

THUMBNAIL = 256
"""Long edge of thumbnails in pixels."""

LARGEST = 2048
"""Long edge that pictures are painted at; what is larger is enlarged at the end."""


@attrs.frozen(kw_only=True)
class Target:
    """What the finished file shall be."""

    size: Size
    format: Literal["jpg", "png"] = "jpg"
    watermark: bool = False

    @property
    def canvas(self) -> Size:
        """The size to paint at."""
        factor = min(1.0, LARGEST / max(self.size))
        width, height = self.size
        return max(1, round(width * factor)), max(1, round(height * factor))


def finished(picture: Image.Image, target: Target) -> tuple[bytes, bytes]:
    """Return the file and its thumbnail, a JPEG; the mark is in both."""
    if picture.size != target.size:
        picture = picture.resize(target.size, Image.Resampling.BICUBIC)
    if target.watermark:
        picture = stamp(picture)
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    if target.format == "jpg":
        return write_jpeg(picture, quality=92), write_jpeg(small, quality=85)
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=3)
    return written.getvalue(), write_jpeg(small, quality=85)


def shaped(ratio: str | float, edge: int) -> Size:
    """Return the size with that ratio ("3:4", or width to height) and that long edge."""
    if isinstance(ratio, str):
        wide, _, tall = ratio.partition(":")
        ratio = int(wide) / int(tall)
    if ratio >= 1:
        return edge, max(1, round(edge / ratio))
    return max(1, round(edge * ratio)), edge
