"""Pictures of garments on a drawn figure: flat lay to model, and model swap.

https://docs.piktid.com/docs/v2/flat-lay
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from PIL import Image, ImageChops

from piktid_async.sandbox.imaging import compose
from piktid_async.sandbox.imaging.compose import Size
from piktid_async.sandbox.imaging.cutout import cut_from, cut_out_all
from piktid_async.sandbox.imaging.figure import WIDE, Pose, dressed, tint_of
from piktid_async.sandbox.imaging.finish import Target, shaped
from piktid_async.sandbox.imaging.garments import Garment, measured
from piktid_async.sandbox.imaging.io import read_image
from piktid_async.sandbox.imaging.looks import look_of
from piktid_async.sandbox.imaging.scenes import place_of, scene
from piktid_async.sandbox.imaging.words import Rgb8, color_of, seed_of, text_of, words_of

_TALLEST = 1800
"""Pixels that a figure is drawn at, at most."""

_STUDIO: Rgb8 = (226, 225, 223)


@attrs.frozen
class _Frame:
    """What of the figure is in the picture: heights of its upper and lower end."""

    top: float
    bottom: float


_FRAMES: tuple[tuple[set[str], _Frame], ...] = (
    ({"portrait", "headshot", "face", "close"}, _Frame(-0.03, 0.34)),
    ({"waist", "upper", "half", "torso", "bust"}, _Frame(-0.04, 0.5)),
    ({"three", "knee", "thigh", "american", "cowboy"}, _Frame(-0.04, 0.76)),
)
_FULL = _Frame(-0.05, 1.03)


def size_of(wanted: Mapping[str, Any], edge: int) -> Size:
    """Return the size in pixels that an instruction's ratio gives a long edge."""
    return shaped(wanted.get("ar") or "3:4", edge)


def flat_to_model(
    sources: list[bytes], wanted: Mapping[str, Any], target: Target, *, variation: int
) -> Image.Image:
    """Paint the figure of an identity in all the garments of the photos."""
    cutouts = cut_out_all(sources, size=max(512, min(1600, max(target.canvas))))
    notes = list(wanted.get("notes") or ())
    told = [notes[at] or "" if at < len(notes) else "" for at in range(len(sources))]
    garments = [measured(image, told=told[at]) for at, image in _fronts_first(cutouts, told)]
    rng = np.random.default_rng(
        seed_of(wanted.get("seed"), wanted.get("prompt"), text_of(wanted.get("pose")), variation)
    )
    everything = " ".join(told)
    return _portrayed(garments, wanted, target.canvas, rng, variation=variation, told=everything)


def model_swap(source: bytes, code: str, *, size: Size, variation: int = 0) -> Image.Image:
    """Paint another person in the garment of a photo, before the photo's own backdrop."""
    photo = read_image(source, size=max(size))
    garment = measured(cut_from(photo))
    rng = np.random.default_rng(seed_of(code, variation))
    backdrop = compose.studio(size, tint_of(photo), floor=None, rng=rng)
    frame = _FULL if size[1] >= size[0] else _Frame(-0.04, 0.76)
    return _figure_before(backdrop, [garment], code, _pose(set(), rng), frame, rng, shift=0.0)


def figure_in(
    backdrop: Image.Image, codes: Sequence[str], garments: list[Garment], *, words: set[str],
    rng: np.random.Generator,
) -> Image.Image:  # fmt: skip
    """Stand one or two identities before a backdrop."""
    shifts = (0.0,) if len(codes) == 1 else (-0.19, 0.19)
    for code, shift in zip(codes, shifts, strict=False):
        pose, frame = _pose(words, rng), _frame(words)
        backdrop = _figure_before(backdrop, garments, code, pose, frame, rng, shift=shift)
    return backdrop


def _fronts_first(
    cutouts: dict[int, Image.Image], told: list[str]
) -> list[tuple[int, Image.Image]]:
    """Put views of the back last: of each kind of garment the first is worn."""
    return sorted(cutouts.items(), key=lambda item: ("back" in words_of(told[item[0]]), item[0]))


def _portrayed(
    garments: list[Garment], wanted: Mapping[str, Any], size: Size, rng: np.random.Generator,
    *, variation: int, told: str,
) -> Image.Image:  # fmt: skip
    texts = {name: text_of(wanted.get(name)) for name in (*_FIELDS, "prompt")}
    place = place_of(f"{texts['background']} {texts['prompt']}")
    if place is not None:
        backdrop = scene(place, size, rng=rng)
    else:
        named = f"{texts['background']} {texts['color_palette']}".strip()
        color = color_of(named, otherwise=_STUDIO)
        backdrop = compose.studio(size, color, floor=0.86, rng=rng)
    bearing = words_of(texts["pose"], texts["expression"], texts["mood"], texts["prompt"])
    camera = words_of(texts["camera"], texts["angle"])
    shift = (0.0, -0.05, 0.05, -0.025)[variation % 4]
    picture = _figure_before(
        backdrop, garments, wanted["identity_code"], _pose(bearing, rng), _frame(camera), rng,
        shift=shift, tucked="tucked" in words_of(told),
    )  # fmt: skip
    light = words_of(texts["lighting"], texts["mood"], texts["style"], texts["background"])
    return _graded(picture, light, variation)


_FIELDS = (
    "pose", "expression", "mood", "camera", "lighting", "background", "style", "color_palette",
    "angle",
)  # fmt: skip


def _pose(words: set[str], rng: np.random.Generator) -> Pose:
    walking = bool(words & {"walking", "walk", "stride", "mid", "running", "dynamic", "step"})
    hips = bool(words & {"hip", "confident", "akimbo", "power"}) and not walking
    return Pose(
        stance=0.028 if walking else float(rng.uniform(0.042, 0.062)),
        stride=0.05 if walking else 0.0,
        elbows=0.05 if hips else 0.0,
        smile=bool(words & {"smile", "smiling", "happy", "joyful", "cheerful", "laughing"}),
    )


def _frame(words: set[str]) -> _Frame:
    return next((frame for named, frame in _FRAMES if named & words), _FULL)


def _figure_before(
    backdrop: Image.Image, garments: list[Garment], code: str, pose: Pose, frame: _Frame,
    rng: np.random.Generator, *, shift: float, tucked: bool = False,
) -> Image.Image:  # fmt: skip
    """Put a figure before a backdrop so that its frame fills the picture."""
    width, height = backdrop.size
    scale = height / (frame.bottom - frame.top)
    if frame is _FULL:  # a narrow picture must not cut off the hands
        scale = min(scale, width / 0.5)
    drawn = dressed(
        garments, look_of(code), pose, height=round(min(scale, _TALLEST)), tucked=tucked
    )
    size = (round(WIDE * scale), round(scale))
    bottom = height - (height - scale * (frame.bottom - frame.top)) / 2
    top = bottom - frame.bottom * scale
    layer = Image.new("RGBA", backdrop.size)
    corner = (round(width * (0.5 + shift) - size[0] / 2), round(top))
    layer.paste(compose.scaled(drawn, size), corner)
    if frame is _FULL:
        backdrop = compose.shaded_by(backdrop, layer, "cast", left=bool(rng.integers(2)))
    return compose.laid_on(backdrop, layer)


def _graded(picture: Image.Image, words: set[str], variation: int) -> Image.Image:
    if words & {"dramatic", "hard", "moody", "contrast", "editorial"}:
        picture = compose.graded(picture, gains=(0.98, 0.98, 0.99), contrast=1.15)
        picture = compose.vignetted(picture, depth=0.45)
    if words & {"golden", "warm", "sunset", "hour"}:
        picture = compose.graded(picture, gains=(1.06, 1.0, 0.88))
    if words & {"cool", "cold", "blue"}:
        picture = compose.graded(picture, gains=(0.92, 0.99, 1.07))
    light = (1.0, 0.975, 1.02, 0.96)[variation % 4]
    return (
        picture
        if light == 1.0
        else ImageChops.multiply(
            picture, Image.new("RGB", picture.size, (round(255 * min(1.0, light)),) * 3)
        )
    )
