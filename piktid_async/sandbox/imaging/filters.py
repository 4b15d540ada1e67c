"""Blur, morphology and connected regions on small masks, in numpy alone.

All of it runs on the reduced picture (about 512 pixels along the long edge), so plain
whole-array passes are fast enough.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from piktid_async.sandbox.imaging.spaces import Floats

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]


def _box(values: Floats, *, radius: int, axis: int) -> Floats:
    pad = [(0, 0)] * values.ndim
    pad[axis] = (radius, radius)
    wide = np.moveaxis(np.pad(values, pad, mode="edge"), axis, 0)
    size = values.shape[axis]
    total = wide[:size].copy()
    for shift in range(1, 2 * radius + 1):
        total += wide[shift : shift + size]
    total /= np.float32(2 * radius + 1)
    return np.moveaxis(total, 0, axis)


def blur(values: Floats, *, radius: int) -> Floats:
    """Blur the first two axes with a tent-like kernel reaching 2 * radius pixels.

    The cost grows with the radius; for wide blurs reduce the picture first.
    """
    if radius < 1:
        return values
    for axis in (0, 1, 0, 1):
        values = _box(values, radius=radius, axis=axis)
    return values


def spread(values: Floats, weight: Floats, *, radius: int) -> Floats:
    """Average values near each pixel, counting only those with weight.

    Where no weight is in reach the picture-wide weighted mean is given.
    """
    weight = weight[..., None] if values.ndim == 3 else weight
    total = weight.sum() + np.float32(1e-6)
    mean = (values * weight).sum(axis=(0, 1)) / total
    near = blur(weight, radius=radius) + np.float32(1e-5)
    trust = near / (near + np.float32(1e-3))
    local = blur(values * weight, radius=radius) / near
    mixed: Floats = trust * local + (1 - trust) * mean
    return mixed


def spread_wide(values: Floats, weight: Floats, *, radius: int) -> Floats:
    """Do what `spread` does for a large radius, at a quarter of the size."""
    weight = weight[..., None]
    sums, counts = _quartered(values * weight), _quartered(weight)
    means = (sums / np.maximum(counts, 1e-6)).astype(np.float32)
    small = spread(means, counts[..., 0], radius=max(1, radius // 4))
    size = (values.shape[1], values.shape[0])
    frame = (0, 0, size[0] / 4, size[1] / 4)
    layers = [Image.fromarray(np.ascontiguousarray(layer)) for layer in np.moveaxis(small, -1, 0)]
    grown = [layer.resize(size, Image.Resampling.BILINEAR, box=frame) for layer in layers]
    return np.stack([np.asarray(layer, np.float32) for layer in grown], axis=-1)


def _quartered(values: Floats) -> Floats:
    """Average blocks of four by four pixels."""
    rows, columns = -values.shape[0] % 4, -values.shape[1] % 4
    full = np.pad(values, ((0, rows), (0, columns), (0, 0)))
    height, width, channels = full.shape
    blocks: Floats = full.reshape(height // 4, 4, width // 4, 4, channels).mean(axis=(1, 3))
    return blocks


def dilate(mask: Mask, *, radius: int) -> Mask:
    """Grow a mask by radius pixels (octagon)."""
    for step in range(radius):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        if step % 2:
            grown[1:, 1:] |= mask[:-1, :-1]
            grown[1:, :-1] |= mask[:-1, 1:]
            grown[:-1, 1:] |= mask[1:, :-1]
            grown[:-1, :-1] |= mask[1:, 1:]
        mask = grown
    return mask


def erode(mask: Mask, *, radius: int) -> Mask:
    """Shrink a mask by radius pixels; beyond the picture counts as inside."""
    return ~dilate(~mask, radius=radius)


def opened(mask: Mask, *, radius: int) -> Mask:
    """Drop specks and hairs thinner than twice the radius."""
    return dilate(erode(mask, radius=radius), radius=radius)


def closed(mask: Mask, *, radius: int) -> Mask:
    """Bridge gaps narrower than twice the radius."""
    return erode(dilate(mask, radius=radius), radius=radius)


def label_regions(mask: Mask) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Give the 4-connected regions of a mask numbers from 1; 0 is outside.

    Return the label picture and the area of each label (index 0: everything outside).
    """
    rows, columns = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8).ravel())
    starts = np.flatnonzero(edges == 1)
    ends = np.flatnonzero(edges == -1)
    if not len(starts):
        return np.zeros(mask.shape, np.int32), np.array([mask.size], np.int64)
    # Positions are in rows of columns + 2 cells; adding one row moves a run down by that much.
    pitch = columns + 2
    first = np.searchsorted(ends, starts + pitch, side="right")
    last = np.searchsorted(starts, ends + pitch, side="left")
    parent = _joined(first, last)
    roots, run_label = np.unique(parent, return_inverse=True)
    flat = np.zeros(rows * pitch + 1, np.int32)
    flat[starts] = run_label + 1
    flat[ends] -= (run_label + 1).astype(np.int32)
    labels = np.cumsum(flat[:-1], dtype=np.int32).reshape(rows, pitch)[:, :columns]
    return labels, np.bincount(labels.ravel(), minlength=len(roots) + 1)


def _joined(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Unite each run with the runs first..last-1 of the next row; return the root of each."""
    parent = list(range(len(first)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    for run, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for other in range(low, high):
            one, two = root(run), root(other)
            parent[max(one, two)] = min(one, two)
    return np.array([root(run) for run in range(len(parent))], np.int64)


def large_regions(mask: Mask, *, share: float) -> Mask:
    """Keep the regions that have at least this share of the largest one's area."""
    labels, areas = label_regions(mask)
    areas[0] = 0
    keep = areas >= max(1.0, share * float(areas.max()))
    keep[0] = False
    return keep[labels]


def outside_of(mask: Mask) -> Mask:
    """Tell which pixels off the mask reach the border of the picture without crossing it."""
    labels, areas = label_regions(np.pad(~mask, 1, constant_values=True))
    reach = np.zeros(len(areas), np.bool_)
    reach[labels[0, 0]] = True
    return reach[labels][1:-1, 1:-1]
