"""How a dyed cloth looks: the target colour under the light the old cloth was in."""

import math

import attrs
import numpy as np

from piktid_async.sandbox.imaging.colors import Lab
from piktid_async.sandbox.imaging.spaces import Floats, linear_from_oklab

_DARKEST, _LIGHTEST = 0.2, 0.945
"""Lightness range of cloth in photos: pure white and black would leave no room for folds."""

_WANTED_RELIEF = 0.085
"""Spread of lightness (median to 10th percentile) that shows folds well on a light cloth."""


@attrs.frozen
class Dye:
    """A curve from old lightness to new, and the target's chroma along it."""

    old: float
    new: float
    gain: float
    a: float
    b: float

    def lightness(self, light: Floats) -> Floats:
        """Move the cloth's own lightness to the target's, keeping steps around it in scale."""
        step = (light - np.float32(self.old)) * np.float32(self.gain)
        up, down = np.float32(0.995 - self.new), np.float32(self.new - 0.02)
        room = np.where(step > 0, up, down)
        moved: Floats = np.float32(self.new) + room * np.tanh(step / room)
        return moved

    def colors(self, lab: Floats, usual: Floats) -> Floats:
        """Dye OKLab pixels; `usual` is the old cloth's chroma there (a, b at its lightness).

        A part of each pixel's own departure from the usual stays: yarn, warm and cool light.
        """
        light = self.lightness(lab[..., 0])
        fall = np.minimum(light / np.float32(self.new), 1)
        shine = np.clip((light - np.float32(self.new)) / np.float32(1.0 - self.new), 0, 1)
        scale = fall * (1 - np.float32(0.55) * shine)
        own = np.float32(0.35) * (lab[..., 1:] - usual)
        limit = np.float32(0.012)
        chroma = scale[..., None] * np.array([self.a, self.b], np.float32)
        chroma = chroma + limit * np.tanh(own / limit)
        return np.concatenate([light[..., None], chroma], axis=-1)


def prepare_dye(target: Lab, *, low: float, middle: float, high: float) -> Dye:
    """Choose the curve for a cloth whose lightness has these 10th, 50th, 90th percentiles."""
    light, a, b = target
    new = min(_LIGHTEST, max(_DARKEST, light))
    scale = new / light if light > 0.01 else 1.0
    a, b = _shown(new, a * min(1.0, scale), b * min(1.0, scale))
    relief = max(0.02, middle - low, 0.6 * (high - low))
    physical = new / max(middle, 0.08)
    wanted = _WANTED_RELIEF * (0.55 + 0.45 * new) / relief
    gain = math.sqrt(physical * wanted) if physical > 1 else max(physical**0.6, 0.5)
    return Dye(old=middle, new=new, gain=min(2.0, max(0.45, gain)), a=a, b=b)


def varied(target: Lab, *, variation: int) -> Lab:
    """Shift a target a little: 0 leaves it, every other number gives another near shade."""
    if variation == 0:
        return target
    light, a, b = target
    light = min(_LIGHTEST, max(_DARKEST, light))
    if _DARKEST + 0.07 < light < _LIGHTEST - 0.07:
        light += (0.022 + 0.013 * ((variation - 1) // 2 % 4)) * (-1 if variation % 2 else 1)
    else:
        light += (0.02 + 0.01 * ((variation - 1) % 8)) * (-1 if light > 0.5 else 1)
    angle = 2.4 * variation  # the golden angle: neighbours in number are far apart in shade
    chroma, hue = math.hypot(a, b), math.atan2(b, a)
    hue += 0.12 * math.sin(angle)
    chroma *= 1 + 0.12 * math.cos(1.7 * angle)
    # Near-grey targets have no hue to turn: tint them faintly instead.
    tint = 0.006 * math.sin(angle)
    return light, chroma * math.cos(hue) + tint / 2, chroma * math.sin(hue) + tint


def _shown(light: float, a: float, b: float) -> tuple[float, float]:
    """Reduce chroma until sRGB can show the colour, keeping hue and lightness."""
    scales = np.linspace(1, 0, 65, dtype=np.float32)
    tried = np.stack([np.full_like(scales, light), a * scales, b * scales], axis=-1)
    rgb = linear_from_oklab(tried)
    fits = np.all((rgb > -0.003) & (rgb < 1.003), axis=-1)
    best = float(scales[int(np.argmax(fits))]) if fits.any() else 0.0
    return a * best, b * best
