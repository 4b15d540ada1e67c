"""Tells the image work what to draw, by the kind of the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from piktid_async.sandbox.imaging import on_model, packshot, playground, recolor
from piktid_async.sandbox.imaging.finish import Target, finished
from piktid_async.sandbox.imaging.io import upright_size
from piktid_async.sandbox.imaging.portrait import drawn
from piktid_async.sandbox.work import Work

_LARGEST_SWAP = 4096


def draw(work: Work) -> tuple[bytes, bytes]:
    """Draw a picture and its thumbnail, or raise `ImagingError`."""
    return _DRAWERS[work.shot.drawing.kind](work)


def _packshot(work: Work) -> tuple[bytes, bytes]:
    wanted = _instruction(work)
    target = _target(work, packshot.size_of(wanted, _edge(work)))
    picture = packshot.packshot(_sources(work), wanted, target, variation=work.variation)
    return finished(picture, target)


def _flat(work: Work) -> tuple[bytes, bytes]:
    wanted = _instruction(work)
    target = _target(work, on_model.size_of(wanted, _edge(work)))
    picture = on_model.flat_to_model(_sources(work), wanted, target, variation=work.variation)
    return finished(picture, target)


def _swap(work: Work) -> tuple[bytes, bytes]:
    # No document tells the size of a swapped picture: it keeps that of the photo.
    (source,) = _sources(work)
    width, height = upright_size(source)
    factor = min(work.scale, _LARGEST_SWAP / max(width, height))
    target = _target(work, (max(16, round(width * factor)), max(16, round(height * factor))))
    code = work.shot.drawing.options["identity_code"]
    picture = on_model.model_swap(source, code, size=target.canvas, variation=work.variation)
    return finished(picture, target)


def _play(work: Work) -> tuple[bytes, bytes]:
    wanted, sources = work.shot.drawing.options, _sources(work)
    size = playground.size_of(sources, wanted, _edge(work), scale=work.scale)
    target = _target(work, size)
    picture = playground.playground(sources, wanted, target.canvas, variation=work.variation)
    return finished(picture, target)


def _instruction(work: Work) -> Mapping[str, Any]:
    """Return the instruction; its notes with the names of the files, which often tell as much."""
    wanted = dict(work.shot.drawing.options)
    notes = [note or "" for note in wanted["notes"]]
    names = [source.filename.rpartition(".")[0] for source in work.shot.sources]
    wanted["notes"] = [f"{name} {note}" for name, note in zip(names, notes, strict=True)]
    return wanted


def _sources(work: Work) -> list[bytes]:
    return [source.path.read_bytes() for source in work.sources]


def _edge(work: Work) -> int:
    return max(16, round(work.shot.size * work.scale))


def _target(work: Work, size: tuple[int, int]) -> Target:
    if work.shot.custom_size is not None:
        width, height = work.shot.custom_size
        size = (max(16, round(width * work.scale)), max(16, round(height * work.scale)))
    return Target(
        size=size,
        format=work.shot.format,
        watermark=bool(work.shot.drawing.options.get("add_ai_watermark")),
    )


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


_DRAWERS: Mapping[str, Callable[[Work], tuple[bytes, bytes]]] = {
    "garment_recolor": _recolor,
    "create_packshot": _packshot,
    "flat_2_model": _flat,
    "model_swap": _swap,
    "edit_chat": _play,
    "identity_creation": _draft,
}
