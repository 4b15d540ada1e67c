"""Surfaces to lay a garment on, drawn from the word for them."""

import itertools
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from piktid_async.sandbox.imaging.cloth import waves
from piktid_async.sandbox.imaging.colors import parse_color
from piktid_async.sandbox.imaging.compose import Size, as_picture, blurred
from piktid_async.sandbox.imaging.spaces import Floats
from piktid_async.sandbox.imaging.words import Rgb8, first_match, rgb8, words_of

Rng = np.random.Generator

_MATERIALS = {
    "linen": "linen", "cotton": "linen", "fabric": "linen", "cloth": "linen", "canvas": "linen",
    "sheet": "linen", "burlap": "linen",
    "concrete": "concrete", "cement": "concrete", "stone": "concrete", "plaster": "concrete",
    "stucco": "concrete", "slate": "concrete", "asphalt": "concrete",
    "wood": "wood", "wooden": "wood", "oak": "wood", "walnut": "wood", "pine": "wood",
    "plank": "wood", "table": "wood", "parquet": "wood",
    "marble": "marble", "granite": "marble",
    "tile": "tiles", "terrazzo": "terrazzo",
    "sand": "sand", "beach": "sand",
    "grass": "grass", "lawn": "grass", "moss": "grass",
}  # fmt: skip

_COLORS: dict[str, Rgb8] = {
    "linen": (226, 215, 196), "concrete": (168, 167, 163), "wood": (170, 122, 78),
    "marble": (238, 236, 233), "tiles": (222, 226, 226), "terrazzo": (231, 225, 216),
    "sand": (218, 196, 158), "grass": (98, 132, 66), "paper": (229, 226, 220),
}  # fmt: skip

_NAMED_LIKE_COLORS = {"linen", "sand", "slate", "pine", "walnut", "moss", "stone", "grass"}


def surface(text: str, size: Size, *, rng: Rng) -> Image.Image:
    """Paint the surface that a text asks for; plain paper if it names none."""
    words = words_of(text)
    material = first_match(words, _MATERIALS) or "paper"
    color = np.array(_color(text, words, material), np.float32)
    tone = _PAINTERS[material](size, rng)
    tone = tone if tone.ndim == 3 else tone[..., None]
    return as_picture(tone * _lamp(size)[..., None] * color, size)


def _color(text: str, words: set[str], material: str) -> Rgb8:
    kept = [word for word in text.lower().split() if word.strip(",.") not in _NAMED_LIKE_COLORS]
    named = parse_color(" ".join(kept))
    # Screen primaries are found on no table: a named colour loses some of its strength.
    muted = named and (named[0], 0.7 * named[1], 0.7 * named[2])
    red, green, blue = _COLORS[material] if muted is None else rgb8(muted)
    if named is None and words & {"dark", "walnut", "slate", "asphalt"}:
        return round(red * 0.5), round(green * 0.5), round(blue * 0.52)
    if named is None and words & {"light", "pale", "white", "bleached"}:
        return tuple(round(each + (255 - each) * 0.5) for each in (red, green, blue))  # type: ignore[return-value]
    return red, green, blue


def _lamp(size: Size) -> Floats:
    """Light from the upper left that fades a little."""
    x = np.linspace(0, 1, size[0], dtype=np.float32)[None]
    y = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    fading: Floats = np.float32(1.06) - np.float32(0.1) * x - np.float32(0.12) * y
    return fading


def _noise(size: Size, count: float, rng: Rng) -> Floats:
    edge = max(size)
    return waves(
        (size[1], size[0]), across=count * size[0] / edge, down=count * size[1] / edge, rng=rng
    )


def _paper(size: Size, rng: Rng) -> Floats:
    return 1 + 0.008 * _noise(size, 4, rng) + 0.006 * _noise(size, 300, rng)


def _linen(size: Size, rng: Rng) -> Floats:
    """Weave threads of uneven thickness, with a few soft creases."""
    width, height = size
    pitch = max(4.0, max(size) / 210)
    x = np.arange(width, dtype=np.float32)[None] / np.float32(pitch)
    y = np.arange(height, dtype=np.float32)[:, None] / np.float32(pitch)
    turn = np.float32(math.tau)
    over = np.sin(turn * x / 2) * np.sin(turn * y / 2)
    across = 1 + 0.09 * waves((height, width), across=3, down=height / pitch, rng=rng)
    along = 1 + 0.09 * waves((height, width), across=width / pitch, down=3, rng=rng)
    threads = np.where(over > 0, across, along) * (0.9 + 0.1 * np.abs(over) ** 0.5)
    creases = 0.035 * _noise(size, 3.5, rng) + 0.02 * _noise(size, 9, rng)
    woven: Floats = (threads + creases).astype(np.float32)
    return woven


def _concrete(size: Size, rng: Rng) -> Floats:
    """Pour grey in clouds, with pores."""
    clouds = sum(0.055 / octave**0.6 * _noise(size, 3 * octave, rng) for octave in (1, 3, 9, 30))
    pores = np.clip(_noise(size, 160, rng) - 2.1, 0, 1) * 0.25
    rough = 0.016 * rng.standard_normal((size[1], size[0]), dtype=np.float32)
    poured: Floats = (1 + clouds - pores + rough).astype(np.float32)
    return poured


def _wood(size: Size, rng: Rng) -> Floats:
    """Lay boards side by side, each with its own tone and grain."""
    width, height = size
    boards = 5
    tone = np.empty((height, width), np.float32)
    edges = np.linspace(0, height, boards + 1).round().astype(int)
    for top, bottom in itertools.pairwise(edges):
        shape = (int(bottom - top), width)
        bend = waves(shape, across=2.5, down=2, rng=rng)
        rows = np.linspace(0, 9, shape[0], dtype=np.float32)[:, None]
        rings = np.sin(math.tau * (rows + 1.1 * bend) / 1.6)
        fibre = waves(shape, across=max(4, width / 90), down=shape[0] / 2.5, rng=rng)
        board = 1 + 0.07 * float(rng.standard_normal()) + 0.085 * rings + 0.045 * fibre
        gap = max(1, round(0.0022 * max(size)))
        board[:gap] *= 0.45
        board[gap : 2 * gap] *= 0.8
        tone[top:bottom] = board
    return tone


def _marble(size: Size, rng: Rng) -> Floats:
    """Run thin dark veins through a white ground."""
    warp = 0.3 * _noise(size, 3, rng) + 0.1 * _noise(size, 9, rng) + 0.04 * _noise(size, 30, rng)
    x = np.linspace(0, 1, size[0], dtype=np.float32)[None]
    y = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    veins = 1 - np.abs(np.sin(math.tau * (0.7 * x + 1.1 * y + 0.8 * warp)))
    fine = 1 - np.abs(np.sin(math.tau * (1.9 * x - 1.3 * y + 1.1 * warp + 0.3)))
    ground = 1 + 0.02 * _noise(size, 6, rng)
    streaked: Floats = (ground - 0.28 * veins**14 - 0.16 * fine**22).astype(np.float32)
    return streaked


def _tiles(size: Size, rng: Rng) -> Floats:
    """Lay square tiles with grey joints."""
    pitch = max(size) / 6
    x = (np.arange(size[0], dtype=np.float32) / np.float32(pitch))[None]
    y = (np.arange(size[1], dtype=np.float32) / np.float32(pitch))[:, None]
    near = np.minimum(np.minimum(x % 1, 1 - x % 1), np.minimum(y % 1, 1 - y % 1))
    shades = rng.normal(1, 0.018, (64, 64)).astype(np.float32)
    tile = shades[np.floor(y).astype(int) % 64, np.floor(x).astype(int) % 64]
    joint = np.clip((near - np.float32(0.012)) / np.float32(0.008), 0, 1)
    laid: Floats = (tile * (0.62 + 0.38 * joint)).astype(np.float32)
    return laid


def _terrazzo(size: Size, rng: Rng) -> Floats:
    """Scatter chips of a few colours."""
    ground = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(ground)
    chips = [(196, 120, 96), (90, 96, 102), (214, 182, 110), (128, 146, 130), (250, 250, 250)]
    edge = max(size)
    for _ in range(420):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        radius, turn = rng.uniform(0.004, 0.016) * edge, rng.uniform(0, math.tau)
        corners = [
            (x + radius * rng.uniform(0.6, 1.1) * math.cos(turn + step * math.tau / 6),
             y + radius * rng.uniform(0.6, 1.1) * math.sin(turn + step * math.tau / 6))
            for step in range(6)
        ]  # fmt: skip
        draw.polygon(corners, fill=chips[int(rng.integers(len(chips)))])
    scattered: Floats = np.asarray(blurred(ground, radius=0.7), np.float32) / np.float32(255)
    return scattered


def _sand(size: Size, rng: Rng) -> Floats:
    """Blow ripples into sand."""
    y = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    bend = _noise(size, 3, rng)
    ripples = np.sin(math.tau * (11 * y + 0.55 * bend)) * (0.6 + 0.4 * _noise(size, 4, rng))
    grains = 0.05 * rng.standard_normal((size[1], size[0]), dtype=np.float32)
    blown: Floats = (1 + 0.045 * ripples + grains).astype(np.float32)
    return blown


def _grass(size: Size, rng: Rng) -> Floats:
    """Let short blades grow."""
    shape = (size[1], size[0])
    edge = max(size)
    blades = waves(shape, across=size[0] / edge * 420, down=size[1] / edge * 90, rng=rng)
    patches = waves(shape, across=7, down=7, rng=rng)
    grown: Floats = (1 + 0.24 * blades + 0.09 * patches).astype(np.float32)
    return grown


_PAINTERS: dict[str, Callable[[Size, Rng], Floats]] = {
    "paper": _paper, "linen": _linen, "concrete": _concrete, "wood": _wood, "marble": _marble,
    "tiles": _tiles, "terrazzo": _terrazzo, "sand": _sand, "grass": _grass,
}  # fmt: skip
