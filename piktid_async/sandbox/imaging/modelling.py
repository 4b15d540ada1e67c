"""Rounded shapes on a clear layer: what bodies are made of."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from piktid_async.sandbox.imaging.cloth import Curve, smooth
from piktid_async.sandbox.imaging.spaces import Floats
from piktid_async.sandbox.imaging.words import Rgb8

_FINE = 2


class Modelling:
    """A layer in the making. Lengths are fractions of its height; x is counted from the middle."""

    def __init__(self, height: int, *, wide: float) -> None:
        self.height: int = height
        self.layer: Image.Image = Image.new("RGBA", (round(wide * height), height))

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in pixels."""
        return self.layer.width / 2 + x * self.height, y * self.height

    def add(
        self, outline: tuple[Curve, ...], color: Rgb8, *, relief: float = 0.012, lift: float = 0.25
    ) -> None:
        """Lay on a rounded shape; `relief` is how far its edge bends, `lift` its shadow."""
        points = [self.pixel(*point) for curve in outline for point in smooth(curve)]
        margin = math.ceil(3 * relief * self.height) + 4
        left = math.floor(min(x for x, _ in points)) - margin
        top = math.floor(min(y for _, y in points)) - margin
        size = (
            math.ceil(max(x for x, _ in points)) + margin - left,
            math.ceil(max(y for _, y in points)) + margin - top,
        )
        fine = Image.new("L", (size[0] * _FINE, size[1] * _FINE))
        corners = [((x - left) * _FINE, (y - top) * _FINE) for x, y in points]
        ImageDraw.Draw(fine).polygon(corners, fill=255)
        cover = fine.resize(size, Image.Resampling.BOX)
        self._shadow(cover, (left, top), lift)
        tone = _tone(cover, relief * self.height)
        shaded = np.clip(tone[..., None] * np.array(color, np.float32), 0, 255).astype(np.uint8)
        piece = Image.fromarray(shaded)
        piece.putalpha(cover)
        self.over(piece, (left, top))

    def limb(
        self, path: Curve, widths: tuple[float, ...], color: Rgb8, *, lift: float = 0.2
    ) -> None:
        """Lay on a limb along a path, with its half widths at each point."""
        left: list[tuple[float, float]] = []
        right: list[tuple[float, float]] = []
        for index, ((x, y), half) in enumerate(zip(path, widths, strict=True)):
            before, after = path[max(0, index - 1)], path[min(len(path) - 1, index + 1)]
            dx, dy = after[0] - before[0], after[1] - before[1]
            long = math.hypot(dx, dy) or 1.0
            left.append((x - dy / long * half, y + dx / long * half))
            right.append((x + dy / long * half, y - dx / long * half))
        relief = 0.55 * sum(widths) / len(widths)
        self.add((tuple(left), tuple(reversed(right))), color, relief=relief, lift=lift)

    def paste(self, layer: Image.Image, box: tuple[float, float, float, float]) -> None:
        """Lay on a picture, stretched to left, top, right, bottom."""
        left, top = self.pixel(box[0], box[1])
        right, bottom = self.pixel(box[2], box[3])
        size = (max(1, round(right - left)), max(1, round(bottom - top)))
        piece = layer.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
        self._shadow(piece.getchannel("A"), (round(left), round(top)), 0.3)
        self.over(piece, (round(left), round(top)))

    def over(self, piece: Image.Image, corner: tuple[int, int]) -> None:
        """Lay on a piece as it is, wherever it reaches to."""
        left, top = max(0, -corner[0]), max(0, -corner[1])
        right = min(piece.width, self.layer.width - corner[0])
        bottom = min(piece.height, self.layer.height - corner[1])
        if left < right and top < bottom:
            inside = piece.crop((left, top, right, bottom))
            self.layer.alpha_composite(inside, (corner[0] + left, corner[1] + top))

    def _shadow(self, cover: Image.Image, corner: tuple[int, int], lift: float) -> None:
        """Darken what is below, and only that."""
        if lift <= 0:
            return
        step, radius = max(1, round(0.004 * self.height)), 0.006 * self.height
        margin = math.ceil(3 * radius) + 3 * step
        box = (
            max(0, corner[0] - margin),
            max(0, corner[1] - margin),
            min(self.layer.width, corner[0] + cover.width + margin),
            min(self.layer.height, corner[1] + cover.height + margin),
        )
        size = (box[2] - box[0], box[3] - box[1])
        if min(size) <= 0:
            return
        thrown = Image.new("L", size)
        thrown.paste(cover, (corner[0] + step - box[0], corner[1] + 2 * step - box[1]))
        veil = thrown.filter(ImageFilter.GaussianBlur(radius)).point(lambda value: value * lift)
        area = self.layer.crop(box)
        below = Image.composite(Image.new("RGB", size, (18, 12, 12)), area.convert("RGB"), veil)
        below.putalpha(area.getchannel("A"))
        self.layer.paste(below, box[:2])


def _tone(cover: Image.Image, radius: float) -> Floats:
    """Light a rounded shape from the upper left; its middle gives 1."""
    soft = np.asarray(cover.filter(ImageFilter.GaussianBlur(max(0.6, radius))), np.float32) / 255
    relief = np.float32(1.5 * radius) * np.sin(np.clip(soft, 0, 1) * np.float32(math.pi / 2))
    down, right = np.gradient(relief)
    facing = (0.74 + 0.38 * right + 0.42 * down) / np.sqrt(1 + down**2 + right**2)
    tone: Floats = (0.42 + 0.58 * np.clip(facing / 0.74, 0, 1.35)).astype(np.float32)
    return tone
