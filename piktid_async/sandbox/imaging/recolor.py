"""Recolour the garment of one photo."""

import attrs
import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging import filters
from piktid_async.sandbox.imaging.colors import Lab, color_from_hash, parse_color
from piktid_async.sandbox.imaging.dye import Dye, prepare_dye, varied
from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.filters import Mask
from piktid_async.sandbox.imaging.io import read_image, write_jpeg
from piktid_async.sandbox.imaging.mark import stamp
from piktid_async.sandbox.imaging.matte import Patch, patches, prepare_matte
from piktid_async.sandbox.imaging.segment import find_garment
from piktid_async.sandbox.imaging.spaces import Bytes, Floats, oklab_from_srgb, srgb_from_oklab
from piktid_async.sandbox.imaging.swatch import dominant_color

THUMBNAIL = 256
"""Long edge of thumbnails in pixels."""


@attrs.frozen
class Rendered:
    """One finished picture."""

    full: bytes
    """JPEG at the asked size."""
    thumbnail: bytes
    """JPEG with a long edge of 256 pixels."""
    width: int
    """Pixels of `full`."""
    height: int
    """Pixels of `full`."""


def recolor(
    source: bytes,
    *,
    reference_text: str | None = None,
    reference_image: bytes | None = None,
    instruction: str | None = None,
    garment_label: str | None = None,
    size: int,
    variation: int = 0,
    watermark: bool = False,
) -> Rendered:
    """Recolour the garment in a JPEG, PNG or WEBP towards a text, swatch or instruction.

    `size` is the long edge of the result in pixels. `variation` 0 is the exact target, others
    are near shades of it. Raise ImagingError if a picture cannot be read, no target is given,
    or no garment is found.
    """
    target = find_target(reference_text, reference_image, instruction)
    image = read_image(source, size=size)
    mask, lab = find_garment(image, label=garment_label)
    image = dyed(image, mask, lab, varied(target, variation=variation))
    if watermark:
        image = stamp(image)
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return Rendered(
        full=write_jpeg(image, quality=93),
        thumbnail=write_jpeg(small, quality=85),
        width=image.width,
        height=image.height,
    )


def find_target(
    reference_text: str | None, reference_image: bytes | None, instruction: str | None
) -> Lab:
    """Settle the target colour: text, then swatch, then instruction, then a hash of the words."""
    if reference_text and (color := parse_color(reference_text)):
        return color
    if reference_image is not None:
        return dominant_color(read_image(reference_image, size=256))
    if instruction and (color := parse_color(instruction)):
        return color
    words = (reference_text or instruction or "").strip()
    if not words:
        raise ImagingError(
            "No recolor target: provide at least one of reference_image, reference_text, "
            "instruction"
        )
    return color_from_hash(words)


def dyed(image: Image.Image, mask: Mask, lab: Floats, target: Lab) -> Image.Image:
    """Dye what the mask covers; mask and OKLab picture are those of `find_garment`."""
    picture = np.array(image)
    size = (mask.shape[1], mask.shape[0])
    small = np.asarray(image.resize(size, Image.Resampling.BOX))
    core = filters.erode(mask, radius=2)
    if not core.any():
        core = mask
    low, middle, high = np.percentile(lab[..., 0][core], (10, 50, 90)).tolist()
    dye = prepare_dye(target, low=low, middle=middle, high=high)
    usual = filters.spread_wide(lab, core.astype(np.float32), radius=10)
    off = np.abs(lab - usual)[core]
    limits = (
        max(0.26, 5 * float(np.median(off[:, 0]))),
        max(0.045, 5 * float(np.median(np.hypot(off[:, 1], off[:, 2])))),
    )
    for patch in patches(picture, prepare_matte(small, mask), usual):
        _dye_patch(picture, patch, dye, limits)
    return Image.fromarray(picture)


def _dye_patch(picture: Bytes, patch: Patch, dye: Dye, limits: tuple[float, float]) -> None:
    """Exchange the cloth's part of each pixel in place, leaving contrasting details alone."""
    touched = patch.share > 0.004
    if not touched.any():
        return
    cloth = patch.cloth[touched]
    lab, usual = oklab_from_srgb(cloth), patch.fields[touched]
    dimming = (lab[:, :1] / np.maximum(usual[:, :1], 0.05)).astype(np.float32)
    chroma = usual[:, 1:] * dimming
    kept = _detail(lab, usual[:, 0], chroma, limits) * patch.core[touched]
    share = patch.share[touched] * (1 - kept)
    change = srgb_from_oklab(dye.colors(lab, chroma)) - cloth
    view = picture[patch.where]
    view[touched] = np.clip(view[touched] + share[:, None] * change + 0.5, 0, 255).astype(np.uint8)


def _detail(lab: Floats, light: Floats, chroma: Floats, limits: tuple[float, float]) -> Floats:
    """Tell how sure a pixel is a button, zip or print rather than cloth, 0..1."""
    by_light = (np.abs(lab[:, 0] - light) - limits[0]) / 0.08
    by_chroma = (np.linalg.norm(lab[:, 1:] - chroma, axis=1) - limits[1]) / 0.03
    sure: Floats = np.clip(np.maximum(by_light, by_chroma), 0, 1).astype(np.float32)
    return sure
