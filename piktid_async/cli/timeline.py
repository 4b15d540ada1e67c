"""Draw what was under way when, as SVG; pure."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from html import escape

import attrs

from piktid_async.cli.errors import clean
from piktid_async.cli.words import count, span

WIDTH = 1000
"""The drawing is stretched to the width of the page."""
TALLEST, TALLEST_LANE = 200.0, 14.0
THINNEST = 2.0
"""Width of what took no time."""
LONGEST_PAUSE = 0.1
"""Part of the time at work that is drawn of a time in which nothing was under way."""


@attrs.frozen(kw_only=True)
class Bar:
    """Something that took its time."""

    began: float
    ended: float
    """Unix seconds, not before `began`."""
    kind: str
    """Its class in the style."""
    target: str
    """The id of what it stands for."""
    title: str


def timeline(bars: Sequence[Bar], noun: str = "product") -> str:
    """Draw the bars in as few lanes as hold them; nothing without bars.

    A pause between two runs is drawn short, with its true length beside it.
    """
    if not bars:
        return ""
    ordered = sorted(bars, key=lambda bar: (bar.began, bar.ended))
    pauses = _pauses(ordered)
    working = max(bar.ended for bar in ordered) - ordered[0].began - sum(b - a for a, b in pauses)
    scale = _Scale(ordered[0].began, working or 1.0, pauses)
    lanes = _lanes(ordered)
    height = min(TALLEST_LANE, TALLEST / (max(lanes) + 1))
    tall = height * (max(lanes) + 1)
    drawn = "".join(
        _drawn(bar, lane, height, scale) for bar, lane in zip(ordered, lanes, strict=True)
    )
    whole = count(len(bars), noun)
    stops = "".join(
        f'<rect class="pause" x="{scale.at(start):.1f}" y="0" '
        f'width="{scale.at(end) - scale.at(start):.1f}" height="{tall:.1f}">'
        f"<title>nothing for {span(round(end - start))}</title></rect>"
        for start, end in pauses
    )
    pausing = f", pauses of {span(round(sum(b - a for a, b in pauses)))} left out" if pauses else ""
    words = f"{whole} in {span(round(working, 1) if working < 10 else round(working))}{pausing}"
    return (
        f'<figure class="timeline"><svg viewBox="0 0 {WIDTH} {tall:.1f}" height="{tall:.0f}" '
        f'preserveAspectRatio="none" role="img" aria-label="Timeline: {words}">{stops}{drawn}'
        f"</svg><figcaption><span>0 s</span><span>{words}</span></figcaption></figure>"
    )


@attrs.frozen
class _Scale:
    """From moments to places."""

    first: float
    working: float
    pauses: Sequence[tuple[float, float]]

    def at(self, moment: float) -> float:
        short = LONGEST_PAUSE * self.working
        place = moment - self.first
        for start, end in self.pauses:
            if moment > start:
                passed = min(moment, end) - start
                place += short * passed / (end - start) - passed
        return place / (self.working + short * len(self.pauses)) * (WIDTH - THINNEST)


def _drawn(bar: Bar, lane: int, height: float, scale: _Scale) -> str:
    left = scale.at(bar.began)
    wide = max(THINNEST, scale.at(bar.ended) - left)
    return (
        f'<rect class="{bar.kind}" data-go="{bar.target}" x="{left:.1f}" y="{lane * height:.1f}" '
        f'width="{wide:.1f}" height="{height * 0.8:.1f}">'
        f"<title>{escape(clean(bar.title))}</title></rect>"
    )


def _lanes(bars: Sequence[Bar]) -> list[int]:
    """Give each bar the first lane that is free."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    found = []
    unused = itertools.count()
    for bar in bars:
        while busy and busy[0][0] <= bar.began:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else next(unused)
        heapq.heappush(busy, (bar.ended, lane))
        found.append(lane)
    return found


def _pauses(bars: Sequence[Bar]) -> list[tuple[float, float]]:
    """Find the times in which nothing was under way that are long beside those in which it was."""
    gaps: list[tuple[float, float]] = []
    until = bars[0].ended
    for bar in bars:
        if bar.began > until:
            gaps.append((until, bar.began))
        until = max(until, bar.ended)
    working = until - bars[0].began - sum(end - start for start, end in gaps)
    return [(start, end) for start, end in gaps if end - start > max(LONGEST_PAUSE * working, 1.0)]
