"""Put layers together: placing, shadows, light, grain."""

import math
from typing import Literal

import attrs
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from piktid_async.sandbox.imaging.cloth import waves
from piktid_async.sandbox.imaging.spaces import Floats
from piktid_async.sandbox.imaging.words import Rgb8

Size = tuple[int, int]
Shadow = Literal["none", "contact", "soft_drop", "natural", "cast"]


@attrs.frozen
class Place:
    """Where a layer goes, in fractions of the canvas."""

    x: float
    """Of its middle."""
    y: float
    """Of its middle, or of its foot if it stands."""
    wide: float
    """The most it may take of the width."""
    tall: float
    """The most it may take of the height."""
    stands: bool = False


def placed(canvas: Size, layer: Image.Image, place: Place) -> Image.Image:
    """Return a layer of the canvas's size with `layer` scaled to its place, in proportion."""
    width, height = canvas
    factor = min(place.wide * width / layer.width, place.tall * height / layer.height)
    size = (max(1, round(layer.width * factor)), max(1, round(layer.height * factor)))
    above = size[1] if place.stands else size[1] / 2
    corner = (round(place.x * width - size[0] / 2), round(place.y * height - above))
    whole = Image.new("RGBA", canvas)
    whole.paste(scaled(layer, size), corner)
    return whole


def scaled(layer: Image.Image, size: Size) -> Image.Image:
    """Resize RGBA without dark fringes."""
    return layer.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")


def laid_on(canvas: Image.Image, layer: Image.Image) -> Image.Image:
    """Lay an RGBA layer over an RGB canvas of the same size."""
    return Image.composite(layer.convert("RGB"), canvas, layer.getchannel("A"))


def shaded_by(
    canvas: Image.Image, layer: Image.Image, kind: Shadow, *, left: bool = False
) -> Image.Image:
    """Let a layer throw a shadow on the canvas that it will lie on; `left` is where to."""
    if kind == "none":
        return canvas
    cover = layer.getchannel("A")
    edge, side = max(canvas.size), -1 if left else 1
    box = cover.getbbox()
    if box is None:
        return canvas
    if kind == "contact":
        return _darkened(canvas, _contact(cover.size, box), 0.4, radius=0.006 * edge)
    if kind == "soft_drop":
        thrown = ImageChops.offset(cover, round(0.018 * edge) * side, round(0.026 * edge))
        return _darkened(canvas, thrown, 0.4, radius=0.022 * edge)
    if kind == "natural":
        near = ImageChops.offset(cover, round(0.005 * edge) * side, round(0.007 * edge))
        canvas = _darkened(canvas, near, 0.42, radius=0.005 * edge)
        far = ImageChops.offset(cover, round(0.016 * edge) * side, round(0.02 * edge))
        return _darkened(canvas, far, 0.34, radius=0.018 * edge)
    canvas = _darkened(canvas, _contact(cover.size, box), 0.5, radius=0.008 * edge)
    return _darkened(canvas, _cast(cover, box, side), 0.28, radius=0.014 * edge)


def _contact(size: Size, box: tuple[int, int, int, int]) -> Image.Image:
    """Draw the dark line where a thing touches the ground: an ellipse below it."""
    left, _, right, bottom = box
    inset, thick = 0.22 * (right - left), 0.009 * (right - left) + 1
    drawn = Image.new("L", size)
    ellipse = (left + inset, bottom - thick, right - inset, bottom + thick)
    ImageDraw.Draw(drawn).ellipse(ellipse, fill=255)
    return drawn


def _cast(cover: Image.Image, box: tuple[int, int, int, int], side: int) -> Image.Image:
    """Lay the outline down on the ground, away from the light."""
    left, top, right, bottom = box
    flat, lean = 0.3, 1.1 * side
    # Output (x, y) takes its value from where it would stand upright above the ground.
    rise = 1 / flat
    matrix = (1.0, lean, -lean * bottom, 0.0, rise, bottom * (1 - rise))
    del left, top, right
    return cover.transform(cover.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _darkened(
    canvas: Image.Image, shape: Image.Image, depth: float, *, radius: float
) -> Image.Image:
    soft = blurred(shape, radius=radius).point(lambda value: 255 - value * depth)
    return ImageChops.multiply(canvas, Image.merge("RGB", (soft, soft, soft)))


def blurred(picture: Image.Image, *, radius: float) -> Image.Image:
    """Blur; wide blurs are done on a smaller copy."""
    factor = max(1, int(radius / 6))
    if factor == 1:
        return picture.filter(ImageFilter.GaussianBlur(radius))
    small = picture.reduce(factor).filter(ImageFilter.GaussianBlur(radius / factor))
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def as_picture(values: Floats, size: Size) -> Image.Image:
    """Turn sRGB values on the scale 0..255 into a picture of that size."""
    picture = Image.fromarray(np.clip(values + np.float32(0.5), 0, 255).astype(np.uint8))
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def grid(size: Size, *, edge: int = 480) -> tuple[Floats, Floats]:
    """Return x and y (0..1) for a small copy of a canvas, for what is smooth anyway."""
    factor = min(1.0, edge / max(size))
    columns, rows = max(2, round(size[0] * factor)), max(2, round(size[1] * factor))
    x = np.linspace(0, 1, columns, dtype=np.float32)[None].repeat(rows, axis=0)
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None].repeat(columns, axis=1)
    return x, y


def studio(
    size: Size, color: Rgb8, *, floor: float | None, rng: np.random.Generator
) -> Image.Image:
    """Paint a backdrop of seamless paper with a glow; `floor` is the height of its bend."""
    x, y = grid(size)
    glow = np.exp(-((x - 0.45) ** 2 / 0.3 + (y - 0.4) ** 2 / 0.4))
    light = 0.86 + 0.16 * glow + 0.008 * waves(x.shape, across=3, down=3, rng=rng)
    if floor is not None:
        bend = 1 / (1 + np.exp(-(y - np.float32(floor)) / np.float32(0.025)))
        light = light * (1 - 0.1 * bend) + 0.05 * bend * np.clip((y - floor) / 0.3, 0, 1)
    tone: Floats = (light[..., None] * np.array(color, np.float32)).astype(np.float32)
    return as_picture(tone, size)


def graded(
    picture: Image.Image, *, gains: tuple[float, float, float], contrast: float = 1.0
) -> Image.Image:
    """Scale the channels, then stretch them about middle grey."""
    channels = []
    for channel, gain in zip(picture.split(), gains, strict=True):
        table = [128 + (value * gain - 128) * contrast for value in range(256)]
        channels.append(channel.point([round(min(255.0, max(0.0, each))) for each in table]))
    return Image.merge("RGB", channels)


def vignetted(picture: Image.Image, *, depth: float) -> Image.Image:
    """Darken the corners."""
    x, y = grid(picture.size)
    far = ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
    veil = as_picture(255 * (1 - np.float32(depth) * far), picture.size)
    return ImageChops.multiply(picture, Image.merge("RGB", (veil, veil, veil)))


def lit_from(picture: Image.Image, *, angle: float, strength: float, color: Rgb8) -> Image.Image:
    """Let light fall in from one side (degrees, 0 is right, 90 is above)."""
    x, y = grid(picture.size)
    across = math.cos(math.radians(angle)) * (x - 0.5) - math.sin(math.radians(angle)) * (y - 0.5)
    amount = np.clip(np.float32(strength) * (across + np.float32(0.35)), 0, 1)[..., None]
    return ImageChops.screen(
        picture, as_picture(amount * np.array(color, np.float32), picture.size)
    )


def grainy(picture: Image.Image, *, sigma: float, rng: np.random.Generator) -> Image.Image:
    """Add sensor noise, so that painted parts do not look painted."""
    width, height = picture.size
    noise = rng.standard_normal((height, width, 1), dtype=np.float32) * np.float32(sigma)
    return as_picture(np.asarray(picture).astype(np.float32) + noise, picture.size)
