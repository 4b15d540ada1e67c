"""Packshots: the garment by itself, in each of the documented styles.

https://docs.piktid.com/docs/v2/create-packshot
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging import compose, props, worn
from piktid_async.sandbox.imaging.compose import Place, Shadow, Size
from piktid_async.sandbox.imaging.cutout import cut_out_all
from piktid_async.sandbox.imaging.finish import Target, shaped
from piktid_async.sandbox.imaging.scenes import place_of, scene
from piktid_async.sandbox.imaging.surfaces import surface
from piktid_async.sandbox.imaging.words import Rgb8, color_of, seed_of, text_of, words_of

RATIOS = {"square_packshot": "1:1", "tall_3_4": "3:4", "wide_4_3": "4:3"}
"""Of a framing that names one."""

_USUAL_RATIOS = {"ghost_mannequin": "3:4", "marketing_ready": "3:4"}
_SHADOWS: dict[str, Shadow] = {
    "flat_lay": "natural", "ghost_mannequin": "contact", "marketing_ready": "cast",
    "white_cutout": "contact", "free": "soft_drop",
}  # fmt: skip
_STUDIO: Rgb8 = (236, 236, 237)


@attrs.frozen(kw_only=True, eq=False)
class _Shoot:
    """Everything that one picture is made from."""

    garment: Image.Image
    wanted: Mapping[str, Any]
    size: Size
    place: Place
    shadow: Shadow
    left: bool
    """Whether shadows fall to the left."""
    rng: np.random.Generator

    def text(self, name: str) -> str:
        """Return the words of an instruction's field."""
        return text_of(self.wanted.get(name))

    def laid(self, canvas: Image.Image, garment: Image.Image | None = None) -> Image.Image:
        """Put the garment in its place, with its shadow."""
        layer = compose.placed(self.size, garment or self.garment, self.place)
        canvas = compose.shaded_by(canvas, layer, self.shadow, left=self.left)
        return compose.laid_on(canvas, layer)


def size_of(wanted: Mapping[str, Any], edge: int) -> Size:
    """Return the size in pixels that an instruction's ratio or framing gives a long edge."""
    framing = RATIOS.get(wanted.get("framing") or "")
    usual = _USUAL_RATIOS.get(wanted["style"], "1:1")
    return shaped(wanted.get("ar") or framing or usual, edge)


def packshot(
    sources: list[bytes], wanted: Mapping[str, Any], target: Target, *, variation: int
) -> Image.Image:
    """Paint one packshot of the garment in the photos."""
    cutouts = cut_out_all(sources, size=max(512, max(target.canvas)))
    garment = _seen_from(cutouts, wanted)
    style: str = wanted["style"]
    shoot = _shoot(garment, wanted, target.canvas, variation=variation)
    return _lit(_STYLES[style](shoot), shoot)


def _shoot(
    garment: Image.Image, wanted: Mapping[str, Any], size: Size, *, variation: int
) -> _Shoot:
    style = wanted["style"]
    rng = np.random.default_rng(seed_of(style, wanted.get("seed"), wanted.get("prompt"), variation))
    asked: Shadow | Literal["auto"] = wanted.get("shadow") or "auto"
    light = words_of(text_of(wanted.get("lighting")))
    left = "right" in light or ("left" not in light and variation % 2 == 1)
    return _Shoot(
        garment=_turned(garment, variation, flat=style == "flat_lay"),
        wanted=wanted,
        size=size,
        place=_place(wanted, variation),
        shadow=_SHADOWS[style] if asked == "auto" else _upright(asked, style),
        left=left,
        rng=rng,
    )


def _upright(asked: Shadow, style: str) -> Shadow:
    """Let a natural shadow fall on the ground where there is one."""
    return (
        "cast" if asked == "natural" and style in ("ghost_mannequin", "marketing_ready") else asked
    )


def _seen_from(cutouts: dict[int, Image.Image], wanted: Mapping[str, Any]) -> Image.Image:
    """Choose the photo that shows the angle best, by its note, and turn it."""
    angle = wanted.get("angle") or "front"
    sought = {"back": {"back"}, "detail_macro": {"detail", "close", "macro"}}.get(
        angle, {"front", "hero"}
    )
    notes = list(wanted.get("notes") or ())
    ranked = sorted(
        cutouts, key=lambda at: (not sought & words_of(notes[at] if at < len(notes) else ""), at)
    )
    garment = cutouts[ranked[0]]
    if angle == "three_quarter":
        return worn.swung(garment)
    return worn.close_up(garment) if angle == "detail_macro" else garment


def _turned(garment: Image.Image, variation: int, *, flat: bool) -> Image.Image:
    """Turn what lies flat a little, another way in each variation."""
    angle = (0.0, -7.0, 8.0, -13.0, 12.0, -4.0, 5.0, -10.0)[variation % 8] if flat else 0.0
    if not angle:
        return garment
    turned = garment.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    return turned.crop(turned.getbbox())


def _place(wanted: Mapping[str, Any], variation: int) -> Place:
    words = words_of(text_of(wanted.get("composition")), wanted.get("prompt"))
    share = 0.97 if wanted.get("framing") == "full_frame" else 0.8
    if words & {"negative", "small", "far", "distant", "airy"}:
        share *= 0.62
    share *= (1.0, 0.95, 1.04, 0.91)[variation % 4] if share < 0.9 else 1.0
    shift = 0.14 * (("right" in words) - ("left" in words))
    if wanted.get("angle") == "detail_macro":
        return Place(x=0.5, y=0.5, wide=1.0, tall=1.0)
    return Place(x=0.5 + shift, y=0.5, wide=share, tall=share)


def _white_cutout(shoot: _Shoot) -> Image.Image:
    """Pure white, sharp edges."""
    canvas = Image.new("RGB", shoot.size, "white")
    return shoot.laid(canvas)


def _flat_lay(shoot: _Shoot) -> Image.Image:
    """From above, on a surface."""
    wanted = shoot.text("surface") or shoot.text("background") or shoot.text("prompt")
    return shoot.laid(surface(wanted, shoot.size, rng=shoot.rng))


def _ghost_mannequin(shoot: _Shoot) -> Image.Image:
    """Worn by nobody: round, hollow at the neck, before a studio wall."""
    text = shoot.text("background") or shoot.text("prompt")
    color = color_of(text, otherwise=_STUDIO)
    canvas = compose.studio(shoot.size, color, floor=None, rng=shoot.rng)
    return shoot.laid(canvas, worn.filled_out(shoot.garment))


def _marketing_ready(shoot: _Shoot) -> Image.Image:
    """Paint a place or a coloured set, light from one side, and things beside the product."""
    told = f"{shoot.text('background')} {shoot.text('prompt')}"
    palette = color_of(shoot.text("color_palette") or told, otherwise=(226, 196, 178))
    where = place_of(told)
    if where is not None:
        canvas = scene(where, shoot.size, rng=shoot.rng)
    else:
        canvas = compose.studio(shoot.size, palette, floor=0.76, rng=shoot.rng)
    canvas = compose.lit_from(
        canvas, angle=35 if shoot.left else 145, strength=0.5, color=(255, 226, 190)
    )
    share = 0.84 * shoot.place.tall
    place = Place(x=shoot.place.x, y=0.89, wide=0.86 * share, tall=share, stands=True)
    ground = attrs.evolve(shoot, place=place)
    canvas = _dressed(canvas, ground, palette)
    return compose.vignetted(ground.laid(canvas, worn.filled_out(shoot.garment)), depth=0.25)


def _dressed(canvas: Image.Image, shoot: _Shoot, palette: Rgb8) -> Image.Image:
    """Stand the props around the product, some before others."""
    named = props.kinds_of(words_of(shoot.text("props"), shoot.text("prompt")))
    kinds = (named or ["plinth", "sphere", "plant"])[:4]
    sides = (0.12, 0.89, 0.21, 0.8)
    for step, kind in enumerate(kinds):
        red, green, blue = palette
        tint = ((0.86, 0.8, 0.78), (1.1, 0.98, 0.86), (0.66, 0.72, 0.8), (0.95, 0.9, 0.84))[step]
        color = (
            min(255, round(red * tint[0])),
            min(255, round(green * tint[1])),
            min(255, round(blue * tint[2])),
        )
        side = sides[step] if not shoot.left else 1 - sides[step]
        tall = (0.5, 0.26, 0.36, 0.22)[step] * (1.35 if kind in ("plant", "flowers") else 1.0)
        foot = (0.86, 0.93, 0.87, 0.96)[step]
        place = Place(x=side, y=foot, wide=0.38, tall=tall, stands=True)
        layer = compose.placed(shoot.size, props.prop(kind, color, rng=shoot.rng), place)
        canvas = compose.shaded_by(canvas, layer, "cast", left=shoot.left)
        canvas = compose.laid_on(canvas, layer)
    return canvas


def _free(shoot: _Shoot) -> Image.Image:
    """Whatever the words say: a place, a surface or a colour."""
    told = f"{shoot.text('background')} {shoot.text('prompt')}".strip()
    place = place_of(told)
    if place is not None:
        return shoot.laid(scene(place, shoot.size, rng=shoot.rng))
    color = color_of(told, otherwise=None if told else (214, 220, 226))
    return shoot.laid(compose.studio(shoot.size, color, floor=None, rng=shoot.rng))


def _lit(picture: Image.Image, shoot: _Shoot) -> Image.Image:
    """Grade the whole picture by the words for light; a cut-out stays pure white."""
    words = words_of(shoot.text("lighting"), shoot.text("color_palette"))
    if shoot.wanted["style"] == "white_cutout":
        return picture
    if words & {"warm", "golden", "sunset"}:
        picture = compose.graded(picture, gains=(1.06, 1.0, 0.88))
    if words & {"cool", "cold", "blue"}:
        picture = compose.graded(picture, gains=(0.92, 0.99, 1.07))
    if words & {"dramatic", "hard", "moody", "contrast"}:
        picture = compose.graded(picture, gains=(0.97, 0.97, 0.97), contrast=1.2)
        picture = compose.vignetted(picture, depth=0.5)
    return compose.grainy(picture, sigma=1.1 * math.sqrt(max(shoot.size) / 1024), rng=shoot.rng)


_STYLES: dict[str, Callable[[_Shoot], Image.Image]] = {
    "white_cutout": _white_cutout,
    "flat_lay": _flat_lay,
    "ghost_mannequin": _ghost_mannequin,
    "marketing_ready": _marketing_ready,
    "free": _free,
}
