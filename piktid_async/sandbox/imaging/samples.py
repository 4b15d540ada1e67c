"""Sample product photos and swatches, drawn on the spot; the same call gives the same bytes."""

from collections.abc import Callable

import attrs
import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging import bottoms, tops
from piktid_async.sandbox.imaging.cloth import Part, Sheet, waves
from piktid_async.sandbox.imaging.colors import parse_color
from piktid_async.sandbox.imaging.io import write_jpeg
from piktid_async.sandbox.imaging.pieces import Rgb, resized
from piktid_async.sandbox.imaging.spaces import Floats, linear_from_oklab, srgb_from_linear


@attrs.frozen
class SamplePhoto:
    """A drawn product photo."""

    name: str
    """File name, such as "linen-shirt.jpg"."""
    data: bytes
    """JPEG."""
    description: str


@attrs.frozen
class _Scene:
    name: str
    description: str
    parts: Callable[[Rgb], list[Part]]
    colors: tuple[str, str]
    """First showing, and any later one."""
    wall: str
    frame: tuple[float, float, float]
    """Width and height factors, shift down."""


_SCENES = (
    _Scene(
        "linen-shirt", "White linen shirt with dark buttons", tops.shirt,
        ("#f2efe8", "#9fb6c9"), "#d3d3d2", (1.3, 0.98, 0.0),
    ),
    _Scene(
        "cotton-tshirt", "Coral cotton T-shirt", tops.tshirt,
        ("#e0614c", "#f0eeea"), "#ece8e1", (1.3, 0.94, 0.0),
    ),
    _Scene(
        "hoodie", "Charcoal hoodie with white drawstrings", tops.hoodie,
        ("#33363b", "#7f8f7a"), "#e4e3e0", (1.24, 0.98, 0.03),
    ),
    _Scene(
        "summer-dress", "Dusty blue satin dress", bottoms.dress,
        ("#7f9cbc", "#c98a8d"), "#efebe6", (1.2, 0.98, 0.0),
    ),
    _Scene(
        "chino-trousers", "Sand-coloured chinos", bottoms.trousers,
        ("#b79c74", "#4a5340"), "#f0f0ef", (1.3, 0.98, 0.0),
    ),
    _Scene(
        "pleated-skirt", "Burgundy pleated skirt", bottoms.skirt,
        ("#74243a", "#2d4a6b"), "#e3dfd9", (1.32, 0.98, 0.0),
    ),
    _Scene(
        "knit-sweater", "Cream knitted jumper", tops.sweater,
        ("#e3d7bf", "#3c5a48"), "#a9adb1", (1.24, 0.98, 0.0),
    ),
)  # fmt: skip


def sample_photos(count: int = 6, *, size: int = 1200) -> list[SamplePhoto]:
    """Draw product photos with a long edge of `size` pixels (4:5 upright)."""
    return [sample_photo(index, size=size) for index in range(count)]


def sample_photo(index: int, *, size: int = 1200) -> SamplePhoto:
    """Draw one of them."""
    scene = _SCENES[index % len(_SCENES)]
    rng = np.random.default_rng(1000 + index)
    sheet = Sheet(_wall(_linear(scene.wall), size, rng), rng=rng)
    wide, tall, down = scene.frame
    for part in scene.parts(_linear(scene.colors[min(1, index // len(_SCENES))])):
        sheet.add(resized(part, wide=wide, tall=tall, down=down))
    again = index // len(_SCENES)
    name = scene.name + (f"-{again + 1}" if again else "") + ".jpg"
    return SamplePhoto(name, _developed(sheet.light, rng), scene.description)


def _linear(code: str) -> Rgb:
    color = parse_color(code)
    assert color is not None
    red, green, blue = linear_from_oklab(np.array(color, np.float32)).tolist()
    return red, green, blue


def _wall(color: Rgb, size: int, rng: np.random.Generator) -> Floats:
    """Paint a backdrop: soft gradient, faint clouds."""
    shape = (size, round(0.8 * size))
    y, x = np.meshgrid(
        np.linspace(0, 1, shape[0], dtype=np.float32),
        np.linspace(0, 1, shape[1], dtype=np.float32),
        indexing="ij",
    )
    glow = 1.04 - 0.1 * y - 0.05 * x + np.float32(0.012) * waves(shape, across=3, down=3, rng=rng)
    painted: Floats = glow[..., None].astype(np.float32) * np.array(color, np.float32)
    return painted


def _developed(light: Floats, rng: np.random.Generator) -> bytes:
    """Add vignette and sensor noise, encode."""
    height, width = light.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    light = light * (1 - np.float32(0.07) * (x * x + y * y))[..., None]
    srgb = srgb_from_linear(light)
    srgb += np.float32(1.3) * rng.standard_normal(light.shape, dtype=np.float32)
    picture = np.clip(srgb + 0.5, 0, 255).astype(np.uint8)
    return write_jpeg(Image.fromarray(picture), quality=92)


def sample_swatch(color: str, *, size: int = 256) -> bytes:
    """Draw a square of woven cloth in a colour given by name or hex code, as JPEG."""
    rng = np.random.default_rng(7)
    base = parse_color(color)
    if base is None:
        raise ValueError(f"no colour in {color!r}")
    tone = 1 + np.float32(0.035) * waves((size, size), across=3, down=3, rng=rng)
    thread = np.arange(size) // 2
    over = ((thread[:, None] + thread[None]) % 2).astype(np.float32) - np.float32(0.5)
    grain = rng.standard_normal((size, size)).astype(np.float32)
    tone = tone * (1 + np.float32(0.16) * over + np.float32(0.05) * grain)
    light = linear_from_oklab(np.array(base, np.float32)) * tone[..., None]
    return write_jpeg(Image.fromarray(srgb_from_linear(light).astype(np.uint8)), quality=94)
