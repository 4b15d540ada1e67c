"""Colour spaces: 8-bit sRGB to OKLab and back, table-driven and in float32.

OKLab (https://bottosson.github.io/posts/oklab/): L is lightness in 0..1; a (green to red) and
b (blue to yellow) lie within about -0.35..0.35. Scaling linear light scales all three alike,
so a shadow on a dyed cloth keeps its hue.
"""

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_M1 = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_M2 = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)
_M1_INVERSE = np.linalg.inv(_M1.astype(np.float64)).astype(np.float32)
_M2_INVERSE = np.linalg.inv(_M2.astype(np.float64)).astype(np.float32)

_STEPS = 65535


def _decode_table() -> Floats:
    v = np.arange(256) / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encode_table() -> Floats:
    v = np.arange(_STEPS + 1) / _STEPS
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055).astype(np.float32)


_DECODE = _decode_table()
_ENCODE = _encode_table() * np.float32(255)


def oklab_from_srgb(rgb: Bytes) -> Floats:
    """Convert sRGB bytes of shape (..., 3) to OKLab of the same shape."""
    lms = _DECODE[rgb] @ _M1.T
    lab: Floats = np.cbrt(lms) @ _M2.T
    return lab


def linear_from_oklab(lab: Floats) -> Floats:
    """Convert OKLab to linear RGB; colours outside sRGB give values outside 0..1."""
    lms = lab @ _M2_INVERSE.T
    rgb: Floats = (lms * lms * lms) @ _M1_INVERSE.T
    return rgb


def srgb_from_linear(light: Floats) -> Floats:
    """Encode linear RGB to sRGB on the scale 0..255 (float32), clipped to what sRGB can show."""
    index = np.clip(light, 0.0, 1.0) * np.float32(_STEPS) + np.float32(0.5)
    return _ENCODE[index.astype(np.int32)]


def srgb_from_oklab(lab: Floats) -> Floats:
    """Convert OKLab to sRGB on the scale 0..255 (float32), clipped to what sRGB can show."""
    return srgb_from_linear(linear_from_oklab(lab))


def length(vectors: Floats) -> Floats:
    """Return the Euclidean length along the last axis."""
    squares: Floats = np.einsum("...c,...c", vectors, vectors)
    return np.sqrt(squares)


def oklab_of(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """Convert one sRGB colour to OKLab."""
    light, a, b = oklab_from_srgb(np.array(rgb, dtype=np.uint8)).tolist()
    return light, a, b
