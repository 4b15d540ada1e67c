"""Things that stand beside the product in a campaign picture."""

import math
from collections.abc import Callable

import attrs
import numpy as np
from PIL import Image, ImageDraw

from piktid_async.sandbox.imaging.compose import scaled
from piktid_async.sandbox.imaging.words import Rgb8

Rng = np.random.Generator

_KINDS = {
    "plinth": "plinth", "podium": "plinth", "pedestal": "plinth", "cylinder": "plinth",
    "sphere": "sphere", "ball": "sphere", "orb": "sphere", "balloon": "sphere",
    "box": "box", "boxe": "box", "cube": "box", "block": "box", "crate": "box", "gift": "box",
    "plant": "plant", "leaf": "plant", "leave": "plant", "palm": "plant", "eucalyptus": "plant",
    "branch": "plant", "branche": "plant", "foliage": "plant", "fern": "plant",
    "flower": "flowers", "bouquet": "flowers", "rose": "flowers", "tulip": "flowers",
    "vase": "vase", "bottle": "vase", "glass": "vase", "perfume": "vase", "jar": "vase",
    "book": "books", "magazine": "books",
    "stone": "stones", "pebble": "stones", "rock": "stones",
}  # fmt: skip

_FINE = 3
_EDGE = 320
"""Pixels along the long edge that a prop is drawn at, before it is scaled."""


@attrs.frozen(eq=False)
class _Made:
    """What a prop is made of."""

    color: Rgb8
    rng: Rng


def kinds_of(words: set[str]) -> list[str]:
    """Return the props that words name, each once."""
    return list(dict.fromkeys(kind for word, kind in _KINDS.items() if word in words))


def prop(kind: str, color: Rgb8, *, rng: Rng) -> Image.Image:
    """Draw a prop as RGBA, cropped to it."""
    drawn = _DRAWERS[kind](_Made(color, rng))
    box = drawn.getbbox()
    return drawn.crop(box) if box is not None else drawn


def _sheet(aspect: float = 1.0) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    layer = Image.new("RGBA", (round(_EDGE * aspect) * _FINE, _EDGE * _FINE))
    return layer, ImageDraw.Draw(layer)


def _reduced(layer: Image.Image) -> Image.Image:
    return scaled(layer, (layer.width // _FINE, layer.height // _FINE))


def _tone(color: Rgb8, factor: float) -> Rgb8:
    red, green, blue = (round(min(255.0, each * factor)) for each in color)
    return red, green, blue


def _round_shade(shape: Image.Image, color: Rgb8, *, upright: bool) -> Image.Image:
    """Shade an outline as a cylinder (`upright`) or a ball lit from the upper left."""
    cover = np.asarray(shape.getchannel("A"), np.float32) / np.float32(255)
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    x = np.linspace(-1, 1, int(columns[-1] - columns[0]) + 1, dtype=np.float32)[None]
    y = np.linspace(-1, 1, int(rows[-1] - rows[0]) + 1, dtype=np.float32)[:, None]
    high = 0 * y if upright else (y + 0.4) ** 2
    least, more, fall = (0.5, 0.6, 0.4) if upright else (0.42, 0.75, 0.75)
    tone = (least + more * np.exp(-((x + 0.35) ** 2 + high) / fall)).astype(np.float32)
    whole = np.zeros((*cover.shape, 4), np.float32)
    where = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    whole[(*where, slice(0, 3))] = tone[..., None] * np.array(color, np.float32)
    whole[..., 3] = cover * 255
    return Image.fromarray(np.clip(whole, 0, 255).astype(np.uint8))


def _plinth(made: _Made) -> Image.Image:
    layer, draw = _sheet()
    edge, left, right = _EDGE * _FINE, 0.08, 0.92
    top, bottom, thick = float(made.rng.uniform(0.3, 0.55)), 0.9, 0.055
    draw.rectangle((left * edge, top * edge, right * edge, bottom * edge), fill=made.color)
    draw.ellipse(
        (left * edge, (bottom - thick) * edge, right * edge, (bottom + thick) * edge),
        fill=made.color,
    )
    body = _round_shade(layer, made.color, upright=True)
    lid = (left * edge, (top - thick) * edge, right * edge, (top + thick) * edge)
    ImageDraw.Draw(body).ellipse(lid, fill=(*_tone(made.color, 1.16), 255))
    return _reduced(body)


def _sphere(made: _Made) -> Image.Image:
    layer, draw = _sheet()
    edge = _EDGE * _FINE
    draw.ellipse((0.05 * edge, 0.05 * edge, 0.95 * edge, 0.95 * edge), fill=made.color)
    return _reduced(_round_shade(layer, made.color, upright=False))


def _box(made: _Made) -> Image.Image:
    layer, draw = _sheet()
    edge = _EDGE * _FINE
    split, slant, top = float(made.rng.uniform(0.5, 0.68)), 0.1, 0.22
    points = {
        "left": ((0.06, top), (split, top + slant), (split, 0.97), (0.06, 0.97 - slant)),
        "right": ((split, top + slant), (0.94, top), (0.94, 0.97 - slant), (split, 0.97)),
        "top": ((0.06, top), (0.94 - split + 0.06, top - slant), (0.94, top), (split, top + slant)),
    }
    for side, factor in (("left", 1.0), ("right", 0.72), ("top", 1.2)):
        corners = [(x * edge, y * edge) for x, y in points[side]]
        draw.polygon(corners, fill=(*_tone(made.color, factor), 255))
    return _reduced(layer)


def _leaf(
    draw: ImageDraw.ImageDraw, base: tuple[float, float], tip: tuple[float, float],
    wide: float, color: Rgb8,
) -> None:  # fmt: skip
    (x0, y0), (x1, y1) = base, tip
    across = (-(y1 - y0), x1 - x0)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    for side, factor in ((1, 1.0), (-1, 0.8)):
        bulge = (middle[0] + side * wide * across[0], middle[1] + side * wide * across[1])
        path = [
            (
                (1 - t) ** 2 * x0 + 2 * t * (1 - t) * bulge[0] + t * t * x1,
                (1 - t) ** 2 * y0 + 2 * t * (1 - t) * bulge[1] + t * t * y1,
            )
            for t in (step / 12 for step in range(13))
        ]
        draw.polygon(path, fill=(*_tone(color, factor), 255))


def _plant(made: _Made) -> Image.Image:
    """Let a stem with leaves on both sides rise and lean over."""
    layer, draw = _sheet(0.8)
    edge = _EDGE * _FINE
    green = (84, 116, 78)
    for _ in range(3):
        lean = float(made.rng.uniform(-0.3, 0.3))
        stem = [
            ((0.4 + lean * (step / 10) ** 1.6) * edge, (0.98 - 0.085 * step) * edge)
            for step in range(11)
        ]
        draw.line(stem, fill=(96, 92, 66, 255), width=round(0.008 * edge))
        for step in range(2, 11):
            x, y = stem[step]
            for side in (-1, 1):
                angle = math.radians(-90 + side * float(made.rng.uniform(38, 66)) + lean * 60)
                long = float(made.rng.uniform(0.1, 0.16)) * edge * (1.1 - 0.04 * step)
                tip = (x + long * math.cos(angle), y + long * math.sin(angle))
                _leaf(draw, (x, y), tip, 0.5, _tone(green, float(made.rng.uniform(0.8, 1.25))))
    return _reduced(layer)


def _vase(made: _Made) -> Image.Image:
    layer, draw = _sheet(0.7)
    edge = _EDGE * _FINE
    profile = [
        (0.1, 0.3),
        (0.055, 0.36),
        (0.06, 0.45),
        (0.15, 0.56),
        (0.19, 0.72),
        (0.15, 0.9),
        (0.1, 0.96),
    ]
    right = [((0.35 + half) * edge, y * edge) for half, y in profile]
    left = [((0.35 - half) * edge, y * edge) for half, y in reversed(profile)]
    draw.polygon([*right, *left], fill=made.color)
    return _reduced(_round_shade(layer, made.color, upright=True))


def _flowers(made: _Made) -> Image.Image:
    layer, draw = _sheet(0.8)
    edge = _EDGE * _FINE
    heads = []
    for _ in range(6):
        x, y = float(made.rng.uniform(0.16, 0.64)), float(made.rng.uniform(0.1, 0.4))
        draw.line(
            (0.4 * edge, 0.72 * edge, x * edge, y * edge),
            fill=(86, 116, 74, 255),
            width=round(0.008 * edge),
        )
        heads.append((x, y))
    for x, y in heads:
        tint = _tone(made.color, float(made.rng.uniform(0.85, 1.2)))
        for petal in range(9):
            angle = petal * math.tau / 9
            tip = ((x + 0.085 * math.cos(angle)) * edge, (y + 0.085 * math.sin(angle)) * edge)
            _leaf(draw, (x * edge, y * edge), tip, 0.42, tint)
        core = 0.022
        draw.ellipse(((x - core) * edge, (y - core) * edge, (x + core) * edge, (y + core) * edge),
                     fill=(226, 186, 92, 255))  # fmt: skip
    vase = _vase(attrs.evolve(made, color=(226, 220, 210)))
    whole = _reduced(layer)
    small = scaled(vase, (round(vase.width * 0.62), round(vase.height * 0.62)))
    whole.alpha_composite(
        small, (round(0.4 * _EDGE - small.width / 2), whole.height - small.height)
    )
    return whole


def _books(made: _Made) -> Image.Image:
    layer, draw = _sheet(1.5)
    edge, y = _EDGE * _FINE, 0.97
    for step in range(3):
        thick, long = float(made.rng.uniform(0.11, 0.17)), float(made.rng.uniform(1.05, 1.3))
        left = 0.75 - long / 2 + float(made.rng.uniform(-0.06, 0.06))
        cover = _tone(made.color, (1.0, 0.7, 1.25)[step])
        box = (left * edge, (y - thick) * edge, (left + long) * edge, y * edge)
        draw.rounded_rectangle(box, radius=0.012 * edge, fill=(*cover, 255))
        pages = (
            left * edge,
            (y - thick + 0.018) * edge,
            (left + long - 0.03) * edge,
            (y - 0.018) * edge,
        )
        draw.rectangle(pages, fill=(240, 234, 222, 255))
        draw.rectangle((box[0], box[1], box[0] + 0.09 * edge, box[3]), fill=(*cover, 255))
        y -= thick
    return _reduced(layer)


def _stones(made: _Made) -> Image.Image:
    whole = Image.new("RGBA", (round(_EDGE * 1.1), _EDGE))
    base = 0.98 * _EDGE
    for wide, tall in ((1.0, 0.34), (0.74, 0.27), (0.46, 0.2)):
        stone = scaled(_sphere(made), (round(wide * _EDGE), round(tall * _EDGE)))
        left = round(0.55 * _EDGE - stone.width / 2 + float(made.rng.uniform(-0.03, 0.03)) * _EDGE)
        whole.alpha_composite(stone, (max(0, left), max(0, round(base - stone.height))))
        base -= 0.82 * stone.height
    return whole


_DRAWERS: dict[str, Callable[[_Made], Image.Image]] = {
    "plinth": _plinth, "sphere": _sphere, "box": _box, "plant": _plant, "vase": _vase,
    "flowers": _flowers, "books": _books, "stones": _stones,
}  # fmt: skip
