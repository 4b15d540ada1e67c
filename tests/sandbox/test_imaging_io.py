"""Reading hostile and unusual pictures."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.io import read_image


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(mode="RGB"):
    """Upper half red, lower half blue; 60 x 40."""
    image = Image.new("RGB", (60, 40), (200, 30, 30))
    image.paste((30, 30, 200), (0, 20, 60, 40))
    return image.convert(mode)


def near(pixel, wanted, slack=40):
    return all(abs(a - b) < slack for a, b in zip(pixel, wanted, strict=True))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("P", "PNG"), ("RGBA", "PNG"),
        ("RGB", "WEBP"), ("RGBA", "WEBP"),
    ],
)  # fmt: skip
def test_colour_modes_are_read_as_rgb(mode, kind):
    image = read_image(encoded(halves(mode), kind), size=60)
    assert (image.mode, image.size) == ("RGB", (60, 40))
    assert near(image.getpixel((30, 8)), (200, 30, 30))
    assert near(image.getpixel((30, 32)), (30, 30, 200))


def test_grey_and_bilevel_pictures_are_read():
    assert read_image(encoded(Image.new("L", (20, 20), 90), "JPEG"), size=20).getpixel((5, 5)) == (
        90,
        90,
        90,
    )
    bilevel = encoded(Image.new("1", (20, 20), 1), "PNG")
    assert read_image(bilevel, size=20).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_tones():
    deep = Image.fromarray(np.full((20, 20), 128 * 256, np.uint16))
    assert read_image(encoded(deep, "PNG"), size=20).getpixel((5, 5)) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_white(mode):
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0)).convert(mode)
    options = {"transparency": 0} if mode == "P" else {}
    if mode == "P":
        clear = Image.new("P", (20, 20), 0)
    assert read_image(encoded(clear, "PNG", **options), size=20).getpixel((9, 9)) == (255, 255, 255)


@pytest.mark.parametrize("size", [30, 60, 241])
def test_the_long_edge_is_exactly_as_asked(size):
    image = read_image(encoded(halves(), "JPEG"), size=size)
    assert image.size == (size, round(size * 40 / 60))


@pytest.mark.parametrize(
    ("orientation", "red_at"),
    [(1, "top"), (2, "top"), (3, "bottom"), (4, "bottom"), (5, "left"), (6, "right"),
     (7, "right"), (8, "left")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_camera_orientation_is_honoured(orientation, red_at, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(encoded(halves(), kind, exif=exif), size=60)
    width, height = image.size
    assert (width > height) == (orientation < 5)
    at = {"top": (0.5, 0.2), "bottom": (0.5, 0.8), "left": (0.2, 0.5), "right": (0.8, 0.5)}[red_at]
    assert near(image.getpixel((int(at[0] * width), int(at[1] * height))), (200, 30, 30))


def test_damaged_exif_does_not_matter():
    broken = encoded(halves(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert read_image(broken, size=60).size == (60, 40)


@pytest.mark.parametrize(
    "source",
    [b"", b"hello", b"<svg/>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8 junk",
     encoded(Image.new("RGB", (20, 20)), "GIF"), encoded(Image.new("RGB", (20, 20)), "BMP")],
)  # fmt: skip
def test_what_is_no_picture_is_refused(source):
    with pytest.raises(ImagingError, match=r"^The image could not be read \(.+\)$"):
        read_image(source, size=64)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_truncated_files_are_refused(kind):
    noise = np.random.default_rng(1).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), kind)
    for cut in (0.05, 0.3, 0.7):
        with pytest.raises(ImagingError, match="could not be read"):
            read_image(whole[: int(len(whole) * cut)], size=64)


def bomb(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("edge", [8001, 12_000, 60_000])
def test_too_many_pixels_are_refused_before_decoding_and_without_a_warning(edge):
    with pytest.raises(ImagingError, match=f"too large: {edge} x {edge} pixels, at most 64 mega"):
        read_image(bomb(edge, edge), size=64)
