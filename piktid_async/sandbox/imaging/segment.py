"""Find the garment in a product photo.

Two signs tell garment from backdrop, and a pixel must show both: its colour differs from the
backdrop fitted to the border, and no path leads to it from the border without crossing an edge.
The first alone would take soft shadows for garment, the second alone every enclosed patch of
wall. What is found is then split into parts (`parts`), because on a model it is not all garment.
"""

import numpy as np
from PIL import Image, ImageFilter

from piktid_async.sandbox.imaging import filters
from piktid_async.sandbox.imaging.background import Backdrop, fit_backdrop, weighted
from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.parts import choose_garment
from piktid_async.sandbox.imaging.spaces import Floats, oklab_from_srgb

WORK_SIZE = 512
"""Long edge in pixels at which the garment is searched."""

_CALMING = (0.8, 2.0, 3.5)
"""Blur in pixels, tried in turn: a pale garment drowns in a noisy picture's grain."""

_MIN_SHARE = 0.004
_MIN_CONTRAST = 0.02


def find_garment(image: Image.Image, *, label: str | None = None) -> tuple[Mask, Floats]:
    """Return the garment mask and the OKLab picture, both at the working size.

    Raise ImagingError if nothing stands out from the backdrop.
    """
    small = _reduced(image)
    for radius in _CALMING:
        lab = oklab_from_srgb(np.asarray(small.filter(ImageFilter.GaussianBlur(radius))))
        mask = _foreground(lab)
        if mask is not None:
            return choose_garment(lab, mask, label=label or ""), lab
    name = (label or "").strip() or "garment"
    raise ImagingError(f"We couldn't find the {name} in this image")


def _reduced(image: Image.Image) -> Image.Image:
    factor = WORK_SIZE / max(image.size)
    if factor >= 1:
        return image
    width, height = (max(1, round(edge * factor)) for edge in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _foreground(lab: Floats) -> Mask | None:
    """Separate what stands before the backdrop; None if nothing does."""
    if min(lab.shape[:2]) < 16:
        return None
    seen = weighted(lab)
    backdrop = fit_backdrop(seen, _contrast(seen))
    away = np.linalg.norm(seen - backdrop.color, axis=2)
    strong = away > max(_MIN_CONTRAST, 3 * backdrop.noise)
    if strong.mean() < _MIN_SHARE:
        return None
    barrier = _barrier(seen, backdrop)
    shady = _like_shadow(seen, backdrop)
    clear = strong & ~shady
    sure = clear if clear.sum() > 0.25 * strong.sum() else strong
    typical = float(np.median(barrier[sure]))
    if typical < 0.5 * _MIN_CONTRAST:
        return None
    # A white shirt over dark trousers has edges far below the typical one.
    needed = np.where(shady, 0.45 * min(typical, 0.3), min(0.15 * typical, 0.75 * _MIN_CONTRAST))
    floor = max(0.6 * _MIN_CONTRAST, 1.2 * backdrop.noise)
    mask = (barrier > needed) & (away > floor)
    # A fold that fades into the backdrop lets the easy path in; what is plainly of another
    # colour and hangs together with the garment belongs to it all the same.
    plain = ~shady & (away > max(0.03, 4 * backdrop.noise))
    return _tidied(mask | _touching(plain, mask), away, backdrop)


def _touching(plain: Mask, mask: Mask) -> Mask:
    """Return the regions of `plain` that lie mostly in the mask."""
    labels, areas = filters.label_regions(plain)
    shared = np.bincount(labels.ravel(), weights=mask.ravel(), minlength=len(areas))
    keep = shared > 0.5 * areas
    keep[0] = False
    return keep[labels]


def _like_shadow(seen: Floats, backdrop: Backdrop) -> Mask:
    """Tell which pixels could be the backdrop with half or more of its lightness left."""
    left = seen[..., 0] / np.maximum(backdrop.color[..., 0], 0.05)
    expected = backdrop.color[..., 1:] * left[..., None]
    tint = np.linalg.norm(seen[..., 1:] - expected, axis=2)
    like: Mask = (left > 0.5) & (left < 1.0) & (tint < 0.02 + backdrop.noise)
    return like


def _contrast(seen: Floats) -> Floats:
    """Largest colour step from each pixel to its right and lower neighbour."""
    step = np.zeros(seen.shape[:2], np.float32)
    down = np.linalg.norm(seen[1:] - seen[:-1], axis=2)
    right = np.linalg.norm(seen[:, 1:] - seen[:, :-1], axis=2)
    step[:-1] = down
    step[:, :-1] = np.maximum(step[:, :-1], right)
    return step


def _barrier(seen: Floats, backdrop: Backdrop) -> Floats:
    """Height of edges on the easiest path from the border to each pixel.

    Steps within the grain are free, so a soft shadow costs nothing. Sweeping whole rows and
    columns to and fro settles after a few rounds, whatever bends the paths have.
    """
    down = np.linalg.norm(seen[1:] - seen[:-1], axis=2)
    right = np.linalg.norm(seen[:, 1:] - seen[:, :-1], axis=2)
    down[down < backdrop.grain] = 0
    right[right < backdrop.grain] = 0
    cost = np.where(backdrop.border, np.float32(0), np.float32(1e3))
    for _ in range(6):
        before = cost.copy()
        _sweep(cost, down)
        _sweep(cost.T, right.T)
        if np.array_equal(before, cost):
            break
    return cost


def _sweep(cost: Floats, step: Floats) -> None:
    for row in range(1, len(cost)):
        np.minimum(cost[row], cost[row - 1] + step[row - 1], out=cost[row])
    for row in range(len(cost) - 2, -1, -1):
        np.minimum(cost[row], cost[row + 1] + step[row], out=cost[row])


def _tidied(mask: Mask, away: Floats, backdrop: Backdrop) -> Mask | None:
    """Bridge cracks, drop specks, keep the large regions and fill their holes."""
    mask = filters.opened(filters.closed(mask, radius=3), radius=1)
    mask = filters.large_regions(mask, share=0.12)
    if mask.mean() < _MIN_SHARE:
        return None
    holes = ~mask & ~filters.outside_of(mask)
    labels, areas = filters.label_regions(holes)
    total = np.bincount(labels.ravel(), weights=away.ravel())
    # A big hole that looks just like the backdrop is one: the gap between arm and body.
    open_hole = (total / np.maximum(areas, 1) < 2.0 * backdrop.noise) & (areas > 0.004 * mask.size)
    open_hole[0] = True
    return _evened(mask | ~open_hole[labels])


def _evened(mask: Mask) -> Mask:
    """Straighten a ragged outline."""
    smooth: Mask = filters.blur(mask.astype(np.float32), radius=2) > 0.5
    return smooth
