"""Tell the garment from skin, hair and other garments in what stands before the backdrop.

The colours are grouped, groups that pass into each other without an edge (light and shaded
cloth) are joined, and the parts so found are judged by colour, place and size.
"""

import attrs
import numpy as np
import numpy.typing as npt

from piktid_async.sandbox.imaging import filters
from piktid_async.sandbox.imaging.background import weighted
from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.spaces import Floats, length

_GROUPS = 7
_SOFT_STEP = 0.075
"""Weighted OKLab step over two pixels below which two groups shade into each other."""

_SAME_TINT = 0.11
"""Difference in weighted chroma per lightness up to which two groups can be one cloth."""

_UPPER = frozenset(
    [
        "blazer", "blouse", "cardigan", "coat", "hoodie", "jacket", "jersey", "jumper", "polo",
        "pullover", "shirt", "sweater", "sweatshirt", "t-shirt", "tee", "top", "tshirt", "vest",
    ]
)  # fmt: skip
_LOWER = frozenset(
    [
        "bottoms", "chinos", "jeans", "leggings", "pants", "shorts", "skirt", "trousers",
    ]
)  # fmt: skip
_HEAD = frozenset(
    [
        "beanie", "cap", "hat", "scarf",
    ]
)  # fmt: skip


@attrs.frozen(eq=False)
class _Group:
    """Pixels of one colour among the foreground."""

    mask: Mask
    share: float
    """Part of the foreground."""
    color: tuple[float, float, float]
    """Median OKLab."""
    middle: float
    """Mean height in the foreground's frame: 0 top, 1 bottom."""

    @property
    def skin(self) -> bool:
        """Tell whether skin has such a colour: orange, muted, neither black nor white."""
        light, a, b = self.color
        hue, chroma = np.degrees(np.arctan2(b, a)), np.hypot(a, b)
        return 0.3 < light < 0.92 and bool(25 < hue < 80) and bool(0.03 < chroma < 0.13)


def choose_garment(lab: Floats, mask: Mask, *, label: str) -> Mask:
    """Return the part of the mask that is the garment, with the label's help if it has any.

    Without skin in sight everything is garment, save small parts of another colour.
    """
    groups = _groups(lab, mask)
    if len(groups) < 2:
        return mask
    skin = [group for group in groups if group.skin and group.share > 0.02]
    cloth = [group for group in groups if not group.skin]
    if not skin or sum(group.share for group in skin) > 0.7 or not cloth:
        return _without(mask, groups)
    frame = np.flatnonzero(mask.any(axis=1))
    pieces = [piece for group in cloth for piece in _split(group, frame)]
    if not pieces:
        return mask
    face = min(_top(part) for part in skin)
    best = max(pieces, key=lambda piece: _fitness(piece, face, label))
    # Black hair and black trousers are one colour: only pieces of the same kind go along.
    chosen = np.zeros_like(mask)
    for piece in pieces:
        if piece.color == best.color and _hair(piece, face) == _hair(best, face):
            chosen |= piece.mask
    chosen = filters.large_regions(filters.closed(chosen, radius=2) & mask, share=0.06)
    return chosen if chosen.any() else mask


def _split(group: _Group, frame: npt.NDArray[np.int64]) -> list[_Group]:
    """Take a group apart into its connected regions, without crumbs."""
    labels, areas = filters.label_regions(filters.opened(group.mask, radius=1))
    found = []
    for number in np.flatnonzero(areas > 0.02 * group.mask.sum()).tolist():
        if number:
            part = labels == number
            share = group.share * float(areas[number]) / float(group.mask.sum())
            found.append(attrs.evolve(group, mask=part, share=share, middle=_middle(part, frame)))
    return found


def _middle(part: Mask, frame: npt.NDArray[np.int64]) -> float:
    return float((np.nonzero(part)[0].mean() - frame[0]) / len(frame))


def _without(mask: Mask, groups: list[_Group]) -> Mask:
    """Leave out parts of another colour, unless so large that they make a pattern."""
    main = max(groups, key=lambda group: group.share)
    others = [group for group in groups if group is not main]
    if sum(group.share for group in others) > 0.3:
        return mask
    kept = mask.copy()
    for group in others:
        a, b = group.color[1] - main.color[1], group.color[2] - main.color[2]
        if np.hypot(a, b) > 0.06:
            kept &= ~filters.opened(group.mask, radius=2)
    return kept


def _fitness(piece: _Group, face: float, label: str) -> float:
    words = set(label.lower().replace("_", " ").split())
    score = piece.share
    if not words & _HEAD and _hair(piece, face):
        score *= 0.3
    if words & _UPPER:
        score *= 1.5 - piece.middle
    elif words & _LOWER:
        score *= 0.4 + piece.middle
    elif words & _HEAD:
        score *= 1.2 - piece.middle
    else:
        score *= 1.3 - 0.6 * piece.middle  # unnamed, people mean what draws the eye: the top
    return score


def _hair(piece: _Group, face: float) -> bool:
    """Tell hair: darkish, and reaching higher than the face does."""
    return _top(piece) < face + 0.02 and piece.color[0] < 0.55


def _top(group: _Group) -> float:
    """Height above which a twentieth of the group lies, in the picture's frame."""
    rows = np.cumsum(group.mask.sum(axis=1))
    return float(np.searchsorted(rows, 0.05 * rows[-1]) / len(rows))


def _groups(lab: Floats, mask: Mask) -> list[_Group]:
    """Split the foreground into parts of one colour each, largest first."""
    inner = filters.erode(mask, radius=2)
    if inner.sum() < 200:
        return []
    seen = weighted(lab)
    centers = _cluster(seen[inner][:: max(1, int(inner.sum()) // 5000)])
    nearest = _nearest(seen, centers)
    joined = _joined(seen, nearest, inner, centers)
    rows = np.flatnonzero(mask.any(axis=1))
    found = []
    for number in set(joined.tolist()):
        part = (joined[nearest] == number) & mask
        if (part & inner).sum() < 30:
            continue
        light, a, b = np.median(lab[part & inner], axis=0).tolist()
        share = float(part.sum() / mask.sum())
        found.append(_Group(part, share, (light, a, b), _middle(part, rows)))
    return sorted(found, key=lambda group: -group.share)


def _cluster(pixels: Floats) -> Floats:
    """Group colours (k-means, started from the colours farthest from each other)."""
    centers: Floats = pixels.mean(axis=0)[None]
    far = np.square(pixels - centers[0]).sum(axis=1)
    for _ in range(_GROUPS - 1):
        centers = np.concatenate([centers, pixels[np.argmax(far)][None]])
        far = np.minimum(far, np.square(pixels - centers[-1]).sum(axis=1))
    for _ in range(10):
        owner = _nearest(pixels, centers)
        held = np.bincount(owner, minlength=len(centers))
        sums = [np.bincount(owner, pixels[:, axis], len(centers)) for axis in range(3)]
        moved = np.stack(sums, axis=1) / np.maximum(held, 1)[:, None]
        centers = np.where(held[:, None] > 0, moved, centers).astype(np.float32)
    return centers


def _nearest(pixels: Floats, centers: Floats) -> npt.NDArray[np.int32]:
    """Return the number of the nearest centre for each colour along the last axis."""
    half = np.float32(0.5) * np.einsum("nc,nc->n", centers, centers)
    nearest: npt.NDArray[np.int32] = np.argmin(half - pixels @ centers.T, axis=-1).astype(np.int32)
    return nearest


def _joined(
    seen: Floats, nearest: npt.NDArray[np.int32], inner: Mask, centers: Floats
) -> npt.NDArray[np.int64]:
    """Unite groups whose common borders are mostly soft; return the united number of each."""
    count = len(centers)
    number = np.arange(count)
    # Shading scales all of OKLab, so chroma is compared per lightness.
    tint = centers[:, 1:] / np.maximum(centers[:, :1], 0.25)
    tint_gap = np.linalg.norm(tint[:, None] - tint[None], axis=2)
    total, steps = np.zeros((count, count)), np.zeros((count, count))
    for axis in (0, 1):
        one, two = (_shifted(axis, 0), _shifted(axis, 2))
        both = inner[one] & inner[two] & (nearest[one] != nearest[two])
        size = length(seen[one][both] - seen[two][both])
        pairs = (nearest[one][both], nearest[two][both])
        np.add.at(total, pairs, np.minimum(size, 0.3))
        np.add.at(steps, pairs, 1)
    total, steps = total + total.T, steps + steps.T
    for one_, two_ in np.argwhere(np.triu(steps) > 12).tolist():
        alike = tint_gap[one_, two_] < _SAME_TINT / 3
        soft = total[one_, two_] / steps[one_, two_] < (1.6 if alike else 1) * _SOFT_STEP
        if soft and tint_gap[one_, two_] < _SAME_TINT:
            number[number == number[two_]] = number[one_]
    return number


def _shifted(axis: int, by: int) -> tuple[slice, slice]:
    cut = slice(by, None) if by else slice(None, -2)
    return (cut, slice(None)) if axis == 0 else (slice(None), cut)
