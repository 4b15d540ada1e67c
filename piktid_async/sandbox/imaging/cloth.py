"""Draw pieces of cloth that look photographed: relief, light from the upper left, weave.

Coordinates are fractions of the picture's long edge, x to the right and y down; a picture is
0.8 wide and 1 high. Light is summed up in linear RGB and encoded at the very end.
"""

import math
from itertools import pairwise

import attrs
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from piktid_async.sandbox.imaging.spaces import Floats

Point = tuple[float, float]
Curve = tuple[Point, ...]

_LIGHT = np.array([-0.42, -0.55, 0.72], np.float32) / np.float32(math.hypot(0.42, 0.55, 0.72))
_FINE = 3
"""Outlines are drawn this many times larger and reduced, which smooths their edges."""


@attrs.frozen
class Fold:
    """A rounded ridge (height > 0) or groove along a curve, tapered at both ends."""

    path: Curve
    width: float
    height: float


@attrs.frozen(kw_only=True)
class Part:
    """One piece of cloth, lying upon the pieces before it."""

    outline: tuple[Curve, ...]
    """Curves joined at corners, one after the other."""
    color: tuple[float, float, float]
    """Linear RGB."""
    folds: tuple[Fold, ...] = ()
    drape: tuple[float, float, float] = (3.0, 3.0, 0.006)
    """Random waves: count across and down the picture, height."""
    seams: tuple[Curve, ...] = ()
    stitches: tuple[Curve, ...] = ()
    roll: float = 0.012
    """How far from the outline the cloth bends away."""
    lift: float = 0.35
    """Darkness of the shadow it throws on what lies below."""
    texture: str = "weave"


def smooth(curve: Curve, *, steps: int = 14) -> list[Point]:
    """Run a Catmull-Rom spline through the points."""
    if len(curve) < 3:
        return list(curve)
    padded = (curve[0], *curve, curve[-1])
    out: list[Point] = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(steps):
            t = step / steps
            weights = (
                -0.5 * t + t * t - 0.5 * t**3,
                1 - 2.5 * t * t + 1.5 * t**3,
                0.5 * t + 2 * t * t - 1.5 * t**3,
                -0.5 * t * t + 0.5 * t**3,
            )
            near = (p0, p1, p2, p3)
            out.append(
                (
                    sum(w * p[0] for w, p in zip(weights, near, strict=True)),
                    sum(w * p[1] for w, p in zip(weights, near, strict=True)),
                )
            )
    return [*out, curve[-1]]


def waves(
    shape: tuple[int, int], *, across: float, down: float, rng: np.random.Generator
) -> Floats:
    """Make smooth noise of about unit height with so many bumps across and down."""
    grid = rng.standard_normal((max(2, round(down) + 2), max(2, round(across) + 2)))
    small = Image.fromarray(grid.astype(np.float32))
    grown = small.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(grown, np.float32)


def soften(values: Floats, *, radius: float) -> Floats:
    """Blur values in 0..1 by a radius in pixels."""
    picture = Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8))
    return _unit(picture.filter(ImageFilter.GaussianBlur(radius)))


def _unit(picture: Image.Image) -> Floats:
    """Return an 8-bit greyscale picture as 0..1."""
    return np.asarray(picture, np.float32) * np.float32(1 / 255)


class Sheet:
    """A picture in the making, in linear RGB."""

    def __init__(self, backdrop: Floats, *, rng: np.random.Generator) -> None:
        self.light = backdrop
        self.long_edge: int = backdrop.shape[0]
        self._rng = rng

    def add(self, part: Part) -> None:
        """Lay a part on top, with its shadow."""
        points = [point for curve in part.outline for point in smooth(curve)]
        top, left, bottom, right = self._frame(points)
        area = (slice(top, bottom), slice(left, right))
        shape = (bottom - top, right - left)
        cover = self._polygon(points, shape, origin=(left, top))
        below = self.light[area]
        self._shade_below(below, cover, part.lift)
        tone = self._tone(part, cover, origin=(left, top))
        color = np.array(part.color, np.float32) * tone[..., None]
        below += cover[..., None] * (color - below)

    def _frame(self, points: list[Point]) -> tuple[int, int, int, int]:
        edge, margin = self.long_edge, round(0.03 * self.long_edge)
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        height, width = self.light.shape[:2]
        return (
            max(0, math.floor(min(ys) * edge) - margin),
            max(0, math.floor(min(xs) * edge) - margin),
            min(height, math.ceil(max(ys) * edge) + margin),
            min(width, math.ceil(max(xs) * edge) + margin),
        )

    def _polygon(
        self, points: list[Point], shape: tuple[int, int], *, origin: tuple[int, int]
    ) -> Floats:
        fine = Image.new("L", (shape[1] * _FINE, shape[0] * _FINE))
        scaled = [
            ((x * self.long_edge - origin[0]) * _FINE, (y * self.long_edge - origin[1]) * _FINE)
            for x, y in points
        ]
        ImageDraw.Draw(fine).polygon(scaled, fill=255)
        cover = fine.resize((shape[1], shape[0]), Image.Resampling.BOX)
        return _unit(cover.filter(ImageFilter.GaussianBlur(0.45)))

    def _shade_below(self, below: Floats, cover: Floats, lift: float) -> None:
        step = max(1, round(0.004 * self.long_edge))
        thrown = np.roll(cover, (2 * step, step), axis=(0, 1))
        wide = soften(thrown, radius=0.011 * self.long_edge)
        close = soften(thrown, radius=0.004 * self.long_edge)
        below *= (1 - np.float32(lift) * (0.55 * wide + 0.45 * close))[..., None]

    def _tone(self, part: Part, cover: Floats, *, origin: tuple[int, int]) -> Floats:
        relief = self._relief(part, cover, origin=origin)
        tone = _lit(relief, self.long_edge) * self._weave(part.texture, cover.shape, origin)
        for curves, dark, dashed in ((part.seams, 0.3, False), (part.stitches, 0.16, True)):
            if curves:
                lines = self._lines(curves, cover.shape, origin=origin, dashed=dashed)
                tone *= 1 - np.float32(dark) * lines
        return tone

    def _relief(self, part: Part, cover: Floats, *, origin: tuple[int, int]) -> Floats:
        """Height of the cloth in long edges: rolled borders, random drape, drawn folds."""
        roll = soften(cover, radius=part.roll * self.long_edge)
        height: Floats = np.float32(1.9 * part.roll) * np.sin(roll * np.float32(1.57))
        across, down, tall = part.drape
        rows, columns = cover.shape
        spans = (columns / self.long_edge, rows / self.long_edge)
        for octave in (1, 2.1, 4.3):
            bumps = waves(
                (rows, columns),
                across=across * octave * spans[0],
                down=down * octave * spans[1],
                rng=self._rng,
            )
            height += np.float32(tall / octave**1.35) * bumps
        for fold in part.folds:
            self._raise(height, fold, origin=origin)
        return height

    def _raise(self, height: Floats, fold: Fold, *, origin: tuple[int, int]) -> None:
        """Add a fold: the highest of many round bumps strung along its path."""
        path = _evenly(smooth(fold.path), step=0.35 * fold.width)
        ridge = np.zeros_like(height)
        for index, (x, y) in enumerate(path):
            taper = math.sin(math.pi * min(1.0, (index + 0.6) / (len(path) + 0.2))) ** 0.6
            radius = fold.width * self.long_edge * (0.5 + 0.5 * taper)
            center = (x * self.long_edge - origin[0], y * self.long_edge - origin[1])
            reach = math.ceil(3 * radius)
            rows = slice(max(0, int(center[1]) - reach), max(0, int(center[1]) + reach + 1))
            columns = slice(max(0, int(center[0]) - reach), max(0, int(center[0]) + reach + 1))
            patch = ridge[rows, columns]
            if patch.size:
                dy = np.arange(rows.start, rows.start + patch.shape[0], dtype=np.float32)
                dx = np.arange(columns.start, columns.start + patch.shape[1], dtype=np.float32)
                far = (dy - center[1])[:, None] ** 2 + (dx - center[0])[None] ** 2
                bump = np.float32(taper) * np.exp(-far / np.float32(2 * radius * radius))
                np.maximum(patch, bump, out=patch)
        height += np.float32(fold.height) * ridge

    def _lines(
        self,
        curves: tuple[Curve, ...],
        shape: tuple[int, ...],
        *,
        origin: tuple[int, int],
        dashed: bool,
    ) -> Floats:
        fine = Image.new("L", (shape[1] * 2, shape[0] * 2))
        draw = ImageDraw.Draw(fine)
        width = max(2, round(0.0022 * self.long_edge * (1 if dashed else 1.3)))
        for curve in curves:
            path = _evenly(smooth(curve), step=0.005)
            ends = list(pairwise(path))
            for (x0, y0), (x1, y1) in ends[::2] if dashed else ends:
                corners = [
                    ((x * self.long_edge - origin[0]) * 2, (y * self.long_edge - origin[1]) * 2)
                    for x, y in ((x0, y0), (x1, y1))
                ]
                draw.line(corners, fill=255, width=width)
        thin = fine.resize((shape[1], shape[0]), Image.Resampling.BOX)
        return _unit(thin.filter(ImageFilter.GaussianBlur(0.6)))

    def _weave(self, texture: str, shape: tuple[int, ...], origin: tuple[int, int]) -> Floats:
        rows, columns = shape
        edge = np.float32(self.long_edge)
        y: Floats = (np.arange(rows, dtype=np.float32) + np.float32(origin[1]))[:, None] / edge
        x: Floats = (np.arange(columns, dtype=np.float32) + np.float32(origin[0]))[None] / edge
        grain = self._rng.standard_normal((rows, columns)).astype(np.float32)
        pattern, depth, rough = _pattern(texture, x, y)
        slub = waves((rows, columns), across=columns / 3, down=rows / 40, rng=self._rng)
        uneven: Floats = np.float32(depth) * pattern + np.float32(rough) * (grain + slub)
        return uneven + np.float32(1)


def _pattern(texture: str, x: Floats, y: Floats) -> tuple[Floats, float, float]:
    """Return the regular weave in -1..1, its depth, and the depth of its irregularity."""
    turn = np.float32(2 * math.pi)
    if texture == "knit":
        return np.sin(turn * (90 * y + 0.3 * np.abs(np.sin(turn * 45 * x)))), 0.07, 0.02
    if texture == "rib":
        return np.sin(turn * 110 * x) + 0 * y, 0.12, 0.015
    if texture == "twill":
        return np.sin(turn * (150 * x + 150 * y)), 0.045, 0.03
    if texture == "satin":
        return np.sin(turn * 260 * x) + 0 * y, 0.004, 0.006
    return np.sin(turn * 170 * x) * np.sin(turn * 170 * y), 0.03, 0.016


def _evenly(path: list[Point], *, step: float) -> list[Point]:
    """Place points along a path at about equal distances."""
    points = np.array(path)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, along[-1], max(2, math.ceil(along[-1] / step)))
    xs, ys = (np.interp(at, along, points[:, axis]).tolist() for axis in (0, 1))
    return list(zip(xs, ys, strict=True))


def _lit(relief: Floats, long_edge: int) -> Floats:
    """Light a relief: brighter towards the lamp, darker in hollows; flat cloth gives 1."""
    down, right = np.gradient(relief * np.float32(long_edge))
    facing = (_LIGHT[2] - _LIGHT[0] * right - _LIGHT[1] * down) / np.sqrt(1 + down**2 + right**2)
    lit: Floats = np.float32(0.3) + np.float32(0.7) * np.clip(facing / _LIGHT[2], 0, 1.6)
    return lit.astype(np.float32)
