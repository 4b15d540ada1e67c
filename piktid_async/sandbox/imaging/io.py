"""Read uploaded pictures safely and write JPEG.

The three accepted formats are recognised by their first bytes and opened by their own reader:
`Image.open` would warn about large pictures before their size can be checked, and warning
filters are shared between threads.
"""

import io
import struct

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from piktid_async.sandbox.imaging.errors import ImagingError

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded, in pixels."""

_APP1, _SCAN = 0xE1, 0xDA
_ORIENTATION = 0x0112
_FIRST_LYING = 5
"""From this orientation on, rows are columns."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(source: bytes, *, size: int) -> Image.Image:
    """Decode a JPEG, PNG or WEBP to upright RGB with the given long edge in pixels.

    Raise ImagingError if the bytes are no such picture, are cut short, or hold too many pixels.
    """
    try:
        exif, source = _split_exif(source)
        image = _opened(source)
        _check_size(image)
        turn = _TURNS.get(_orientation(exif or image.info.get("exif")))
        if image.format == "JPEG":
            image.draft(image.mode, (size, size))
        image = _flattened(image)
    except ImagingError:
        raise
    except Exception as error:
        # Readers fail on hostile bytes in a dozen ways: OSError, SyntaxError, struct.error, ...
        raise ImagingError(
            "The image could not be read (the file is damaged or incomplete)"
        ) from error
    image = _scaled(image, size=size)
    return image if turn is None else image.transpose(turn)


def upright_size(source: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG, PNG or WEBP as it is shown, without decoding it.

    Raise ImagingError as `read_image` does.
    """
    try:
        exif, source = _split_exif(source)
        image = _opened(source)
        _check_size(image)
        lying = _orientation(exif or image.info.get("exif")) >= _FIRST_LYING
    except ImagingError:
        raise
    except Exception as error:
        raise ImagingError(
            "The image could not be read (the file is damaged or incomplete)"
        ) from error
    width, height = image.size
    return (height, width) if lying else (width, height)


def write_jpeg(image: Image.Image, *, quality: int) -> bytes:
    """Encode an RGB picture; chroma is kept at full resolution so edges do not bleed."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _opened(source: bytes) -> Image.Image:
    if not source:
        raise ImagingError("The image could not be read (the file is empty)")
    stream = io.BytesIO(source)
    if source.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile(stream)
    if source.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile(stream)
    if source[:4] == b"RIFF" and source[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile(stream)
    raise ImagingError("The image could not be read (not a JPEG, PNG or WEBP file)")


def _split_exif(source: bytes) -> tuple[bytes, bytes]:
    """Take the EXIF block out of a JPEG: Pillow's reader warns about damaged ones."""
    if not source.startswith(b"\xff\xd8\xff"):
        return b"", source
    at = 2
    while at + 4 <= len(source) and source[at] == 0xFF and source[at + 1] != _SCAN:
        end = at + 2 + int.from_bytes(source[at + 2 : at + 4])
        if source[at + 1] == _APP1 and source[at + 4 : at + 10] == b"Exif\0\0":
            return source[at + 4 : end], source[:at] + source[end:]
        at = end
    return b"", source


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImagingError("The image could not be read (it has no pixels)")
    if width * height > MAX_PIXELS:
        raise ImagingError(
            f"The image is too large: {width} x {height} pixels, "
            f"at most {MAX_PIXELS // 1_000_000} megapixels are accepted"
        )


def _orientation(exif: object) -> int:
    """Find the orientation tag in an EXIF block; 1 (upright) if there is none to be found."""
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:
        return 1
    return 1


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        return Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def _scaled(image: Image.Image, *, size: int) -> Image.Image:
    width, height = image.size
    factor = size / max(width, height)
    target = (max(1, round(width * factor)), max(1, round(height * factor)))
    if target == image.size:
        return image
    return image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
