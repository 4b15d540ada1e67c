"""Writes RESULTS.md: what was measured where, every bar, and a table and a plot for each figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from benchmarks import plots
from benchmarks.harness import Bar, Row
from benchmarks.rounds import CROWDED, Rounds, Spread, Verdict, share_of_the_servers

HEAD = """\
# Results

Written by `make bench`; how it measures stands in [README.md](README.md). A value is the median of
its rounds, a ratio the median of the ratios of each round, both with the lowest and the highest.
All is on one machine over loopback, so only what stands in one table can be compared, and nothing
here tells how long the real service takes.
"""


@attrs.frozen
class Section:
    """What is known of one area."""

    area: str
    taken: str
    """When and under which load."""
    machine: Sequence[str]
    figures: Sequence[Rounds]


def write(sections: Sequence[Section], folder: Path) -> Path:
    """Write the page and its plots; return the page."""
    for section in sections:
        for rounds in section.figures:
            plots.draw(rounds, folder / _plot(section, rounds))
    page = folder / "RESULTS.md"
    page.write_text("\n".join(_page(sections)))
    return page


def text(rounds: Rounds) -> str:
    """Return the table and the bars of a figure."""
    return "\n".join([*_table(rounds), "", *_verdicts(rounds)])


def _page(sections: Sequence[Section]) -> Iterator[str]:
    yield HEAD
    for machine in dict.fromkeys(tuple(section.machine) for section in sections):
        yield from (f"- {line}" for line in machine)
        yield ""
    yield from _bars(sections)
    for section in sections:
        yield f"## {section.area}\n"
        yield f"{section.taken}. `make bench AREA={section.area}`\n"
        for rounds in section.figures:
            yield f"### {rounds.figure.title}\n"
            yield from _table(rounds)
            yield ""
            yield from _verdicts(rounds)
            if rounds.figure.about:
                yield f"\n{rounds.figure.about.strip()}"
            yield f"\n![{rounds.figure.title}]({_plot(section, rounds)})\n"


def _plot(section: Section, rounds: Rounds) -> Path:
    return Path("plots") / f"{section.area}-{rounds.figure.key}.svg"


def _bars(sections: Iterable[Section]) -> Iterator[str]:
    yield "## Bars\n"
    yield from _head("figure", "bar", "reached", "")
    for section in sections:
        for rounds in section.figures:
            for verdict in rounds.verdicts():
                yield _row(rounds.figure.title, *_verdict(verdict))
    yield ""


def _verdicts(rounds: Rounds) -> Iterator[str]:
    for verdict in rounds.verdicts():
        bar, reached, met = _verdict(verdict)
        yield f"- {met}: {bar}; reached {reached}"
    for name in rounds.crowded():
        yield f"- {name}: the server used {CROWDED:.0%} of a core or more, and may be the limit"
    for name, failure in rounds.failures.items():
        yield f"- {name} failed: {failure}"


def _verdict(verdict: Verdict) -> tuple[str, str, str]:
    times = "x" if verdict.bar.of else ""
    reached = "nothing" if verdict.reached is None else _spread(verdict.reached, times)
    return _bar(verdict.bar), reached, "met" if verdict.met else "**missed**"


def _bar(bar: Bar) -> str:
    what = f"{bar.case}, {bar.column}" if bar.column else bar.case
    wanted = (
        f"at least {bar.at_least:g}" if bar.at_least is not None else f"at most {bar.at_most:g}"
    )
    return f"{what}: {wanted}x {bar.of}" if bar.of else f"{what}: {wanted}"


def _table(rounds: Rounds) -> Iterator[str]:
    first, notes = rounds.rows[0].case, rounds.notes()
    yield from _head("", rounds.figure.unit, f"x {first}", "CPU s", "server", "+ MB", *notes)
    for row in rounds.rows:
        if rounds.values(row) is None:
            yield _row(row.name, "failed", *[""] * (4 + len(notes)))
        else:
            yield _row(row.name, *_cells(rounds, row, Row(first, row.point), notes))


def _cells(rounds: Rounds, row: Row, first: Row, notes: Sequence[str]) -> Iterator[str]:
    yield _spread(rounds.values(row))
    yield _spread(rounds.ratio(row.name, first.name))
    yield _median(rounds.spread(row, lambda measured: measured.cpu or None))
    share = rounds.spread(row, share_of_the_servers)
    yield "" if share is None else f"{share.median:.0%}"
    yield _median(
        rounds.spread(row, lambda measured: measured.memory if measured.seconds else None)
    )
    for note in notes:
        yield _median(rounds.spread(row, lambda measured, note=note: measured.notes.get(note)))  # type: ignore[misc]


def _spread(found: Spread | None, times: str = "") -> str:
    if found is None:
        return ""
    median = f"{_number(found.median)}{times}"
    if found.low == found.high:
        return median
    return f"{median} [{_number(found.low)}-{_number(found.high)}]"


def _median(found: Spread | None) -> str:
    return "" if found is None else _number(found.median)


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|---" * len(cells) + "|"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
