"""Sample garments for the upper body."""

from piktid_async.sandbox.imaging.cloth import Curve, Fold, Part
from piktid_async.sandbox.imaging.pieces import (
    Rgb,
    both,
    buttons,
    dimmed,
    flipped,
    folds,
    inside,
    pair,
)

_CREW: Curve = ((0.33, 0.157), (0.352, 0.2), (0.4, 0.218), (0.448, 0.2), (0.47, 0.157))


def shirt(color: Rgb) -> list[Part]:
    """Long-sleeved shirt with collar, placket, pocket and dark buttons."""
    sleeve = Part(
        outline=(
            ((0.53, 0.183), (0.55, 0.19), (0.592, 0.25), (0.632, 0.42), (0.668, 0.67)),
            ((0.612, 0.685), (0.572, 0.5), (0.545, 0.345), (0.52, 0.3)),
        ),
        color=color, lift=0.5, roll=0.009,
        folds=folds(
            (7, -6, ((0.56, 0.33), (0.585, 0.4), (0.62, 0.43))),
            (6, -5, ((0.575, 0.42), (0.6, 0.46), (0.635, 0.47))),
            (9, 6, ((0.6, 0.3), (0.615, 0.45), (0.635, 0.6))),
            (5, -4, ((0.59, 0.52), (0.62, 0.55), (0.645, 0.54))),
        ),
    )  # fmt: skip
    cuff = Part(
        outline=(((0.668, 0.66), (0.677, 0.735)), ((0.62, 0.745), (0.608, 0.672))),
        color=color, roll=0.006, lift=0.3, stitches=(((0.672, 0.728), (0.622, 0.737)),),
    )  # fmt: skip
    leaf = (
        ((0.46, 0.138), (0.472, 0.155), (0.477, 0.172)),
        ((0.462, 0.238), (0.43, 0.205)),
        ((0.4, 0.196), (0.432, 0.178), (0.455, 0.15)),
    )
    collar = Part(outline=leaf, color=color, roll=0.005, lift=0.4)
    return [
        inside(((0.335, 0.15), (0.4, 0.135), (0.465, 0.15)), 0.2, color),
        sleeve, flipped(sleeve), cuff, flipped(cuff),
        _shirt_body(color), *_shirt_front(color), collar, flipped(collar),
        *buttons([(0.4, 0.215 + 0.102 * i) for i in range(7)], (0.02, 0.014, 0.011)),
    ]  # fmt: skip


def _shirt_body(color: Rgb) -> Part:
    outline = both(
        ((0.46, 0.155), (0.5, 0.168), (0.55, 0.19)),
        ((0.55, 0.19), (0.542, 0.26), (0.545, 0.33)),
        ((0.545, 0.33), (0.548, 0.5), (0.55, 0.65), (0.553, 0.8)),
        ((0.553, 0.8), (0.53, 0.845), (0.47, 0.865), (0.4, 0.868)),
    )
    hem: Curve = (
        (0.252, 0.79), (0.28, 0.833), (0.34, 0.855), (0.4, 0.858), (0.46, 0.855),
        (0.52, 0.833), (0.548, 0.79),
    )  # fmt: skip
    return Part(
        outline=outline, color=color, drape=(5, 2.2, 0.0075), roll=0.009,
        folds=folds(
            (12, 10, ((0.54, 0.34), (0.5, 0.42), (0.47, 0.53))),
            (12, 10, ((0.26, 0.34), (0.3, 0.43), (0.33, 0.55))),
            (13, 9, ((0.545, 0.4), (0.52, 0.52), (0.505, 0.68), (0.51, 0.84))),
            (13, 9, ((0.262, 0.42), (0.285, 0.55), (0.29, 0.7), (0.28, 0.84))),
            (10, 7, ((0.46, 0.6), (0.45, 0.72), (0.46, 0.86))),
            (10, 7, ((0.34, 0.62), (0.35, 0.73), (0.345, 0.86))),
            (8, -4, ((0.31, 0.25), (0.33, 0.32), (0.36, 0.36))),
        ),
        seams=pair(((0.543, 0.195), (0.532, 0.26), (0.538, 0.33))),
        stitches=(hem,),
    )  # fmt: skip


def _shirt_front(color: Rgb) -> list[Part]:
    placket = Part(
        outline=(((0.388, 0.2), (0.388, 0.866)), ((0.412, 0.866), (0.412, 0.2))),
        color=color, roll=0.003, lift=0.22, drape=(8, 3, 0.003),
        stitches=(((0.391, 0.2), (0.391, 0.86)), ((0.409, 0.2), (0.409, 0.86))),
    )  # fmt: skip
    pocket = Part(
        outline=(
            ((0.45, 0.345), (0.525, 0.342)),
            ((0.525, 0.342), (0.524, 0.42)),
            ((0.488, 0.437), (0.451, 0.422)),
        ),
        color=color, roll=0.003, lift=0.2, drape=(8, 8, 0.002),
        stitches=(((0.453, 0.356), (0.522, 0.353)),),
    )  # fmt: skip
    return [placket, pocket]


def tshirt(color: Rgb) -> list[Part]:
    """Short-sleeved crew-neck T-shirt."""
    outline = both(
        ((0.472, 0.156), (0.52, 0.172), (0.565, 0.195)),
        ((0.565, 0.195), (0.61, 0.25), (0.658, 0.36)),
        ((0.658, 0.36), (0.625, 0.385), (0.585, 0.4)),
        ((0.585, 0.4), (0.568, 0.37), (0.558, 0.345)),
        ((0.558, 0.345), (0.556, 0.5), (0.558, 0.68), (0.562, 0.848)),
        ((0.562, 0.848), (0.5, 0.86), (0.4, 0.862)),
    )
    body = Part(
        outline=(*outline, _CREW), color=color, drape=(4, 2.4, 0.009), roll=0.007,
        folds=folds(
            (11, 10, ((0.552, 0.35), (0.515, 0.4), (0.47, 0.43))),
            (11, 10, ((0.248, 0.35), (0.28, 0.4), (0.33, 0.43))),
            (11, 8, ((0.55, 0.38), (0.53, 0.47), (0.49, 0.56))),
            (12, 8, ((0.255, 0.4), (0.29, 0.5), (0.36, 0.57))),
            (13, 9, ((0.555, 0.6), (0.52, 0.68), (0.5, 0.85))),
            (13, 9, ((0.245, 0.58), (0.29, 0.7), (0.3, 0.85))),
            (12, 6, ((0.42, 0.62), (0.41, 0.74), (0.43, 0.86))),
            (8, -5, ((0.605, 0.28), (0.6, 0.33), (0.595, 0.38))),
            (8, -5, ((0.195, 0.28), (0.2, 0.33), (0.205, 0.38))),
        ),
        seams=pair(((0.56, 0.198), (0.545, 0.27), (0.558, 0.345))),
        stitches=(
            ((0.24, 0.835), (0.3, 0.846), (0.4, 0.849), (0.5, 0.846), (0.56, 0.835)),
            *pair(((0.65, 0.348), (0.62, 0.37), (0.58, 0.387))),
        ),
    )  # fmt: skip
    return [
        inside(((0.335, 0.155), (0.4, 0.172), (0.465, 0.155)), 0.22, color),
        body,
        _crew_rib(color),
    ]


def _crew_rib(color: Rgb) -> Part:
    inner: Curve = ((0.455, 0.155), (0.438, 0.187), (0.4, 0.202), (0.362, 0.187), (0.345, 0.155))
    return Part(
        outline=(_CREW, inner), color=color, roll=0.004, lift=0.2, texture="rib",
        drape=(4, 4, 0.001),
    )  # fmt: skip


def sweater(color: Rgb) -> list[Part]:
    """Chunky knitted jumper with ribbed cuffs and hem."""
    sleeve, cuff = _long_sleeve(color, "knit")
    outline = both(
        ((0.472, 0.156), (0.515, 0.17), (0.555, 0.195)),
        ((0.555, 0.195), (0.548, 0.27), (0.555, 0.35)),
        ((0.555, 0.35), (0.558, 0.5), (0.562, 0.66), (0.553, 0.8)),
        ((0.553, 0.8), (0.4, 0.806)),
    )
    body = Part(
        outline=(*outline, _CREW), color=color, drape=(4, 2, 0.011), roll=0.012, texture="knit",
        folds=_body_folds(),
        seams=pair(((0.548, 0.2), (0.538, 0.27), (0.548, 0.35))),
    )  # fmt: skip
    return [
        inside(((0.335, 0.155), (0.4, 0.172), (0.465, 0.155)), 0.22, color),
        sleeve, flipped(sleeve), cuff, flipped(cuff), body, _hem(color), _crew_rib(color),
    ]  # fmt: skip


def hoodie(color: Rgb) -> list[Part]:
    """Hooded sweatshirt with kangaroo pocket and white drawstrings."""
    sleeve, cuff = _long_sleeve(color, "weave")
    outline = both(
        ((0.4, 0.185), (0.47, 0.19), (0.515, 0.192), (0.555, 0.21)),
        ((0.555, 0.21), (0.548, 0.28), (0.555, 0.36)),
        ((0.555, 0.36), (0.558, 0.5), (0.562, 0.66), (0.553, 0.8)),
        ((0.553, 0.8), (0.4, 0.806)),
    )
    body = Part(
        outline=outline, color=color, drape=(4, 2.4, 0.011),
        roll=0.012, folds=_body_folds(),
        seams=pair(((0.548, 0.215), (0.538, 0.28), (0.548, 0.36))),
    )  # fmt: skip
    pocket = Part(
        outline=both(((0.46, 0.585), (0.475, 0.59)), ((0.535, 0.69), (0.533, 0.775), (0.4, 0.778))),
        color=color, roll=0.006, lift=0.3, drape=(6, 6, 0.005),
        stitches=pair(((0.478, 0.597), (0.53, 0.69))),
    )  # fmt: skip
    return [
        sleeve, flipped(sleeve), cuff, flipped(cuff), body, pocket, _hem(color),
        *_hood(color), *_strings(),
    ]  # fmt: skip


def _hood(color: Rgb) -> list[Part]:
    back = Part(
        outline=both(((0.4, 0.06), (0.47, 0.075), (0.505, 0.14), (0.49, 0.225), (0.4, 0.29))),
        color=color, roll=0.018, lift=0.4, drape=(6, 6, 0.008),
        folds=folds(
            (9, -7, ((0.475, 0.12), (0.48, 0.17), (0.455, 0.23))),
            (9, -7, ((0.325, 0.12), (0.32, 0.17), (0.345, 0.23))),
        ),
    )  # fmt: skip
    hollow = Part(
        outline=both(((0.4, 0.115), (0.443, 0.125), (0.455, 0.165), (0.44, 0.215), (0.4, 0.262))),
        color=dimmed(color, 0.3), roll=0.012, lift=0.0,
    )  # fmt: skip
    return [back, hollow]


def _strings() -> list[Part]:
    string = Part(
        outline=(
            ((0.427, 0.232), (0.432, 0.3), (0.428, 0.392)),
            ((0.434, 0.393), (0.439, 0.3), (0.434, 0.232)),
        ),
        color=(0.75, 0.75, 0.73), roll=0.002, lift=0.5, texture="rib", drape=(1, 1, 0.0),
    )  # fmt: skip
    return [string, flipped(string)]


def _hem(color: Rgb) -> Part:
    outline = both(((0.548, 0.795), (0.553, 0.8), (0.545, 0.858)), ((0.545, 0.858), (0.4, 0.864)))
    return Part(
        outline=outline, color=color, roll=0.007, lift=0.25, texture="rib", drape=(6, 2, 0.003)
    )


def _long_sleeve(color: Rgb, texture: str) -> tuple[Part, Part]:
    sleeve = Part(
        outline=(
            ((0.5, 0.215), (0.55, 0.205), (0.602, 0.27), (0.645, 0.43), (0.672, 0.68)),
            ((0.602, 0.692), (0.578, 0.52), (0.548, 0.36), (0.525, 0.3)),
        ),
        color=color, lift=0.5, roll=0.014, texture=texture, drape=(4, 4, 0.009),
        folds=folds(
            (9, -8, ((0.56, 0.36), (0.59, 0.42), (0.63, 0.44))),
            (8, -6, ((0.575, 0.45), (0.605, 0.49), (0.645, 0.49))),
            (10, 7, ((0.6, 0.3), (0.62, 0.45), (0.64, 0.62))),
            (8, -6, ((0.6, 0.64), (0.63, 0.655), (0.66, 0.645))),
        ),
    )  # fmt: skip
    cuff = Part(
        outline=(((0.668, 0.675), (0.662, 0.755)), ((0.618, 0.76), (0.606, 0.688))),
        color=color, roll=0.006, lift=0.3, texture="rib", drape=(4, 4, 0.002),
    )  # fmt: skip
    return sleeve, cuff


def _body_folds() -> tuple[Fold, ...]:
    return folds(
        (15, 11, ((0.55, 0.37), (0.51, 0.44), (0.46, 0.5))),
        (15, 11, ((0.25, 0.37), (0.29, 0.45), (0.35, 0.52))),
        (14, 9, ((0.552, 0.5), (0.53, 0.62), (0.5, 0.78))),
        (14, 9, ((0.25, 0.5), (0.28, 0.62), (0.31, 0.78))),
        (13, -6, ((0.53, 0.72), (0.46, 0.75), (0.4, 0.74))),
        (13, -6, ((0.27, 0.73), (0.33, 0.76), (0.4, 0.75))),
        (11, 6, ((0.42, 0.34), (0.41, 0.44), (0.43, 0.54))),
    )
