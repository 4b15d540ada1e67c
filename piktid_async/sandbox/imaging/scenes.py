"""Places, painted out of focus: a backdrop for campaign pictures, or a picture by themselves."""

import math
from collections.abc import Callable

import attrs
import numpy as np
from PIL import Image, ImageChops, ImageDraw

from piktid_async.sandbox.imaging.cloth import waves
from piktid_async.sandbox.imaging.colors import without_color_names
from piktid_async.sandbox.imaging.compose import Size, as_picture, blurred, grid, studio
from piktid_async.sandbox.imaging.words import Rgb8, first_match, words_of

Rng = np.random.Generator

PLACES = {
    "neon": "night", "night": "night", "midnight": "night", "nightclub": "night", "club": "night",
    "sunset": "sunset", "sunrise": "sunset", "dawn": "sunset", "dusk": "sunset",
    "golden": "sunset",
    "ocean": "sea", "sea": "sea", "beach": "sea", "coast": "sea", "pool": "sea", "water": "sea",
    "lake": "sea",
    "forest": "garden", "garden": "garden", "park": "garden", "jungle": "garden",
    "meadow": "garden", "tropical": "garden", "nature": "garden", "botanical": "garden",
    "street": "city", "city": "city", "urban": "city", "rooftop": "city", "skyline": "city",
    "snow": "snow", "winter": "snow", "mountain": "snow", "alpine": "snow",
    "desert": "desert", "dune": "desert",
    "room": "room", "interior": "room", "loft": "room", "home": "room", "apartment": "room",
    "window": "room", "cafe": "room", "kitchen": "room", "library": "room",
}  # fmt: skip
"""The place that a word stands for; at the first of these words that is found."""

_HORIZON = 0.62


@attrs.frozen
class _Sky:
    top: Rgb8
    horizon: Rgb8
    ground: Rgb8
    below: Rgb8


def place_of(text: str) -> str | None:
    """Return the place that a text names."""
    return first_match(words_of(without_color_names(text)), PLACES)


def scene(place: str, size: Size, *, rng: Rng) -> Image.Image:
    """Paint a place."""
    return _PAINTERS[place](size, rng)


def _bands(size: Size, sky: _Sky, *, rng: Rng, horizon: float = _HORIZON) -> Image.Image:
    """Paint sky and ground, each from one colour to another, and soft clouds."""
    x, y = grid(size)
    colors = [np.array(each, np.float32) for each in (sky.top, sky.horizon, sky.ground, sky.below)]
    up = np.clip(y / np.float32(horizon), 0, 1)[..., None]
    down = np.clip((y - horizon) / np.float32(1 - horizon), 0, 1)[..., None]
    above = colors[0] * (1 - up) + colors[1] * up
    below = colors[2] * (1 - down) + colors[3] * down
    edge = np.clip((y - horizon) / np.float32(0.012), 0, 1)[..., None]
    clouds = np.clip(waves(x.shape, across=4, down=12, rng=rng) - 0.3, 0, 1)[..., None]
    above = above + (255 - above) * np.float32(0.16) * clouds * (1 - edge)
    return as_picture(above * (1 - edge) + below * edge, size)


def _glow(
    picture: Image.Image, at: tuple[float, float], radius: float, color: Rgb8, *, strength: float
) -> Image.Image:
    x, y = grid(picture.size)
    ratio = picture.width / picture.height
    far = ((x - at[0]) * np.float32(ratio)) ** 2 + (y - at[1]) ** 2
    light = np.float32(strength) * np.exp(-far / np.float32(radius**2))[..., None]
    return ImageChops.screen(picture, as_picture(light * np.array(color, np.float32), picture.size))


def _sunset(size: Size, rng: Rng) -> Image.Image:
    sky = _Sky((64, 74, 128), (250, 176, 108), (176, 112, 92), (70, 52, 70))
    picture = _bands(size, sky, rng=rng)
    at = (float(rng.uniform(0.25, 0.75)), _HORIZON - 0.07)
    picture = _glow(picture, at, 0.28, (255, 150, 70), strength=0.75)
    picture = _glow(picture, at, 0.055, (255, 240, 200), strength=1.3)
    return blurred(_glittering(picture, at[0], rng), radius=0.004 * max(size))


def _glittering(picture: Image.Image, center: float, rng: Rng) -> Image.Image:
    """Break the light on the water below the sun."""
    layer = Image.new("RGB", picture.size)
    draw = ImageDraw.Draw(layer)
    width, height = picture.size
    for _ in range(150):
        depth = float(rng.uniform(0.02, 1)) ** 0.8
        y = (_HORIZON + (1 - _HORIZON) * depth) * height
        x = (center + float(rng.normal(0, 0.03 + 0.1 * depth))) * width
        long, thick = (0.01 + 0.05 * depth) * width, max(1, round(0.005 * depth * height))
        glint = round(160 * (1 - 0.6 * depth))
        draw.line(
            (x - long, y, x + long, y), fill=(glint, round(glint * 0.8), glint // 2), width=thick
        )
    return ImageChops.screen(picture, blurred(layer, radius=0.004 * max(picture.size)))


def _sea(size: Size, rng: Rng) -> Image.Image:
    sky = _Sky((92, 160, 214), (214, 234, 242), (52, 138, 158), (226, 206, 168))
    picture = _bands(size, sky, rng=rng)
    layer = Image.new("RGB", size)
    draw = ImageDraw.Draw(layer)
    for step in range(14):
        depth = (step + 1) / 15
        y = (_HORIZON + (0.86 - _HORIZON) * depth**1.4) * size[1]
        phase = float(rng.uniform(0, math.tau))
        line = [
            (x / 40 * size[0], y + 0.006 * size[1] * depth * math.sin(x / 4 + phase))
            for x in range(41)
        ]
        draw.line(
            line, fill=(round(90 + 90 * depth),) * 3, width=max(1, round(0.004 * depth * size[1]))
        )
    return blurred(
        ImageChops.screen(picture, blurred(layer, radius=0.003 * max(size))),
        radius=0.003 * max(size),
    )


def _garden(size: Size, rng: Rng) -> Image.Image:
    sky = _Sky((196, 214, 168), (150, 178, 104), (104, 138, 70), (70, 100, 52))
    picture = _bands(size, sky, rng=rng, horizon=0.75)
    greens = [(58, 96, 48), (88, 132, 62), (126, 166, 84), (164, 192, 112), (212, 226, 160)]
    return _bokeh(picture, greens, rng, count=130, radius=(0.02, 0.09), low=0.0, high=0.95)


def _night(size: Size, rng: Rng) -> Image.Image:
    sky = _Sky((14, 14, 34), (46, 30, 70), (26, 22, 44), (12, 12, 24))
    picture = _bands(size, sky, rng=rng)
    neon = [(255, 60, 150), (70, 200, 255), (255, 180, 80), (150, 90, 255), (90, 255, 190)]
    picture = _bokeh(
        picture, neon, rng, count=46, radius=(0.012, 0.05), low=0.12, high=_HORIZON - 0.02
    )
    # A wet street mirrors what is above it.
    width, height = size
    edge = round(_HORIZON * height)
    mirrored = picture.crop((0, 0, width, edge)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    wet = mirrored.resize((width, height - edge)).point(lambda value: value * 0.62)
    picture.paste(blurred(wet, radius=0.012 * max(size)), (0, edge))
    return picture


def _city(size: Size, rng: Rng) -> Image.Image:
    sky = _Sky((150, 182, 214), (238, 222, 204), (150, 146, 144), (112, 108, 108))
    picture = _bands(size, sky, rng=rng)
    width, height = size
    draw = ImageDraw.Draw(picture)
    for depth, tone in ((0.0, 186), (0.5, 150), (1.0, 116)):
        left = -0.05
        while left < 1:
            wide = float(rng.uniform(0.07, 0.15))
            top = _HORIZON - float(rng.uniform(0.12, 0.36)) * (1 - 0.35 * depth)
            color = (tone + 8, tone + 2, round(tone * 0.98))
            box = (left * width, top * height, (left + wide) * width, _HORIZON * height)
            draw.rectangle(box, fill=color)
            _windows(draw, box, tone, rng)
            left += wide + float(rng.uniform(-0.01, 0.05))
    return blurred(picture, radius=0.006 * max(size))


def _windows(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], tone: int, rng: Rng
) -> None:
    left, top, right, bottom = box
    step = (right - left) / 5
    y = top + step
    while y + step * 0.6 < bottom:
        for column in range(4):
            x = left + step * (column + 0.6)
            light = tone - 34 if rng.random() < 0.75 else 236
            draw.rectangle((x, y, x + step * 0.5, y + step * 0.6), fill=(light, light, light))
        y += step * 1.2


def _snow(size: Size, rng: Rng) -> Image.Image:
    sky = _Sky((138, 168, 204), (222, 232, 242), (240, 244, 250), (214, 224, 238))
    picture = _bands(size, sky, rng=rng, horizon=0.7)
    draw = ImageDraw.Draw(picture)
    width, height = size
    for depth, color in ((0.0, (176, 190, 212)), (1.0, (140, 158, 186))):
        top = 0.26 + 0.16 * depth
        ridge = [(0.0, 0.7)]
        for step in range(13):
            up = float(rng.uniform(0, 0.2)) if step % 2 else float(rng.uniform(0.14, 0.3))
            ridge.append((step / 12, top + up))
        ridge.append((1.0, 0.7))
        draw.polygon([(x * width, y * height) for x, y in ridge], fill=color)
    return blurred(picture, radius=0.006 * max(size))


def _desert(size: Size, rng: Rng) -> Image.Image:
    sky = _Sky((120, 168, 206), (246, 218, 176), (222, 170, 112), (190, 130, 80))
    picture = _bands(size, sky, rng=rng, horizon=0.55)
    draw = ImageDraw.Draw(picture)
    width, height = size
    for step, color in enumerate([(226, 178, 122), (206, 152, 98), (184, 126, 78)]):
        phase, tall = float(rng.uniform(0, math.tau)), 0.05 + 0.02 * step
        base = 0.57 + 0.13 * step
        crest = [(x / 60, base - tall * math.sin(x / 13 + phase)) for x in range(61)]
        outline = [(0.0, 1.0), *crest, (1.0, 1.0)]
        draw.polygon([(x * width, y * height) for x, y in outline], fill=color)
    return blurred(picture, radius=0.005 * max(size))


def _room(size: Size, rng: Rng) -> Image.Image:
    """Let the sun through a window fall on the wall of a room."""
    picture = studio(size, (222, 206, 186), floor=0.78, rng=rng)
    width, height = size
    light = Image.new("L", size)
    draw = ImageDraw.Draw(light)
    at, lean = float(rng.uniform(0.08, 0.3)), 0.16
    for column in range(2):
        for row in range(3):
            x, y = at + 0.2 * column, 0.1 + 0.19 * row - lean * 0.2 * column
            corners = [(x, y), (x + 0.18, y - lean * 0.18), (x + 0.18, y + 0.165 - lean * 0.18),
                       (x, y + 0.165)]  # fmt: skip
            draw.polygon([(a * width, b * height) for a, b in corners], fill=255)
    soft = blurred(light, radius=0.01 * max(size)).point(lambda value: value * 0.34)
    warm = Image.new("RGB", size, (255, 236, 200))
    return Image.composite(ImageChops.screen(picture, warm), picture, soft)


def _bokeh(
    picture: Image.Image, colors: list[Rgb8], rng: Rng, *,
    count: int, radius: tuple[float, float], low: float, high: float,
) -> Image.Image:  # fmt: skip
    """Scatter soft discs, as lights and leaves out of focus look."""
    width, height = picture.size
    edge = max(picture.size)
    for _ in range(3):
        layer = picture.copy()
        draw = ImageDraw.Draw(layer)
        for _ in range(count // 3):
            x, y = rng.uniform(0, width), rng.uniform(low, high) * height
            size = float(rng.uniform(*radius)) * edge
            color = colors[int(rng.integers(len(colors)))]
            draw.ellipse((x - size, y - size, x + size, y + size), fill=color)
        picture = Image.blend(picture, blurred(layer, radius=0.008 * edge), 0.6)
    return picture


_PAINTERS: dict[str, Callable[[Size, Rng], Image.Image]] = {
    "sunset": _sunset, "sea": _sea, "garden": _garden, "night": _night, "city": _city,
    "snow": _snow, "desert": _desert, "room": _room,
}  # fmt: skip
