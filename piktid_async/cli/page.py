"""Write the before/after page: one HTML file with the pictures in it, and nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import attrs

from piktid_async.cli.pictures import Shift, color_shift, embed


@attrs.frozen
class After:
    """One recoloured picture, or the reason why there is none."""

    label: str
    path: Path | None = None
    error: str | None = None


@attrs.frozen
class Pair:
    """One input and what became of it."""

    name: str
    before: Path
    afters: Sequence[After]


@attrs.frozen(kw_only=True)
class Page:
    """All that a page says."""

    title: str
    facts: Sequence[str]
    """Short remarks under the title."""
    pairs: Sequence[Pair]
    reference: Path | None = None
    """The swatch that was asked for."""


def write_page(page: Page, path: Path) -> Path:
    """Write the page, whole or not at all."""
    shifts = [_shift(pair) for pair in page.pairs]
    accent = next((shift.new for shift in shifts if shift), None)
    fields = {
        "title": escape(page.title),
        "accent": f"--accent: {accent};" if accent else "",
        "reference": _reference(page.reference),
        "facts": "".join(f"<li>{escape(fact)}</li>" for fact in page.facts),
        "cards": "\n".join(_cards(page.pairs, shifts)),
        "style": files("piktid_async.cli").joinpath("page.css").read_text(encoding="utf-8"),
    }
    template = files("piktid_async.cli").joinpath("page.html").read_text(encoding="utf-8")
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(Template(template).substitute(fields), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _shift(pair: Pair) -> Shift | None:
    made = next((after.path for after in pair.afters if after.path), None)
    return color_shift(pair.before, made) if made else None


def _cards(pairs: Sequence[Pair], shifts: Sequence[Shift | None]) -> Iterable[str]:
    for number, (pair, shift) in enumerate(zip(pairs, shifts, strict=True), start=1):
        card = f"photo-{number}"
        pictures = [_figure(card, 0, "Before", pair.name, pair.before)]
        for index, after in enumerate(pair.afters, start=1):
            pictures.append(_after(card, index, pair.name, after))
        columns = 2 if len(pictures) in (2, 4) else 3
        yield (
            f'<article class="card" id="{card}">'
            f'<div class="pictures" style="--columns:{columns}">{"".join(pictures)}</div>'
            f"<h2>{escape(pair.name)}{_dots(shift)}</h2></article>"
        )


def _after(card: str, index: int, name: str, after: After) -> str:
    if after.path is not None:
        return _figure(card, index, after.label, name, after.path)
    reason = escape(after.error or "no picture")
    return (
        f'<figure class="missing"><p>{reason}</p>'
        f"<figcaption>{escape(after.label)}</figcaption></figure>"
    )


def _figure(card: str, index: int, label: str, name: str, path: Path) -> str:
    """Make one picture; a click shows it large, another click closes it. No script is needed."""
    anchor = f"{card}-{index}"
    picture = embed(path)
    size = f' width="{picture.width}" height="{picture.height}"' if picture.width else ""
    words = escape(f"{name}, {label.lower()}", quote=True)
    return (
        f'<figure id="{anchor}"><a class="open" href="#{anchor}">'
        f'<img src="{picture.uri}" alt="{words}"{size}></a>'
        f'<a class="close" href="#{card}" aria-label="Close"></a>'
        f"<figcaption>{escape(label)}</figcaption></figure>"
    )


def _dots(shift: Shift | None) -> str:
    if shift is None:
        return ""
    return (
        f'<span class="shift" title="{shift.old} to {shift.new}">'
        f'<i style="background:{shift.old}"></i><i style="background:{shift.new}"></i></span>'
    )


def _reference(path: Path | None) -> str:
    if path is None:
        return '<span class="swatch"></span>'
    return f'<img class="swatch" src="{embed(path).uri}" alt="The swatch that was asked for">'
