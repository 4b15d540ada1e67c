"""Read the dominant colour of a reference picture."""

import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging import filters
from piktid_async.sandbox.imaging.colors import Lab
from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.spaces import Floats, oklab_from_srgb

_EDGE = 128


def dominant_color(image: Image.Image) -> Lab:
    """Find the colour most of the swatch has, leaving out a plain white or black surround."""
    small = image.copy()
    small.thumbnail((_EDGE, _EDGE), Image.Resampling.BOX)
    lab = oklab_from_srgb(np.asarray(small))
    inside = ~_surround(lab)
    if inside.mean() < 0.02:
        inside = np.ones_like(inside)
    pixels = lab[inside]
    center = _densest(pixels)
    for _ in range(4):
        near = np.linalg.norm((pixels - center) * (0.5, 1, 1), axis=1) < 0.09
        center = pixels[near].mean(axis=0)
    light, a, b = center.tolist()
    return light, a, b


def _surround(lab: Floats) -> Mask:
    """Tell which pixels are nearly white or black and reach the border over such pixels."""
    grey = np.hypot(lab[..., 1], lab[..., 2]) < 0.02
    white = outside(grey & (lab[..., 0] > 0.96))
    black = outside(grey & (lab[..., 0] < 0.12))
    return white | black


def outside(plain: Mask) -> Mask:
    """Limit a mask to what is connected with the border of the picture."""
    return filters.outside_of(~plain) & plain


def _densest(pixels: Floats) -> Floats:
    """Return the mean of the fullest cell of a coarse colour grid."""
    cell = np.floor(pixels * (12, 24, 24) + (0, 12, 12)).astype(np.int64)
    key = cell @ np.array([10_000, 100, 1])
    values, counts = np.unique(key, return_counts=True)
    fullest: Floats = pixels[key == values[np.argmax(counts)]].mean(axis=0)
    return fullest
