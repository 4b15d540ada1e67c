"""Tells the image work what to draw, by the kind of the job."""

from __future__ import annotations

from piktid_async.sandbox.imaging import recolor
from piktid_async.sandbox.imaging.portrait import drawn
from piktid_async.sandbox.work import Work


def draw(work: Work) -> tuple[bytes, bytes]:
    """Draw a picture and its thumbnail, or raise `ImagingError`."""
    if work.shot.drawing.kind == "identity_creation":
        return _draft(work)
    return _recolor(work)


def _draft(work: Work) -> tuple[bytes, bytes]:
    brief = dict(work.shot.drawing.options)
    return drawn(
        brief,
        ratio=brief.pop("ratio"),
        size=max(8, round(work.shot.size * work.scale)),
        variation=work.variation,
        png=work.shot.format == "png",
    )


def _recolor(work: Work) -> tuple[bytes, bytes]:
    options = work.shot.drawing.options
    (source,) = work.sources
    swatch = work.extra[0].path.read_bytes() if work.extra else None
    made = recolor(
        source.path.read_bytes(),
        reference_text=options["reference_text"],
        reference_image=swatch,
        instruction=options["instruction"],
        garment_label=options["garment_label"],
        size=max(1, round(work.shot.size * work.scale)),
        variation=work.variation,
        watermark=options["add_ai_watermark"],
    )
    return made.full, made.thumbnail
