"""The sandbox's own image work: recolour garments, draw sample photos."""

from piktid_async.sandbox.imaging.errors import ImagingError
from piktid_async.sandbox.imaging.recolor import Rendered, recolor
from piktid_async.sandbox.imaging.samples import SamplePhoto, sample_photos, sample_swatch

__all__ = ["ImagingError", "Rendered", "SamplePhoto", "recolor", "sample_photos", "sample_swatch"]
