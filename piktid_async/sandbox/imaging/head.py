"""Draws neck, head, face and hair of a figure."""

import math

from PIL import Image, ImageDraw, ImageFilter

from piktid_async.sandbox.imaging.cloth import Curve
from piktid_async.sandbox.imaging.looks import Look
from piktid_async.sandbox.imaging.modelling import Modelling
from piktid_async.sandbox.imaging.words import Rgb8

CROWN, CHIN = 0.022, 0.142
_HALF = 0.0415
"""Half the width of the head."""
_EYES = 0.088
_FINE = 4


def hair_behind(body: Modelling, look: Look) -> None:
    """Draw the hair that hangs behind the shoulders."""
    if look.style == "long":
        outline = _both(((0, 0.008), (0.052, 0.03), (0.06, 0.1), (0.064, 0.2), (0.052, 0.262)),
                        ((0.052, 0.262), (0.02, 0.255), (0, 0.258)))  # fmt: skip
        body.add(outline, _dim(look.hair, 0.75), relief=0.012, lift=0.0)
    elif look.style == "curly":
        for x, y, radius in _CURLS:
            body.add((_ring(x, y, radius),), _dim(look.hair, 0.85), relief=0.008, lift=0.1)
    elif look.style == "bun":
        body.add((_ring(0, 0.012, 0.024),), look.hair, relief=0.008, lift=0.0)


def neck(body: Modelling, look: Look, *, opening: float, depth: float) -> None:
    """Draw the neck and the skin in a neckline, so deep below the shoulders' height."""
    low = 0.166 + depth
    outline = _both(
        ((0.024, 0.118), (0.024, 0.15), (0.03, 0.163)),
        ((0.03, 0.163), (max(0.033, opening), 0.168), (0.68 * opening, 0.166 + 0.6 * depth)),
        ((0.68 * opening, 0.166 + 0.6 * depth), (0.34 * opening, low - 0.1 * depth), (0, low)),
    )
    body.add(outline, _dim(look.skin, 0.93), relief=0.008, lift=0.0)


def head(body: Modelling, look: Look, *, smile: bool = False) -> None:
    """Draw head, face and the hair in front."""
    for side in (-1, 1):
        ear: Curve = (
            (side * 0.039, 0.082), (side * 0.0465, 0.08), (side * 0.046, 0.094),
            (side * 0.041, 0.101), (side * 0.038, 0.095),
        )  # fmt: skip
        body.add((ear,), _dim(look.skin, 0.92), relief=0.004, lift=0.0)
    face = _both(
        ((0, CROWN), (0.03, 0.029), (_HALF, 0.062), (0.0405, 0.094)),
        ((0.0405, 0.094), (0.034, 0.12), (0.019, 0.138), (0, CHIN)),
    )
    body.add(face, look.skin, relief=0.016, lift=0.35)
    _features(body, look, smile=smile)
    _hair_in_front(body, look)


def _features(body: Modelling, look: Look, *, smile: bool) -> None:
    """Draw eyes, brows, nose and mouth finely, then blur them into the face."""
    height = body.height
    left, top = body.pixel(-0.05, 0.06)
    size = (round(0.1 * height), round(0.09 * height))
    sheet = Image.new("RGBA", (size[0] * _FINE, size[1] * _FINE), (*look.skin, 0))
    draw = ImageDraw.Draw(sheet)
    unit = height * _FINE

    def box(x: float, y: float, wide: float, tall: float) -> tuple[float, float, float, float]:
        middle, down = (x + 0.05) * unit, (y - 0.06) * unit
        return middle - wide * unit, down - tall * unit, middle + wide * unit, down + tall * unit

    dark = _dim(look.skin, 0.5)
    brow = _dim(look.hair, 0.8) if look.style != "shaved" else dark
    for side in (-1, 1):
        x = side * 0.0175
        draw.ellipse(box(x, _EYES, 0.0078, 0.0042), fill=(246, 242, 238, 255))
        draw.ellipse(box(x, _EYES, 0.0038, 0.004), fill=(*look.eyes, 255))
        draw.ellipse(box(x, _EYES, 0.0018, 0.0019), fill=(16, 14, 14, 255))
        draw.arc(box(x, _EYES + 0.0006, 0.0086, 0.0056), 195, 345,
                 fill=(*_dim(look.skin, 0.28), 255), width=round(0.0014 * unit))  # fmt: skip
        draw.arc(box(x, _EYES - 0.002, 0.0105, 0.0095), 208, 330, fill=(*brow, 235),
                 width=round(0.0022 * unit))  # fmt: skip
    draw.arc(
        box(0.0004, 0.1065, 0.0052, 0.0034), 15, 165, fill=(*dark, 150), width=round(0.0012 * unit)
    )
    lips = _mixed(look.skin, (168, 60, 66), 0.5)
    mouth = 0.1225
    wide = 0.0125 if smile else 0.0105
    draw.chord(box(0, mouth, wide * 0.92, 0.0024), 180, 360, fill=(*_dim(lips, 0.88), 255))
    draw.chord(box(0, mouth, wide, 0.0046 if smile else 0.0032), 0, 180, fill=(*lips, 255))
    if smile:
        draw.chord(box(0, mouth, wide * 0.7, 0.0022), 0, 180, fill=(248, 244, 240, 255))
    small = sheet.convert("RGBa").resize(size, Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(0.0005 * height)).convert("RGBA")
    body.over(small, (round(left), round(top)))


def _hair_in_front(body: Modelling, look: Look) -> None:
    hair = look.hair
    if look.style == "shaved":
        body.add(_cap(0.052), _mixed(look.skin, hair, 0.55), relief=0.01, lift=0.0)
        return
    body.add(_cap(0.06 if look.style in ("short", "bun") else 0.064), hair, relief=0.01, lift=0.2)
    if look.style in ("long", "bob"):
        end = 0.245 if look.style == "long" else 0.148
        for side in (-1, 1):
            lock: Curve = (
                (side * 0.012, 0.024), (side * 0.044, 0.042), (side * 0.052, 0.09),
                (side * 0.054, 0.5 * (0.09 + end)), (side * 0.049, end - 0.004),
            )  # fmt: skip
            back: Curve = (
                (side * 0.042, end), (side * 0.037, 0.5 * (0.1 + end)), (side * 0.0375, 0.1),
                (side * 0.034, 0.062), (side * 0.012, 0.036),
            )  # fmt: skip
            body.add((lock, back), hair, relief=0.007, lift=0.22)
    elif look.style == "curly":
        for x, y, radius in _CURLS[::2]:
            if y < 0.06:
                body.add((_ring(x * 0.86, y + 0.006, radius),), hair, relief=0.007, lift=0.12)


def _cap(low: float) -> tuple[Curve, ...]:
    """Outline the hair on the skull, down to the forehead."""
    return _both(
        ((0, 0.006), (0.032, 0.014), (0.047, 0.044), (0.0455, 0.086)),
        (
            (0.0455, 0.086),
            (0.0395, 0.074),
            (0.033, low - 0.006),
            (0.016, low - 0.012),
            (0, low - 0.008),
        ),
    )


def _ring(x: float, y: float, radius: float) -> Curve:
    steps = 12
    return tuple(
        (
            x + radius * math.cos(step * math.tau / steps),
            y + radius * math.sin(step * math.tau / steps),
        )
        for step in range(steps + 1)
    )


_CURLS = tuple(
    (0.05 * math.cos(angle), 0.062 - 0.052 * math.sin(angle), 0.019 + 0.004 * (step % 3))
    for step in range(13)
    for angle in [math.radians(-25 + step * 230 / 12)]
)


def _both(*curves: Curve) -> tuple[Curve, ...]:
    """Close a right half, given from top to bottom, with its mirror image."""
    mirror = tuple(tuple((-x, y) for x, y in reversed(curve)) for curve in reversed(curves))
    return (*curves, *mirror)


def _dim(color: Rgb8, factor: float) -> Rgb8:
    red, green, blue = color
    return round(red * factor), round(green * factor), round(blue * factor)


def _mixed(color: Rgb8, other: Rgb8, share: float) -> Rgb8:
    red, green, blue = (
        round(one * (1 - share) + two * share) for one, two in zip(color, other, strict=True)
    )
    return red, green, blue
