"""Find the garment in a product photo.

A pixel is garment if its colour differs from the backdrop fitted to the border, and it cannot be
explained by light: either it is no darker shade of the backdrop and lies in a region with a sharp
outline, or no path leads to it from the border without crossing an edge. What is found is then
split into parts (`parts`), because on a model it is not all garment.
"""

import numpy as np
from PIL import Image, ImageFilter

from piktid_async.sandbox.imaging import filters
from piktid_async.sandbox.imaging.background import Backdrop, fit_backdrop, weighted
from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.parts import choose_garment
from piktid_async.sandbox.imaging.spaces import Floats, length, oklab_from_srgb

WORK_SIZE = 512
"""Long edge in pixels at which the garment is searched."""

_CALMING = (0.8, 2.0, 3.5)
"""Blur in pixels, tried in turn: a pale garment drowns in a noisy picture's grain."""

_MIN_SHARE = 0.004
_MIN_CONTRAST = 0.02
_SHARP = 1.3


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
    away = length(seen - backdrop.color)
    limit = max(_MIN_CONTRAST, 3 * backdrop.noise)
    strong = away > limit
    if strong.mean() < _MIN_SHARE:
        return None
    shady = _like_shadow(seen, backdrop)
    clear = strong & (~shady | _like_most(strong, shady, away))
    plain = _sharp_regions(clear, away, limit=limit)
    barrier = _barrier(seen, backdrop)
    typical = float(np.median(barrier[plain if plain.any() else strong]))
    if not plain.any() and typical < 0.5 * _MIN_CONTRAST:
        return None
    needed = max(_MIN_CONTRAST, 0.45 * min(typical, 0.3))
    return _tidied(plain | (strong & (barrier > needed)), away, backdrop)


def _like_most(strong: Mask, shady: Mask, away: Floats) -> Mask:
    """For a grey garment on a white wall, tell its body from its shadow by depth alone."""
    body = filters.erode(strong, radius=3)
    if not body.any() or shady[body].mean() < 0.5:
        return np.zeros_like(strong)
    deep: Mask = away > 0.55 * np.median(away[body])
    return deep


def _sharp_regions(clear: Mask, away: Floats, *, limit: float) -> Mask:
    """Keep regions that stand out well at once behind their outline, unlike a glow of light."""
    clear = filters.closed(clear, radius=2)
    labels, areas = filters.label_regions(clear)
    rim = filters.erode(clear, radius=2) & ~filters.erode(clear, radius=5)
    count = np.bincount(labels[rim], minlength=len(areas))
    total = np.bincount(labels[rim], weights=away[rim], minlength=len(areas))
    keep = (count > 20) & (total > _SHARP * limit * count)
    keep[0] = False
    return keep[labels]


def _like_shadow(seen: Floats, backdrop: Backdrop) -> Mask:
    """Tell which pixels could be the backdrop with half or more of its lightness left."""
    left = (seen[..., 0] / np.maximum(backdrop.color[..., 0], 0.05)).astype(np.float32)
    expected: Floats = backdrop.color[..., 1:] * left[..., None]
    tint = length(seen[..., 1:] - expected)
    like: Mask = (left > 0.5) & (left < 1.0) & (tint < 0.02 + backdrop.noise)
    return like


def _contrast(seen: Floats) -> Floats:
    """Largest colour step from each pixel to its right and lower neighbour."""
    step = np.zeros(seen.shape[:2], np.float32)
    down = length(seen[1:] - seen[:-1])
    right = length(seen[:, 1:] - seen[:, :-1])
    step[:-1] = down
    step[:, :-1] = np.maximum(step[:, :-1], right)
    return step


def _barrier(seen: Floats, backdrop: Backdrop) -> Floats:
    """Height of edges on the easiest path from the border to each pixel.

    Steps within the grain are free, so a soft shadow costs nothing. Sweeping whole rows and
    columns to and fro settles after a few rounds, whatever bends the paths have.
    """
    down = length(seen[1:] - seen[:-1])
    right = length(seen[:, 1:] - seen[:, :-1])
    down[down < backdrop.grain] = 0
    right[right < backdrop.grain] = 0
    right = np.ascontiguousarray(right.T)
    cost = np.where(backdrop.border, np.float32(0), np.float32(1e3))
    for _ in range(6):
        before = cost.copy()
        _sweep(cost, down)
        turned = np.ascontiguousarray(cost.T)  # whole rows at a time are much faster
        _sweep(turned, right)
        cost = np.ascontiguousarray(turned.T)
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
