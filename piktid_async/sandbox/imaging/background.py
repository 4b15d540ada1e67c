"""Model a plain, softly lit backdrop from the border of the picture."""

import attrs
import numpy as np

from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.spaces import Floats, length

CHROMA_WEIGHT = np.float32(2.0)
"""OKLab steps in a and b look about twice as large as the same step in L."""

_SKIP = 3
"""Of the border's pixels every third is plenty for six coefficients."""


@attrs.frozen(eq=False)
class Backdrop:
    """The backdrop as it would look without the garment."""

    color: Floats
    """Weighted OKLab (see `weighted`) per pixel."""
    noise: float
    """Typical deviation of backdrop pixels from `color`."""
    grain: float
    """Step between neighbours that is still nothing but grain."""
    border: Mask
    """Border pixels that show the backdrop."""


def weighted(lab: Floats) -> Floats:
    """Scale OKLab so that plain Euclidean distance follows the eye."""
    return lab * np.array([1, CHROMA_WEIGHT, CHROMA_WEIGHT], np.float32)


def fit_backdrop(lab: Floats, step: Floats) -> Backdrop:
    """Fit a quadratic surface to the border, ignoring what sticks out (a cropped garment).

    `lab` is weighted OKLab, `step` the local contrast of each pixel.
    """
    rows, columns = lab.shape[:2]
    band = max(2, round(0.02 * max(rows, columns)))
    border = np.ones((rows, columns), np.bool_)
    border[band : rows - band, band : columns - band] = False
    terms = _terms(rows, columns)
    known, seen = terms[border][::_SKIP], lab[border][::_SKIP]
    weight = np.ones(len(seen), np.float32)
    fitted, noise = seen, 0.1
    for turn in range(8):
        # The first turn starts from the median: a least-squares start leans to the garment.
        fitted = _solve(known, seen, weight) if turn else _median(known, seen)
        miss = length(seen - known @ fitted)
        noise = max(0.006, 1.5 * float(np.median(miss)))
        weight = np.clip(1 - (miss / (4 * noise)) ** 2, 0, 1) ** 2
    color = (terms.reshape(-1, terms.shape[-1]) @ fitted).reshape(lab.shape)
    shown = border & (length(lab - color) < 3 * noise)
    grain = float(np.percentile(step[shown], 90)) if shown.any() else 0.0
    return Backdrop(color, noise, max(0.004, 1.3 * grain), shown)


def _terms(rows: int, columns: int) -> Floats:
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1).astype(np.float32)


def _median(known: Floats, seen: Floats) -> Floats:
    start = np.zeros((known.shape[1], seen.shape[1]), np.float32)
    start[0] = np.median(seen, axis=0)
    return start


def _solve(known: Floats, seen: Floats, weight: Floats) -> Floats:
    heavy = known * weight[:, None]
    ridge = np.eye(known.shape[1], dtype=np.float32) * np.float32(1e-3 * max(1.0, weight.sum()))
    ridge[0, 0] = 1e-6
    solution: Floats = np.linalg.solve(heavy.T @ known + ridge, heavy.T @ seen)
    return solution
