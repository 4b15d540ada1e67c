"""Draws a draft of a person: head, hair and shoulders, by the words of a brief."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw, ImageFilter

from piktid_async.sandbox.imaging.io import write_jpeg

Rgb = tuple[int, int, int]

THUMBNAIL = 256
_QUALITY = 90
_SKINS: Mapping[str, Rgb] = {
    "light": (238, 205, 182),
    "fair": (244, 216, 196),
    "medium": (208, 160, 124),
    "olive": (190, 146, 108),
    "brown": (146, 96, 66),
    "dark": (98, 62, 44),
}
_HAIRS: Mapping[str, Rgb] = {
    "blond": (214, 184, 122),
    "red": (150, 68, 38),
    "brown": (84, 54, 36),
    "grey": (150, 150, 150),
    "black": (28, 24, 24),
}
_EYES: Mapping[str, Rgb] = {
    "blue": (96, 140, 178),
    "green": (96, 134, 90),
    "brown": (90, 60, 38),
}


def portrait(brief: Mapping[str, Any], *, size: int, ratio: str, variation: int) -> Image.Image:
    """Draw one person; equal briefs and variations make equal pictures."""
    wide, high = (int(part) for part in ratio.split(":"))
    scale = size / max(wide, high)
    width, height = max(8, round(wide * scale)), max(8, round(high * scale))
    dice = random.Random(repr(sorted(brief.items(), key=str)) + str(variation))
    words = {group: _words(brief.get(group)) for group in ("appearance", "face", "hair")}
    prompt = str(brief.get("prompt") or "").lower()
    skin = _shade(_pick(words["appearance"] + prompt, _SKINS, dice), dice)
    hair = _shade(_pick(words["hair"] + prompt, _HAIRS, dice), dice)
    eyes = _pick(words["face"] + prompt, _EYES, dice)
    grey = dice.randrange(205, 235)
    sheet = Image.new("RGB", (width, height), (grey, grey, grey + 4))
    long_hair = "long" in words["hair"] or ("short" not in words["hair"] and dice.random() < 0.5)
    _paint(sheet, skin=skin, hair=hair, eyes=eyes, long_hair=long_hair, dice=dice)
    return sheet.filter(ImageFilter.GaussianBlur(max(width, height) / 700))


def drawn(
    brief: Mapping[str, Any], *, size: int, ratio: str, variation: int, png: bool
) -> tuple[bytes, bytes]:
    """Draw one person in the format asked for, and the thumbnail."""
    picture = portrait(brief, size=size, ratio=ratio, variation=variation)
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return _encoded(picture, png=png), write_jpeg(small, quality=_QUALITY)


def _encoded(picture: Image.Image, *, png: bool) -> bytes:
    if not png:
        return write_jpeg(picture, quality=_QUALITY)
    import io

    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _paint(
    sheet: Image.Image, *, skin: Rgb, hair: Rgb, eyes: Rgb, long_hair: bool, dice: random.Random
) -> None:
    brush = ImageDraw.Draw(sheet)
    width, height = sheet.size
    unit = min(width, height)
    x, y = width / 2, height * 0.44
    face = unit * dice.uniform(0.19, 0.23)
    tall = face * dice.uniform(1.22, 1.38)
    shadow, cloth = _mixed(skin, (60, 30, 30), 0.25), dice.choice([(52, 58, 70), (236, 234, 228)])
    if long_hair:
        brush.ellipse(_box(x, y + 0.6 * tall, face * 1.45, tall * 1.7), fill=hair)
    brush.ellipse(_box(x, y - 0.15 * tall, face * 1.2, tall * 1.12), fill=hair)
    brush.rectangle((x - 0.42 * face, y, x + 0.42 * face, y + 2.4 * tall), fill=shadow)
    brush.ellipse(_box(x, height + 0.25 * unit, unit * 0.52, unit * 0.46), fill=cloth)
    brush.ellipse(_box(x, y, face, tall), fill=skin)
    brush.chord(_box(x, y - 0.35 * tall, face * 1.04, tall * 0.72), 180, 360, fill=hair)
    for side in (-1, 1):
        eye = x + side * 0.42 * face
        brush.ellipse(_box(eye, y, face * 0.17, face * 0.1), fill=(246, 246, 244))
        brush.ellipse(_box(eye, y, face * 0.085, face * 0.09), fill=eyes)
        brush.ellipse(_box(eye, y, face * 0.035, face * 0.04), fill=(16, 16, 18))
        brush.arc(_box(eye, y - 0.1 * face, face * 0.24, face * 0.16), 200, 340, fill=hair, width=3)
    brush.arc(_box(x, y + 0.3 * tall, face * 0.14, face * 0.1), 20, 160, fill=shadow, width=3)
    mouth = _mixed(skin, (170, 60, 70), 0.6)
    brush.chord(
        _box(x, y + 0.52 * tall, face * dice.uniform(0.26, 0.36), face * 0.12), 0, 180, mouth
    )


def _box(x: float, y: float, across: float, down: float) -> tuple[float, float, float, float]:
    return (x - across, y - down, x + across, y + down)


def _words(group: object) -> str:
    values = group.values() if isinstance(group, Mapping) else ()
    return " ".join(str(value) for value in values).lower() + " "


def _pick(words: str, colors: Mapping[str, Rgb], dice: random.Random) -> Rgb:
    named = [color for name, color in colors.items() if name in words]
    return named[0] if named else dice.choice(list(colors.values()))


def _shade(color: Rgb, dice: random.Random) -> Rgb:
    return _mixed(color, (255, 255, 255) if dice.random() < 0.5 else (0, 0, 0), dice.random() * 0.1)


def _mixed(color: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (
        round(one * (1 - share) + two * share) for one, two in zip(color, other, strict=True)
    )
    return red, green, blue
