"""Sample garments for the lower body, and a dress."""

from piktid_async.sandbox.imaging.cloth import Curve, Fold, Part
from piktid_async.sandbox.imaging.pieces import (
    Rgb,
    both,
    buttons,
    dimmed,
    flipped,
    folds,
    inside,
)


def dress(color: Rgb) -> list[Part]:
    """Sleeveless dress with a fitted waist and a wide skirt."""
    neck: Curve = ((0.335, 0.085), (0.355, 0.15), (0.4, 0.178), (0.445, 0.15), (0.465, 0.085))
    bodice = both(
        ((0.465, 0.083), (0.483, 0.08), (0.498, 0.085)),
        ((0.498, 0.085), (0.492, 0.15), (0.515, 0.215)),
        ((0.515, 0.215), (0.5, 0.3), (0.485, 0.385)),
        ((0.485, 0.385), (0.4, 0.395)),
    )
    skirt = both(
        ((0.4, 0.38), (0.485, 0.375)),
        ((0.485, 0.375), (0.535, 0.53), (0.59, 0.72), (0.63, 0.895)),
        ((0.63, 0.895), (0.585, 0.916), (0.54, 0.908), (0.49, 0.93), (0.445, 0.92), (0.4, 0.936)),
    )
    top = Part(
        outline=(*bodice, neck), color=color, roll=0.009, texture="satin", drape=(5, 4, 0.006),
        folds=folds(
            (9, -6, ((0.505, 0.24), (0.475, 0.27), (0.45, 0.27))),
            (9, -6, ((0.295, 0.24), (0.325, 0.27), (0.35, 0.27))),
            (9, 6, ((0.46, 0.28), (0.455, 0.33), (0.46, 0.38))),
            (9, 6, ((0.34, 0.28), (0.345, 0.33), (0.34, 0.38))),
        ),
        stitches=(tuple((x, y + 0.008) for x, y in neck),),
    )  # fmt: skip
    bottom = Part(
        outline=skirt, color=color, roll=0.009, lift=0.2, texture="satin", drape=(6, 1.3, 0.006),
        folds=_fan(0.385, 0.93, (0.33, 0.47), (0.2, 0.6), count=8, width=0.014, height=0.016),
    )  # fmt: skip
    band = Part(
        outline=both(((0.487, 0.372), (0.489, 0.398)), ((0.4, 0.405), (0.38, 0.405))),
        color=color, roll=0.004, lift=0.25, texture="satin", drape=(6, 6, 0.003),
    )  # fmt: skip
    back = inside(((0.328, 0.088), (0.4, 0.105), (0.472, 0.088)), 0.175, color)
    return [back, top, bottom, band]


def trousers(color: Rgb) -> list[Part]:
    """Straight chinos with belt loops, fly and slanted pockets."""
    leg = Part(
        outline=(
            ((0.4, 0.1), (0.515, 0.1)),
            ((0.515, 0.1), (0.543, 0.25), (0.55, 0.5), (0.535, 0.925)),
            ((0.535, 0.925), (0.49, 0.932), (0.445, 0.928)),
            ((0.445, 0.928), (0.438, 0.7), (0.425, 0.5), (0.402, 0.32)),
            ((0.398, 0.3), (0.398, 0.1)),
        ),
        color=color, roll=0.01, lift=0.4, texture="twill", drape=(5, 3, 0.008),
        folds=folds(
            (6, 6, ((0.483, 0.2), (0.492, 0.45), (0.49, 0.7), (0.488, 0.93))),
            (10, -7, ((0.41, 0.31), (0.45, 0.33), (0.5, 0.32))),
            (10, -6, ((0.415, 0.34), (0.455, 0.38), (0.49, 0.4))),
            (11, -7, ((0.44, 0.6), (0.48, 0.62), (0.53, 0.6))),
            (10, -5, ((0.45, 0.64), (0.49, 0.65), (0.535, 0.66))),
            (9, -5, ((0.45, 0.86), (0.48, 0.875), (0.52, 0.87))),
            (9, -5, ((0.455, 0.9), (0.49, 0.905), (0.53, 0.895))),
        ),
        seams=(((0.487, 0.14), (0.532, 0.235)),),
        stitches=(((0.483, 0.144), (0.528, 0.24)), ((0.447, 0.915), (0.534, 0.912))),
    )  # fmt: skip
    fly: Curve = ((0.4, 0.14), (0.4, 0.31))
    j_stitch: Curve = ((0.423, 0.14), (0.423, 0.235), (0.415, 0.265), (0.402, 0.275))
    band = Part(
        outline=both(((0.4, 0.083), (0.512, 0.08)), ((0.517, 0.135), (0.4, 0.14))),
        color=color, roll=0.005, lift=0.25, texture="twill", drape=(6, 6, 0.002),
        stitches=(((0.285, 0.13), (0.4, 0.134), (0.515, 0.13)),),
    )  # fmt: skip
    front = Part(
        outline=(((0.396, 0.137), (0.421, 0.137)), ((0.421, 0.24), (0.412, 0.268), (0.396, 0.28))),
        color=color, roll=0.003, lift=0.2, texture="twill", drape=(6, 6, 0.002),
        seams=(fly,), stitches=(j_stitch,),
    )  # fmt: skip
    loops = [
        Part(
            outline=(((x, 0.074), (x + 0.011, 0.074)), ((x + 0.011, 0.146), (x, 0.146))),
            color=color, roll=0.003, lift=0.35, texture="twill", drape=(6, 6, 0.001),
        )
        for x in (0.317, 0.4725)
    ]  # fmt: skip
    back = inside(((0.29, 0.085), (0.4, 0.07), (0.51, 0.085)), 0.1, color)
    return [
        back, flipped(leg), leg, front, band, *loops,
        *buttons([(0.403, 0.111)], dimmed(color, 0.25), radius=0.008),
    ]  # fmt: skip


def skirt(color: Rgb) -> list[Part]:
    """Pleated midi skirt."""
    outline = both(
        ((0.4, 0.15), (0.498, 0.148)),
        ((0.498, 0.148), (0.54, 0.35), (0.575, 0.6), (0.605, 0.845)),
        ((0.605, 0.845), (0.55, 0.862), (0.48, 0.872), (0.4, 0.876)),
    )
    body = Part(
        outline=outline, color=color, roll=0.009, texture="weave", drape=(4, 1.4, 0.006),
        folds=_fan(0.14, 0.885, (0.318, 0.482), (0.22, 0.58), count=12, width=0.0085, height=0.011),
    )  # fmt: skip
    band = Part(
        outline=both(((0.4, 0.128), (0.495, 0.125)), ((0.5, 0.182), (0.4, 0.188))),
        color=color, roll=0.006, lift=0.3, drape=(8, 6, 0.003),
        stitches=(((0.303, 0.175), (0.4, 0.18), (0.497, 0.175)),),
    )  # fmt: skip
    return [inside(((0.31, 0.13), (0.4, 0.118), (0.49, 0.13)), 0.145, color), body, band]


def _fan(
    top: float,
    bottom: float,
    above: tuple[float, float],
    below: tuple[float, float],
    *,
    count: int,
    width: float,
    height: float,
) -> tuple[Fold, ...]:
    """Spread folds from a waist to a hem, a little irregular."""
    out = []
    for index in range(count):
        at = index / (count - 1)
        start = above[0] + (above[1] - above[0]) * at
        end = below[0] + (below[1] - below[0]) * at
        sway = 0.008 * (-1) ** index * (1 + index % 3) / 2
        middle = ((start + end) / 2 + sway, (top + bottom) / 2)
        tall = height * (0.75 + 0.25 * ((index * 7) % 5) / 2)
        out.append(Fold(((start, top), middle, (end, bottom + 0.02)), width, tall))
    return tuple(out)
