"""What the words of a prompt do to a picture as a whole."""

from collections.abc import Callable

import attrs
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from piktid_async.sandbox.imaging import compose
from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.segment import find_garment
from piktid_async.sandbox.imaging.words import seed_of


@attrs.frozen(eq=False)
class _Edit:
    """What an effect works on."""

    picture: Image.Image
    words: set[str]
    rng: np.random.Generator


_Effect = Callable[[_Edit], Image.Image]


def apply(
    picture: Image.Image, words: set[str], *, rng: np.random.Generator
) -> tuple[Image.Image, int]:
    """Apply every effect that words name; return how many there were."""
    count = 0
    for named, effect in _EFFECTS:
        if named & words:
            picture, count = effect(_Edit(picture, words, rng)), count + 1
    return picture, count


def some(picture: Image.Image, text: str, *, variation: int) -> Image.Image:
    """Change a picture a little for words that name no effect; the same words do the same."""
    rng = np.random.default_rng(seed_of("mood", text, variation))
    red, blue = rng.uniform(0.9, 1.1, 2).tolist()
    picture = compose.graded(
        picture, gains=(red, 0.98, blue), contrast=float(rng.uniform(1.0, 1.15))
    )
    angle, color = float(rng.uniform(0, 180)), (255, 236, 214) if red > blue else (214, 230, 255)
    return compose.lit_from(picture, angle=angle, strength=0.35, color=color)


def _warm(edit: _Edit) -> Image.Image:
    warm = compose.graded(edit.picture, gains=(1.1, 1.01, 0.8))
    return compose.lit_from(warm, angle=140, strength=0.2, color=(255, 206, 140))


def _cool(edit: _Edit) -> Image.Image:
    return compose.graded(edit.picture, gains=(0.84, 0.98, 1.12))


def _bright(edit: _Edit) -> Image.Image:
    return edit.picture.point([round(255 * (value / 255) ** 0.75) for value in range(256)] * 3)


def _dark(edit: _Edit) -> Image.Image:
    return edit.picture.point([round(255 * (value / 255) ** 1.5) for value in range(256)] * 3)


def _contrast(edit: _Edit) -> Image.Image:
    hard = compose.graded(edit.picture, gains=(1.0, 1.0, 1.0), contrast=1.3)
    return compose.vignetted(hard, depth=0.4)


def _grey(edit: _Edit) -> Image.Image:
    return ImageOps.grayscale(edit.picture).convert("RGB")


def _sepia(edit: _Edit) -> Image.Image:
    brown = ImageOps.colorize(ImageOps.grayscale(edit.picture), (28, 18, 12), (250, 232, 200))
    return compose.vignetted(Image.blend(brown, edit.picture, 0.25), depth=0.4)


def _neon(edit: _Edit) -> Image.Image:
    """Light from both sides in two colours, on a darker picture."""
    dim = edit.picture.point([round(value * 0.62) for value in range(256)] * 3)
    pink = compose.lit_from(dim, angle=180, strength=0.9, color=(255, 40, 150))
    return compose.lit_from(pink, angle=0, strength=0.9, color=(30, 170, 255))


def _blur(edit: _Edit) -> Image.Image:
    """Blur all, or what is behind if the words say so."""
    soft = compose.blurred(edit.picture, radius=0.014 * max(edit.picture.size))
    if not {"background", "backdrop", "bokeh"} & edit.words:
        return soft
    try:
        mask, _ = find_garment(edit.picture)
    except ImagingError:
        return soft
    cover = Image.fromarray(mask.astype(np.uint8) * 255).resize(edit.picture.size)
    return Image.composite(edit.picture, soft, cover.filter(ImageFilter.GaussianBlur(2)))


def _rim(edit: _Edit) -> Image.Image:
    """Let light graze what stands before the backdrop, from one side."""
    side = 1 if "right" in edit.words else -1
    angle = 0 if side > 0 else 180
    try:
        mask, _ = find_garment(edit.picture)
    except ImagingError:
        return compose.lit_from(edit.picture, angle=angle, strength=0.6, color=(255, 240, 214))
    cover = Image.fromarray(mask.astype(np.uint8) * 255).resize(edit.picture.size)
    step = round(0.012 * max(edit.picture.size))
    inner = ImageChops.offset(cover, -side * step, step // 2)
    edge = compose.blurred(ImageChops.subtract(cover, inner), radius=0.005 * max(edit.picture.size))
    lit = ImageChops.screen(edit.picture, Image.new("RGB", edit.picture.size, (210, 190, 160)))
    glow = compose.lit_from(edit.picture, angle=angle, strength=0.22, color=(255, 236, 206))
    return Image.composite(lit, glow, edge)


def _rain(edit: _Edit) -> Image.Image:
    return ImageChops.screen(_cool(edit), _fallen(edit.picture.size, edit.rng, long=0.045))


def _snow(edit: _Edit) -> Image.Image:
    return ImageChops.screen(edit.picture, _fallen(edit.picture.size, edit.rng, long=0.0))


def _fallen(size: compose.Size, rng: np.random.Generator, *, long: float) -> Image.Image:
    layer = Image.new("RGB", size)
    draw = ImageDraw.Draw(layer)
    edge = max(size)
    for _ in range(420):
        x, y = rng.uniform(0, size[0]), rng.uniform(-0.05, 1) * size[1]
        near = float(rng.uniform(0.3, 1))
        light = (round(200 * near),) * 3
        if long:
            end = (x - 0.2 * long * edge * near, y + long * edge * near)
            draw.line((x, y, *end), fill=light, width=max(1, round(0.0016 * edge * near)))
        else:
            radius = 0.0055 * edge * near
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=light)
    return compose.blurred(layer, radius=0.0012 * edge)


def _sketch(edit: _Edit) -> Image.Image:
    """Draw with a pencil: what is darker than its surroundings."""
    grey = ImageOps.grayscale(edit.picture)
    light = ImageOps.invert(compose.blurred(grey, radius=max(1.0, 0.008 * max(grey.size))))
    drawn = ImageChops.add(grey, light).point(lambda value: max(0, min(255, (value - 190) * 4)))
    return drawn.convert("RGB")


def _poster(edit: _Edit) -> Image.Image:
    flat = edit.picture.filter(ImageFilter.MedianFilter(5))
    return ImageOps.posterize(compose.graded(flat, gains=(1.0, 1.0, 1.0), contrast=1.25), 3)


def _mirrored(edit: _Edit) -> Image.Image:
    return ImageOps.mirror(edit.picture)


def _near(edit: _Edit) -> Image.Image:
    width, height = edit.picture.size
    box = (0.18 * width, 0.14 * height, 0.82 * width, 0.78 * height)
    return edit.picture.resize(edit.picture.size, Image.Resampling.LANCZOS, box=box)


_EFFECTS: tuple[tuple[set[str], _Effect], ...] = (
    ({"mirror", "mirrored", "flip", "flipped"}, _mirrored),
    ({"closer", "zoom", "crop", "tighter"}, _near),
    ({"blur", "blurred", "bokeh", "defocus", "soften"}, _blur),
    ({"warm", "warmer", "cozy", "golden", "sunset"}, _warm),
    ({"cool", "cooler", "cold", "icy", "bluish"}, _cool),
    ({"brighter", "brighten", "lighter", "airy", "lighten"}, _bright),
    ({"darker", "darken", "dim"}, _dark),
    ({"dramatic", "contrast", "moody", "punchy"}, _contrast),
    ({"monochrome", "grayscale", "greyscale", "noir", "desaturate"}, _grey),
    ({"sepia", "vintage", "retro", "aged"}, _sepia),
    ({"neon", "cyberpunk", "nightclub", "disco"}, _neon),
    ({"rim", "backlight", "backlit", "halo"}, _rim),
    ({"rain", "rainy"}, _rain),
    ({"snowing", "snowfall", "snowflake"}, _snow),
    ({"sketch", "pencil", "drawing"}, _sketch),
    ({"cartoon", "poster", "comic"}, _poster),
)
