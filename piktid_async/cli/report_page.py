"""Write the report of a run: one HTML file with the pictures in it, and nothing loaded."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal, TypeAlias

import attrs

from piktid_async.cli.errors import Trouble, clean
from piktid_async.cli.inputs import shown
from piktid_async.cli.pictures import Picture, Shift, color_shift, embed
from piktid_async.cli.timeline import Bar, timeline
from piktid_async.cli.words import span

State: TypeAlias = Literal["ok", "failed", "in_doubt", "unfinished"]

STATES: dict[State, str] = {
    "ok": "OK",
    "failed": "Failed",
    "in_doubt": "In doubt",
    "unfinished": "Not finished",
}
EDGES = ((60, 1200), (300, 640))
"""Up to so many pictures, their long edge in pixels; a page of many has to open, too."""
SMALLEST = 288
SUFFIXES = frozenset({".html", ".htm"})


@attrs.frozen(kw_only=True)
class Made:
    """One output: a picture, or the reason why there is none."""

    label: str = "After"
    path: Path | None = None
    engine: str | None = None
    """The `model_used` of the service."""
    error: str | None = None


@attrs.frozen(kw_only=True)
class Entry:
    """One product, or one photo: what went in, and what became of it."""

    name: str
    state: State
    inputs: Sequence[Path] = ()
    outputs: Sequence[Made] = ()
    job_id: str | None = None
    error: str | None = None
    """Why it did not end well."""
    credits: float | None = None
    began: float | None = None
    """Unix seconds, when its job was submitted."""
    ended: float | None = None
    """Unix seconds, when its last picture was there."""


@attrs.frozen(kw_only=True)
class ReportPage:
    """All that a report says."""

    title: str
    entries: Sequence[Entry]
    noun: str = "product"
    """What one entry is."""
    facts: Sequence[str] = ()
    """Short remarks under the title."""
    credits: float | None = None
    """Of the whole run; the sum over the entries where it is None."""
    seconds: float | None = None
    """How long the run took."""
    stopped: str | None = None
    """What ended the run before its end."""
    reference: Path | None = None
    """The swatch that was asked for."""
    colors: bool = False
    """Whether to show by which colour each was replaced, if there are few enough."""


def check_report(path: Path) -> None:
    """Refuse a file that the page could not be written to, or should not replace."""
    if path.suffix.lower() not in SUFFIXES:
        raise Trouble(f"--report: {shown(path)} is to be a page: give a name that ends in .html.")
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    if path.exists() and not path.is_file():
        raise Trouble(f"--report: {shown(path)} is not a file.")
    if existing != path and not existing.is_dir():
        raise Trouble(f"--report: {shown(existing)} is a file, not a folder.")
    if not os.access(path.absolute().parent if existing == path else existing, os.W_OK | os.X_OK):
        raise Trouble(f"--report: {shown(path)} cannot be written to.")


def write_report(page: ReportPage, path: Path) -> Path:
    """Write the page, whole or not at all; an older one is replaced.

    Holds little in memory, however many products there are. Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(_html(page))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _html(page: ReportPage) -> Iterator[str]:
    shifts = _shifts(page)
    accent = next((f":root {{ --accent: {shift.new} }}" for shift in shifts if shift), "")
    style, script = _asset("report_page.css") + accent, _asset("report_page.js")
    fields = {
        "title": _text(page.title),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "reference": _reference(page.reference, drawn=bool(accent)),
        "facts": "".join(f"<li>{_text(fact)}</li>" for fact in (*page.facts, *_engines(page))),
        "stopped": f'<p class="stopped">{_text(page.stopped)}</p>' if page.stopped else "",
        "totals": "".join(_totals(page)),
        "timeline": timeline(_bars(page.entries), page.noun),
        "filters": "".join(_filters(page.entries)),
    }
    head, _, foot = _asset("report_page.html").partition("<!-- cards -->")
    yield Template(head).substitute(fields)
    yield from _cards(page.entries, shifts)
    yield Template(foot).substitute(fields)


def _cards(entries: Sequence[Entry], shifts: Sequence[Shift | None]) -> Iterator[str]:
    wanted = [path for entry in entries for path in _paths(entry)]
    edge = next((edge for most, edge in EDGES if len(wanted) <= most), SMALLEST)
    # Pillow lets go of the interpreter while it decodes; a few ahead, so that memory stays small.
    with ThreadPoolExecutor(thread_name_prefix="piktid-report") as pool:
        pictures = (
            picture
            for start in range(0, len(wanted), 64)
            for picture in pool.map(lambda path: embed(path, edge), wanted[start : start + 64])
        )
        for number, (entry, shift) in enumerate(zip(entries, shifts, strict=True), start=1):
            yield "".join(_card(f"p{number}", entry, shift, pictures))


def _card(
    card: str, entry: Entry, shift: Shift | None, pictures: Iterator[Picture | None]
) -> Iterator[str]:
    name, words = _text(entry.name), STATES[entry.state]
    found = _text(f"{entry.name} {entry.job_id or ''}".casefold())
    yield (
        f'<article class="card {entry.state}" id="{card}" data-find="{found}" '
        f'aria-labelledby="{card}-name"><h2 id="{card}-name"><span>{name}</span>{_dots(shift)}'
        f'<span class="state">{words}</span></h2>'
    )
    figures = list(_figures(card, entry, pictures))
    if figures:
        columns = 2 if len(figures) in (1, 2, 4) else 3
        yield f'<div class="pictures of-{columns}">{"".join(figures)}</div>'
    if entry.error:
        yield f'<p class="reason">{_text(entry.error)}</p>'
    facts = "".join(f"<div><dt>{name}</dt><dd>{words}</dd></div>" for name, words in _facts(entry))
    if facts:
        yield f'<dl class="about">{facts}</dl>'
    yield "</article>\n"


def _figures(card: str, entry: Entry, pictures: Iterator[Picture | None]) -> Iterator[str]:
    places = (f"{card}-{number}" for number in range(len(entry.inputs) + len(entry.outputs)))
    for number, path in enumerate(entry.inputs, start=1):
        label = "Before" if len(entry.inputs) == 1 else f"Before {number}"
        missing = f"{path.name} is not there any more, or no picture"
        yield _figure(card, next(places), "input", label, entry.name, next(pictures), missing)
    for made in entry.outputs:
        missing = made.error or "no picture"
        if made.path is None:
            yield _missing("output", made.label, missing)
            continue
        gone = f"{made.path.name} is not there any more"
        yield _figure(card, next(places), "output", made.label, entry.name, next(pictures), gone)
    if not entry.outputs and entry.inputs:
        yield _missing("output", "After", STATES[entry.state].lower())


def _figure(
    card: str, place: str, kind: str, label: str, name: str, picture: Picture | None, missing: str
) -> str:
    """Make one picture; a click shows it large, another click closes it. No script is needed."""
    if picture is None:
        return _missing(kind, label, missing)
    words = _text(f"{name}, {label.lower()}")
    return (
        f'<figure id="{place}" class="{kind}"><a class="open" href="#{place}">'
        f'<img src="{picture.uri}" alt="{words}" width="{picture.width}" '
        f'height="{picture.height}" loading="lazy" decoding="async"></a>'
        f'<a class="close" href="#{card}" aria-label="Close"></a>'
        f"<figcaption>{_text(label)}</figcaption></figure>"
    )


def _missing(kind: str, label: str, reason: str) -> str:
    return (
        f'<figure class="missing {kind}"><p>{_text(reason)}</p>'
        f"<figcaption>{_text(label)}</figcaption></figure>"
    )


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    engines = dict.fromkeys(made.engine for made in entry.outputs if made.engine)
    if engines:
        yield "Engine", _text(", ".join(engines))
    if entry.began is not None and entry.ended is not None:
        yield "Time", _text(_took(entry.ended - entry.began))
    if entry.credits is not None:
        yield "Credits", f"{entry.credits:g}"
    if entry.job_id:
        yield "Job", f"<code>{_text(entry.job_id)}</code>"


def _totals(page: ReportPage) -> Iterator[str]:
    states = Counter(entry.state for entry in page.entries)
    made = Counter(output.path is not None for entry in page.entries for output in entry.outputs)
    known = [entry.credits for entry in page.entries if entry.credits is not None]
    credits_ = page.credits if page.credits is not None else (sum(known) if known else None)
    yield _total("", f"{page.noun.capitalize()}s", f"{len(page.entries):,}")
    for state, words in STATES.items():
        if states[state]:
            yield _total(state, words, f"{states[state]:,}")
    yield _total("", "Pictures", f"{made[True]:,}")
    if made[False]:
        yield _total("failed", "Missing", f"{made[False]:,}")
    if credits_ is not None:
        yield _total("", "Credits", f"{credits_:,g}")
    if page.seconds is not None:
        yield _total("", "Time", _text(_took(page.seconds)))


def _engines(page: ReportPage) -> Iterator[str]:
    outputs = [output for entry in page.entries for output in entry.outputs]
    engines = Counter(output.engine for output in outputs if output.engine)
    for engine, number in engines.most_common(4):
        yield f"{number:,} by {engine}"


def _total(kind: str, name: str, words: str) -> str:
    return f'<div class="{kind}"><dt>{_text(name)}</dt><dd>{words}</dd></div>'


def _filters(entries: Sequence[Entry]) -> Iterator[str]:
    states = Counter(entry.state for entry in entries)
    choices = {"all": ("All", len(entries))} | {
        state: (words, states[state])
        for state, words in STATES.items()
        if states[state] or state != "unfinished"
    }
    for state, (words, number) in choices.items():
        checked = " checked" if state == "all" else ""
        yield (
            f'<input type="radio" name="show" id="show-{state}" value="{state}"{checked}>'
            f'<label for="show-{state}">{words} <span>{number:,}</span></label>'
        )


def _bars(entries: Iterable[Entry]) -> list[Bar]:
    return [
        Bar(
            began=entry.began,
            ended=max(entry.ended, entry.began),
            kind=entry.state,
            target=f"p{number}",
            title=f"{entry.name}: {_took(entry.ended - entry.began)}",
        )
        for number, entry in enumerate(entries, start=1)
        if entry.began is not None and entry.ended is not None
    ]


def _shifts(page: ReportPage) -> list[Shift | None]:
    few = sum(map(len, map(_paths, page.entries))) <= EDGES[0][0]
    return [_shift(entry) if page.colors and few else None for entry in page.entries]


def _shift(entry: Entry) -> Shift | None:
    made = next((each.path for each in entry.outputs if each.path), None)
    return color_shift(entry.inputs[0], made) if entry.inputs and made else None


def _paths(entry: Entry) -> list[Path]:
    return [*entry.inputs, *(made.path for made in entry.outputs if made.path)]


def _dots(shift: Shift | None) -> str:
    if shift is None:
        return ""
    return (
        f'<svg class="shift" width="37" height="22" role="img" '
        f'aria-label="{shift.old} to {shift.new}"><circle cx="11" cy="11" r="10" '
        f'fill="{shift.old}"/><circle cx="26" cy="11" r="10" fill="{shift.new}"/></svg>'
    )


def _reference(path: Path | None, *, drawn: bool) -> str:
    picture = embed(path, 160) if path is not None else None
    if picture is None:
        return '<span class="swatch"></span>' if drawn else ""
    return f'<img class="swatch" src="{picture.uri}" alt="The swatch that was asked for">'


def _took(seconds: float) -> str:
    seconds = max(0.0, seconds)
    return span(round(seconds, 1) if seconds < 10 else round(seconds))


def _text(words: str) -> str:
    """Make foreign words part of a page."""
    return escape(clean(words), quote=True)


def _asset(name: str) -> str:
    return files("piktid_async.cli").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
