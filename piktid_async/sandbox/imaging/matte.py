"""Carry the small garment mask to full size with edges as sharp as the photo's own.

Near the outline a pixel mixes cloth and what lies behind it. Both pure colours are taken from
close by, so the share of cloth follows from the pixel itself (as in blue-screen work), and the
old cloth's part of the mixture can be exchanged without leaving a fringe.
"""

from collections.abc import Iterator

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image

from piktid_async.sandbox.imaging import filters
from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.spaces import Bytes, Floats

_ROWS = 256
_CLEAR_CONTRAST = np.float32(60.0)
"""Contrast (0..255 scale) of cloth and backdrop from which a pixel's colour is believed."""


@attrs.frozen(eq=False)
class Patch:
    """A band of rows of the full-size picture, cut to the garment's columns."""

    where: tuple[slice, slice]
    share: Floats
    """How much of each pixel is cloth, 0..1."""
    core: Floats
    """How surely each pixel lies within the outline, 0..1."""
    cloth: Bytes
    """The picture with the backdrop's part replaced by nearby cloth, sRGB."""
    fields: Floats
    """The caller's own small pictures at this place, one per channel."""


@attrs.frozen(eq=False)
class Matte:
    """What is known about the outline, at the working size."""

    layers: Floats
    """Channels: soft mask, surely cloth, maybe cloth, cloth RGB, backdrop RGB."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of all that may be cloth."""


def prepare_matte(small: Bytes, mask: Mask) -> Matte:
    """Gather cloth and backdrop colours along the outline of the mask."""
    inner = filters.erode(mask, radius=2)
    outer = filters.dilate(mask, radius=2)
    rgb = small.astype(np.float32)
    cloth = filters.spread(rgb, inner.astype(np.float32), radius=3)
    behind = filters.spread(rgb, (~outer).astype(np.float32), radius=3)
    edges = [filters.blur(area.astype(np.float32), radius=1) for area in (mask, inner, outer)]
    rows = np.flatnonzero(outer.any(axis=1))
    columns = np.flatnonzero(outer.any(axis=0))
    box = (
        max(0, int(columns[0]) - 2),
        max(0, int(rows[0]) - 2),
        min(mask.shape[1], int(columns[-1]) + 3),
        min(mask.shape[0], int(rows[-1]) + 3),
    )
    return Matte(np.concatenate([np.stack(edges, axis=-1), cloth, behind], axis=-1), box)


def patches(picture: Bytes, matte: Matte, fields: Floats) -> Iterator[Patch]:
    """Walk over the garment at full size, a band of rows at a time to bound memory."""
    height, width = picture.shape[:2]
    small_height, small_width = matte.layers.shape[:2]
    across, along = width / small_width, height / small_height
    left, right = int(matte.box[0] * across), min(width, round(matte.box[2] * across))
    top, bottom = int(matte.box[1] * along), min(height, round(matte.box[3] * along))
    channels = [
        Image.fromarray(np.ascontiguousarray(layer))
        for source in (matte.layers, fields)
        for layer in np.moveaxis(source, -1, 0)
    ]
    for start in range(top, bottom, _ROWS):
        end = min(bottom, start + _ROWS)
        frame = (left / across, start / along, right / across, end / along)
        size = (right - left, end - start)
        grown = [
            np.asarray(channel.resize(size, Image.Resampling.BILINEAR, box=frame))
            for channel in channels
        ]
        where = (slice(start, end), slice(left, right))
        yield _patch(picture[where], grown, where)


def _patch(seen: Bytes, grown: list[npt.NDArray[np.float32]], where: tuple[slice, slice]) -> Patch:
    soft, inner, outer = grown[:3]
    cloth, behind = np.stack(grown[3:6], axis=-1), np.stack(grown[6:9], axis=-1)
    axis = cloth - behind
    contrast = np.einsum("...c,...c", axis, axis)
    along = np.einsum("...c,...c", seen.astype(np.float32) - behind, axis) / (contrast + 1)
    trust = contrast**2 / (contrast**2 + _CLEAR_CONTRAST**4)
    by_color = np.clip((along - np.float32(0.06)) / np.float32(0.8), 0, 1)
    by_place = np.clip((soft - np.float32(0.25)) * 2, 0, 1)
    # Against a backdrop like itself, shaded cloth passes for backdrop, but not the reverse.
    share = by_color + (1 - trust) * np.maximum(0, by_place - by_color)
    core = np.clip(2 * inner - np.float32(0.5), 0, 1)
    share = np.maximum(share, core)
    share = np.minimum(share, np.clip(2 * outer - 0.5, 0, 1))
    filled = seen + (1 - share)[..., None] * axis
    pure = np.clip(filled + np.float32(0.5), 0, 255).astype(np.uint8)
    return Patch(where, share, core, pure, np.stack(grown[9:], axis=-1))
