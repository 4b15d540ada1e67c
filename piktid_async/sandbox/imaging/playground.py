"""Image Playground: edit the first picture by the words of a prompt, or draw one from them.

Honest stand-ins, no understanding: words that are known do what they say, all others change the
mood in a way that depends on them.
https://docs.piktid.com/docs/v2/image-playground
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from piktid_async.sandbox.imaging import bottoms, compose, effects, props, tops
from piktid_async.sandbox.imaging.colors import parse_color
from piktid_async.sandbox.imaging.compose import Place, Size
from piktid_async.sandbox.imaging.cutout import cut_from
from piktid_async.sandbox.imaging.dye import varied
from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.figure import drawn
from piktid_async.sandbox.imaging.finish import shaped
from piktid_async.sandbox.imaging.garments import Garment, measured
from piktid_async.sandbox.imaging.io import read_image, upright_size
from piktid_async.sandbox.imaging.on_model import figure_in
from piktid_async.sandbox.imaging.recolor import dyed
from piktid_async.sandbox.imaging.scenes import PLACES, place_of, scene
from piktid_async.sandbox.imaging.segment import find_garment
from piktid_async.sandbox.imaging.words import Rgb8, color_of, linear, seed_of, words_of
from piktid_async.sandbox.imaging.worn import filled_out

_DYEING = {"make", "turn", "change", "recolor", "recolour", "dye", "paint", "color", "colour"}
_SETTING = {"background", "backdrop", "seamless"}
_CLOTHES = {
    "dress": bottoms.dress, "gown": bottoms.dress, "skirt": bottoms.skirt,
    "trouser": bottoms.trousers, "pant": bottoms.trousers, "jean": bottoms.trousers,
    "chino": bottoms.trousers, "hoodie": tops.hoodie, "sweater": tops.sweater,
    "jumper": tops.sweater, "cardigan": tops.sweater, "coat": tops.shirt, "trench": tops.shirt,
    "jacket": tops.shirt, "blazer": tops.shirt, "blouse": tops.shirt, "shirt": tops.shirt,
    "tshirt": tops.tshirt, "tee": tops.tshirt, "top": tops.tshirt,
}  # fmt: skip
_SUBJECTS = ("vase", "sphere", "flowers", "books", "box", "stones", "plant")


def size_of(sources: list[bytes], wanted: Mapping[str, Any], edge: int, *, scale: float) -> Size:
    """Return the size in pixels: a ratio's, or that of the picture that is edited."""
    if wanted.get("aspect_ratio"):
        return shaped(wanted["aspect_ratio"], edge)
    if not sources:
        return edge, edge
    width, height = upright_size(sources[0])
    return max(1, round(width * scale)), max(1, round(height * scale))


def playground(
    sources: list[bytes], wanted: Mapping[str, Any], size: Size, *, variation: int
) -> Image.Image:
    """Paint one variation."""
    prompt = wanted.get("prompt") or ""
    rng = np.random.default_rng(seed_of("playground", prompt, variation))
    pictures = [read_image(source, size=max(size)) for source in sources]
    codes = list(wanted.get("identity_codes") or ())
    if codes:
        picture = _portrait(pictures, codes, prompt, size, rng)
    elif pictures:
        picture = _edited(pictures, prompt, size, rng, variation=variation)
    else:
        picture = _imagined(prompt, size, rng)
    return _varied(picture, variation)


def _edited(
    pictures: list[Image.Image], prompt: str, size: Size, rng: np.random.Generator,
    *, variation: int,
) -> Image.Image:  # fmt: skip
    words = words_of(prompt)
    picture = ImageOps.fit(pictures[0], size, Image.Resampling.LANCZOS)
    changed = _set_elsewhere(picture, prompt, words, rng)
    count = int(changed is not None)
    if changed is None:
        changed = _recolored(picture, prompt, words, variation)
        count = int(changed is not None)
    left = words - set(PLACES) if place_of(prompt) and changed is not None else words
    picture, more = effects.apply(changed or picture, left, rng=rng)
    for step, reference in enumerate(pictures[1:4]):
        picture, more = _added(picture, reference, step), more + 1
    if not count + more:
        picture = effects.some(picture, prompt, variation=variation)
    return picture


def _set_elsewhere(
    picture: Image.Image, prompt: str, words: set[str], rng: np.random.Generator
) -> Image.Image | None:
    """Cut out what the picture shows and put it into the place or before the colour named."""
    place = place_of(prompt)
    if place is None and not _SETTING & words:
        return None
    try:
        subject = cut_from(picture)
    except ImagingError:
        return None
    if place is not None:
        canvas = scene(place, picture.size, rng=rng)
        where = Place(x=0.5, y=0.93, wide=0.78, tall=0.78, stands=True)
        layer = compose.placed(picture.size, subject, where)
        return compose.laid_on(compose.shaded_by(canvas, layer, "cast"), layer)
    color = color_of(prompt.split("background")[0], otherwise=(246, 246, 246))
    canvas = compose.studio(picture.size, color, floor=None, rng=rng)
    layer = compose.placed(picture.size, subject, Place(x=0.5, y=0.5, wide=0.84, tall=0.84))
    return compose.laid_on(compose.shaded_by(canvas, layer, "soft_drop"), layer)


def _recolored(
    picture: Image.Image, prompt: str, words: set[str], variation: int
) -> Image.Image | None:
    color = parse_color(prompt)
    if color is None or not _DYEING & words:
        return None
    try:
        mask, lab = find_garment(picture)
    except ImagingError:
        return None
    return dyed(picture, mask, lab, varied(color, variation=variation))


def _added(picture: Image.Image, reference: Image.Image, step: int) -> Image.Image:
    """Put what a reference shows into a lower corner."""
    try:
        layer = cut_from(reference)
    except ImagingError:
        layer = reference.convert("RGBA")
    where = Place(x=(0.8, 0.2, 0.5)[step], y=0.97, wide=0.34, tall=0.4, stands=True)
    layer = compose.placed(picture.size, layer, where)
    return compose.laid_on(compose.shaded_by(picture, layer, "cast"), layer)


def _portrait(
    pictures: list[Image.Image], codes: list[str], prompt: str, size: Size,
    rng: np.random.Generator,
) -> Image.Image:  # fmt: skip
    """Stand the identities into the place that is named, in what the pictures show."""
    words = words_of(prompt)
    garments = _seen_in(pictures) or _named_in(prompt, words)
    picture = figure_in(_setting(prompt, size, rng), codes, garments, words=words, rng=rng)
    return effects.apply(picture, words, rng=rng)[0]


def _seen_in(pictures: list[Image.Image]) -> list[Garment]:
    found = []
    for picture in pictures:
        try:
            found.append(measured(cut_from(picture)))
        except ImagingError:
            continue
    return found


def _named_in(prompt: str, words: set[str]) -> list[Garment]:
    named = next((name for name in _CLOTHES if name in words), None)
    if named is None:
        return []
    color = parse_color(prompt) or (0.62, 0.0, 0.02)
    return [measured(drawn(_CLOTHES[named](linear(color))), told=named)]


def _setting(prompt: str, size: Size, rng: np.random.Generator) -> Image.Image:
    place = place_of(prompt)
    if place is not None:
        return scene(place, size, rng=rng)
    tints: tuple[Rgb8, ...] = ((226, 222, 216), (206, 214, 220), (224, 206, 196), (208, 216, 200))
    tint = tints[seed_of("wall", prompt) % len(tints)]
    return compose.studio(size, tint, floor=0.84, rng=rng)


def _imagined(prompt: str, size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw a still life: a place, and the thing that is named or that the words stand for."""
    words = words_of(prompt)
    canvas = _setting(prompt, size, rng)
    color = color_of(prompt)
    named = next((name for name in _CLOTHES if name in words), None)
    kinds = props.kinds_of(words) or [_SUBJECTS[seed_of("subject", prompt) % len(_SUBJECTS)]]
    if named is not None:
        subject = filled_out(
            drawn(_CLOTHES[named](linear(parse_color(prompt) or (0.6, 0.05, 0.05))))
        )
    else:
        subject = props.prop(kinds[0], color, rng=rng)
    small = [props.prop(kind, color, rng=rng) for kind in kinds[1:3]]
    places = [Place(x=0.22, y=0.84, wide=0.26, tall=0.3, stands=True),
              Place(x=0.79, y=0.9, wide=0.24, tall=0.24, stands=True)]  # fmt: skip
    main = Place(x=0.5, y=0.9, wide=0.62, tall=0.62, stands=True)
    for thing, place in [*zip(small, places, strict=False), (subject, main)]:
        layer = compose.placed(size, thing, place)
        canvas = compose.laid_on(compose.shaded_by(canvas, layer, "cast"), layer)
    picture, _ = effects.apply(canvas, words, rng=rng)
    return compose.grainy(picture, sigma=1.1 * math.sqrt(max(size) / 1024), rng=rng)


def _varied(picture: Image.Image, variation: int) -> Image.Image:
    """Give each further variation a light of its own."""
    if not variation:
        return picture
    turn = variation * 2.4  # the golden angle: no two fall together
    gains = (1 + 0.04 * math.sin(turn), 1.0, 1 - 0.04 * math.sin(turn))
    lit = compose.lit_from(picture, angle=math.degrees(turn), strength=0.16, color=(255, 244, 228))
    return compose.graded(lit, gains=gains, contrast=1 + 0.03 * math.cos(turn))
