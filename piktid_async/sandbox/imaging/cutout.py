"""Cut the garment out of a photo."""

import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.io import read_image
from piktid_async.sandbox.imaging.matte import patches, prepare_matte
from piktid_async.sandbox.imaging.segment import find_garment

_FAINT = 6
"""Opacity (0..255) up to which a pixel does not count as garment."""


def cut_out(source: bytes, *, size: int, label: str | None = None) -> Image.Image:
    """Return the garment as RGBA, cropped to it.

    `size` is the long edge in pixels that the whole photo is read at. Raise ImagingError if it
    cannot be read, or nothing stands out in it.
    """
    return cut_from(read_image(source, size=size), label=label)


def cut_from(image: Image.Image, *, label: str | None = None) -> Image.Image:
    """Cut the garment out of an RGB picture."""
    layer = layer_of(image, label=label)
    box = layer.getchannel("A").point(lambda value: 255 * (value > _FAINT)).getbbox()
    if box is None:
        raise ImagingError(f"We couldn't find the {label or 'garment'} in this image")
    return layer.crop(box)


def layer_of(image: Image.Image, *, label: str | None = None) -> Image.Image:
    """Return the whole picture as RGBA in which everything but the garment is clear."""
    mask, _ = find_garment(image, label=label)
    small = np.asarray(image.resize((mask.shape[1], mask.shape[0]), Image.Resampling.BOX))
    picture = np.array(image)
    layer = np.zeros((*picture.shape[:2], 4), np.uint8)
    fields = mask.astype(np.float32)[..., None]
    for patch in patches(picture, prepare_matte(small, mask), fields):
        layer[(*patch.where, slice(0, 3))] = patch.cloth
        layer[(*patch.where, 3)] = (patch.share * 255 + np.float32(0.5)).astype(np.uint8)
    return Image.fromarray(layer)


def cut_out_all(sources: list[bytes], *, size: int) -> dict[int, Image.Image]:
    """Cut the garment out of each photo, by its index; those without one are left out.

    Raise the first photo's error if none has one.
    """
    found: dict[int, Image.Image] = {}
    first: ImagingError | None = None
    for index, source in enumerate(sources):
        try:
            found[index] = cut_out(source, size=size)
        except ImagingError as error:
            first = first or error
    if not found:
        raise first or ImagingError("There is no image to work from")
    return found
