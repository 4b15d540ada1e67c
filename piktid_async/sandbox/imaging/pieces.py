"""Helpers to describe garments: mirror images, buttons, scaling."""

import attrs

from piktid_async.sandbox.imaging.cloth import Curve, Fold, Part, Point

Rgb = tuple[float, float, float]
Outline = tuple[Curve, ...]
MIDDLE = 0.4
"""Where the axis of every garment lies."""


def mirror(curve: Curve) -> Curve:
    """Reflect a curve at the axis, in reverse order."""
    return tuple((2 * MIDDLE - x, y) for x, y in reversed(curve))


def mirrored(outline: Outline) -> Outline:
    """Reflect an outline at the axis."""
    return tuple(mirror(curve) for curve in reversed(outline))


def both(*curves: Curve) -> Outline:
    """Close a right half, given from top to bottom, with its mirror image."""
    return (*curves, *mirrored(curves))


def pair(*curves: Curve) -> Outline:
    """Return curves and their mirror images."""
    return (*curves, *(mirror(curve) for curve in curves))


def flipped(part: Part) -> Part:
    """Reflect a part with its folds and seams at the axis."""
    return attrs.evolve(
        part,
        outline=mirrored(part.outline),
        folds=tuple(attrs.evolve(fold, path=mirror(fold.path)) for fold in part.folds),
        seams=mirrored(part.seams),
        stitches=mirrored(part.stitches),
    )


def resized(part: Part, *, wide: float, tall: float, down: float) -> Part:
    """Scale a part about the middle of the picture and move it down."""

    def moved(curve: Curve) -> Curve:
        return tuple(
            (MIDDLE + (x - MIDDLE) * wide, 0.5 + (y - 0.5) * tall + down) for x, y in curve
        )

    return attrs.evolve(
        part,
        outline=tuple(map(moved, part.outline)),
        folds=tuple(attrs.evolve(fold, path=moved(fold.path)) for fold in part.folds),
        seams=tuple(map(moved, part.seams)),
        stitches=tuple(map(moved, part.stitches)),
    )


def folds(*lines: tuple[float, float, Curve]) -> tuple[Fold, ...]:
    """Make folds from (width, height, path), in thousandths of the long edge."""
    return tuple(Fold(path, width / 1000, height / 1000) for width, height, path in lines)


def dimmed(color: Rgb, factor: float) -> Rgb:
    """Return the colour in less light."""
    red, green, blue = color
    return red * factor, green * factor, blue * factor


def inside(top: Curve, bottom: float, color: Rgb) -> Part:
    """Show the inner back below a neckline or waistband."""
    left, right = top[0], top[-1]
    rim = (
        right,
        (right[0] - 0.012, bottom),
        (MIDDLE, bottom + 0.02),
        (left[0] + 0.012, bottom),
        left,
    )
    return Part(outline=(top, rim), color=dimmed(color, 0.42), roll=0.006, lift=0.1)


def buttons(centers: list[Point], color: Rgb, *, radius: float = 0.0062) -> list[Part]:
    """Sew on round buttons."""
    return [
        Part(
            outline=(_ring(center, radius=radius),), color=color,
            roll=0.002, lift=0.4, texture="satin", drape=(1, 1, 0.0),
        )
        for center in centers
    ]  # fmt: skip


def _ring(center: Point, *, radius: float) -> Curve:
    x, y = center
    k = 0.707 * radius
    return (
        (x + radius, y), (x + k, y + k), (x, y + radius), (x - k, y + k), (x - radius, y),
        (x - k, y - k), (x, y - radius), (x + k, y - k), (x + radius, y),
    )  # fmt: skip
