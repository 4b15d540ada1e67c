"""Draws a figure: bars, or lines where it has points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.harness import Row
from benchmarks.rounds import Rounds, Spread

OURS, OTHERS, BOUND, REACH = "#1f6f8b", "#b8c4cc", "#7a5c99", "#555555"
SDK = "piktid-async"
BOUNDS = re.compile(r"\b(bound|floor|schedule)\b")
# The same numbers make the same file.
SETTINGS = {"svg.hashsalt": "piktid-async", "font.size": 9, "axes.spines.top": False}


def draw(rounds: Rounds, path: Path) -> None:
    """Draw the medians, and from lowest to highest, as SVG."""
    with mpl.rc_context({**SETTINGS, "axes.spines.right": False}):
        height = 4.2 if rounds.figure.points else 1.0 + 0.36 * len(rounds.rows)
        figure, axes = plt.subplots(figsize=(7.5, height), layout="constrained")
        try:
            (_lines if rounds.figure.points else _bars)(rounds, axes)
            axes.set_title(rounds.figure.title, loc="left")
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, metadata={"Date": None})
        finally:
            plt.close(figure)


def _bars(rounds: Rounds, axes: Axes) -> None:
    for place, row in enumerate(rounds.rows):
        found = rounds.values(row)
        if found is None:
            axes.annotate("failed", (0, place), xycoords=("axes fraction", "data"), va="center")
            continue
        if rounds.figure.log:  # has no zero for a bar to begin at
            axes.errorbar(found.median, place, xerr=_reach([found]), fmt="o", color=_colour(row))
        else:
            axes.barh(place, found.median, xerr=_reach([found]), color=_colour(row), ecolor=REACH)
        axes.annotate(f"  {found.median:,.4g}", (found.high, place), va="center")
    axes.set_yticks(range(len(rounds.rows)), [row.name for row in rounds.rows])
    axes.set_ylim(len(rounds.rows) - 0.5, -0.5)
    axes.set_xlabel(rounds.figure.unit)
    if rounds.figure.log:
        _logarithmic(axes, "x")
    else:
        axes.set_xlim(left=0)
    axes.margins(x=0.1)


def _lines(rounds: Rounds, axes: Axes) -> None:
    for case in rounds.figure.cases:
        rows = [row for row in rounds.rows if row.case == case]
        drawn = [(row.point, found) for row in rows if (found := rounds.values(row))]
        axes.errorbar(
            [point for point, _ in drawn],
            [found.median for _, found in drawn],
            yerr=_reach([found for _, found in drawn]),
            marker="o",
            capsize=2,
            label=case,
            linewidth=2.5 if case.startswith(SDK) else 1,
        )
    _logarithmic(axes, "x")
    points = sorted({row.point for row in rounds.rows if row.point is not None})
    axes.set_xticks(points, [f"{point:,}" for point in points])
    axes.set_xlabel(rounds.figure.over)
    axes.set_ylabel(rounds.figure.unit)
    if rounds.figure.log:
        _logarithmic(axes, "y")
    else:
        axes.set_ylim(bottom=0)
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)


def _reach(found: Sequence[Spread]) -> list[list[float]]:
    """Return how far it goes down and up from the medians."""
    down = [each.median - each.low for each in found]
    return [down, [each.high - each.median for each in found]]


def _logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(NullFormatter())


def _colour(row: Row) -> str:
    if row.case.startswith(SDK):
        return OURS
    return BOUND if BOUNDS.search(row.case) else OTHERS
