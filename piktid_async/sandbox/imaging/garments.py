"""Tell what a cut-out garment is, and where on it shoulders, sleeves and legs are.

By the words that came with it, or else by its outline. Lengths are fractions of the cut-out.
"""

import re
from typing import Literal

import attrs
import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.words import words_of

Kind = Literal["top", "outer", "dress", "trousers", "shorts", "skirt", "shoes", "hat", "bag"]

_WORDS: dict[str, Kind] = {
    "dress": "dress", "gown": "dress", "jumpsuit": "dress", "overall": "dress",
    "skirt": "skirt", "short": "shorts", "bermuda": "shorts",
    "trouser": "trousers", "pant": "trousers", "jean": "trousers", "chino": "trousers",
    "legging": "trousers", "jogger": "trousers", "sweatpant": "trousers",
    "shoe": "shoes", "sneaker": "shoes", "boot": "shoes", "sandal": "shoes", "heel": "shoes",
    "hat": "hat", "cap": "hat", "beanie": "hat", "bag": "bag", "handbag": "bag", "purse": "bag",
    "jacket": "outer", "coat": "outer", "blazer": "outer", "cardigan": "outer", "parka": "outer",
    "shirt": "top", "tee": "top", "tshirt": "top", "top": "top", "blouse": "top",
    "sweater": "top", "jumper": "top", "hoodie": "top", "pullover": "top", "knit": "top",
    "polo": "top", "vest": "top", "sweatshirt": "top",
}  # fmt: skip

_ELSEWHERE = re.compile(r"\b(?:into|in|under|over|with|beneath)\b")
_ROWS = 100


@attrs.frozen(kw_only=True, eq=False)
class Garment:
    """A cut-out with its measures."""

    image: Image.Image
    kind: Kind
    chest: float
    """Width of the body without sleeves."""
    center: float
    """Where its axis lies."""
    shoulder: float
    """Height of the shoulder line."""
    neckline: float
    """Height of the lowest point of the front's upper rim."""
    waist: float
    """Width near the upper rim."""
    sleeve: tuple[float, float] | None
    """Middle of a sleeve's opening: distance from the axis, height."""
    legs: tuple[float, float] | None
    """Middles of the legs' ends, as distances from the axis."""

    @property
    def aspect(self) -> float:
        """Height per width."""
        return self.image.height / self.image.width


def measured(image: Image.Image, *, told: str = "") -> Garment:
    """Measure a cut-out; `told` is whatever text came with it."""
    small = image.getchannel("A").resize((_ROWS, _ROWS), Image.Resampling.BOX)
    mask: Mask = np.asarray(small) > 100
    # "tucked into pants" and "under the jacket" speak of another garment.
    named = words_of(_ELSEWHERE.split(told.lower())[0])
    kind = next((kind for word, kind in _WORDS.items() if word in named), None)
    if kind is None:
        kind = _kind_of(mask, image.height / image.width)
    row = 20 if kind == "dress" else 55
    left, right = _middle_run(mask, row)
    center = (left + right) / 2 if right > left else 0.5
    chest = max(0.12, right - left)
    top_left, top_right = _extent(mask, 5)
    return Garment(
        image=image,
        kind=kind,
        chest=chest,
        center=center if kind in ("top", "outer", "dress") else 0.5,
        shoulder=_shoulder(mask, chest),
        neckline=_neckline(image, center),
        waist=max(0.1, top_right - top_left),
        sleeve=_sleeve(mask, chest, center, low=45 if kind == "dress" else 90),
        legs=_legs(mask) if kind == "trousers" else None,
    )


def _kind_of(mask: Mask, aspect: float) -> Kind:
    """Judge by the outline alone."""
    if aspect < 0.62:
        return "shoes"
    apart = ~mask[72:96, 44:57].any(axis=1)
    if apart.mean() > 0.6:
        return "trousers" if aspect > 1.25 else "shorts"
    widths = np.array(
        [right - left for left, right in (_extent(mask, row) for row in range(_ROWS))]
    )
    upper, waist, hem = widths[8:25].max(), widths[22:50].min(), widths[92:98].max()
    if hem < 0.9 * widths.max() or hem < 1.25 * upper:  # sleeves, or no flare
        return "dress" if aspect > 1.9 else "top"
    return "dress" if waist < 0.95 * upper else "skirt"


def _extent(mask: Mask, row: int) -> tuple[float, float]:
    columns = np.flatnonzero(mask[min(row, _ROWS - 1)])
    if not len(columns):
        return 0.5, 0.5
    return float(columns[0]) / _ROWS, float(columns[-1] + 1) / _ROWS


def _middle_run(mask: Mask, row: int) -> tuple[float, float]:
    """Return the ends of the run of cloth nearest to the middle of a row."""
    line = np.flatnonzero(np.diff(np.pad(mask[row].astype(np.int8), 1)))
    starts, ends = line[::2], line[1::2]
    if not len(starts):
        return 0.5, 0.5
    near = int(np.argmin(np.abs((starts + ends) / 2 - _ROWS / 2)))
    return float(starts[near]) / _ROWS, float(ends[near]) / _ROWS


def _shoulder(mask: Mask, chest: float) -> float:
    """Return the height from which on the garment is nearly as wide as the chest."""
    for row in range(60):
        left, right = _extent(mask, row)
        if right - left >= 0.82 * chest:
            return row / _ROWS
    return 0.0


def _neckline(image: Image.Image, center: float) -> float:
    """Return the height where, from above, the dark inside of the back ends in the middle."""
    box = (max(0.0, center - 0.03), 0.0, min(1.0, center + 0.03), 0.32)
    corner = (box[0] * image.width, 0, box[2] * image.width, box[3] * image.height)
    grey = image.convert("L").resize((1, 64), Image.Resampling.BOX, box=corner)
    light = np.asarray(grey, np.float32)[:, 0]
    cover = image.getchannel("A").resize((1, 64), Image.Resampling.BOX, box=corner)
    covered = np.asarray(cover)[:, 0] > 128
    light = np.where(covered, light, light[int(np.argmax(covered))])
    jumps = [
        float(light[row : row + 5].mean() - light[max(0, row - 4) : row].mean())
        for row in range(4, 58)
    ]
    best = int(np.argmax(jumps))
    return (best + 4) / 64 * 0.32 if jumps[best] > 18 else 0.07


def _sleeve(mask: Mask, chest: float, center: float, *, low: int) -> tuple[float, float] | None:
    """Return where the sleeves end, on the average of both sides."""
    reach = np.zeros(low)
    for row in range(low):
        left, right = _extent(mask, row)
        reach[row] = (right - left) / 2
    farthest = int(np.argmax(reach))
    if reach[farthest] < 0.62 * chest:
        return None
    # The lowest row that still reaches nearly as far out is that of the opening.
    rows = np.flatnonzero(reach > 0.96 * reach[farthest])
    row = int(rows[-1])
    level = max(0, row - 4)  # the opening itself is slanted
    left, right = _extent(mask, level)
    outs = []
    for side, edge in ((-1, round(left * _ROWS)), (1, round(right * _ROWS) - 1)):
        inner = edge
        while 0 <= inner < _ROWS and mask[level, inner]:
            inner -= side
        thick = min(abs(edge - inner) / _ROWS, 0.4 * chest)
        outs.append(abs(edge / _ROWS - center) - thick / 2)
    return sum(outs) / 2, row / _ROWS


def _legs(mask: Mask) -> tuple[float, float] | None:
    line = np.flatnonzero(np.diff(np.pad(mask[93].astype(np.int8), 1)))
    if len(line) < 4:
        return None
    middles = [
        (float(start) + float(end)) / 2 / _ROWS
        for start, end in zip(line[::2], line[1::2], strict=True)
    ]
    return middles[0] - 0.5, middles[-1] - 0.5
