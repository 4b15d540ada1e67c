"""What is drawn of a run: lanes, places and pauses."""

from __future__ import annotations

import re

from piktid_async.cli.timeline import Bar, timeline


def bar(began: float, ended: float, name: str = "a") -> Bar:
    return Bar(began=began, ended=ended, kind="ok", target=name, title=name)


def drawn(*bars: Bar) -> list[tuple[str, float, float, float]]:
    """Return target, left, top and width of each bar."""
    pattern = r'data-go="(\w+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"'
    return [
        (name, float(x), float(y), float(width))
        for name, x, y, width in re.findall(pattern, timeline(bars))
    ]


def test_nothing_draws_nothing() -> None:
    assert timeline([]) == ""


def test_what_overlaps_goes_into_another_lane_and_a_free_one_is_taken_again() -> None:
    places = drawn(bar(0, 10, "a"), bar(5, 15, "b"), bar(10, 20, "c"))
    assert [(name, top) for name, _, top, _ in places] == [("a", 0.0), ("b", 14.0), ("c", 0.0)]
    assert [left for _, left, _, _ in places] == [0.0, 249.5, 499.0]


def test_what_took_no_time_can_be_seen() -> None:
    ((_, left, _, width),) = drawn(bar(5, 5))
    assert (left, width) == (0.0, 2.0)


def test_many_lanes_stay_low() -> None:
    html = timeline([bar(0, 10, f"p{number}") for number in range(1000)])
    assert 'viewBox="0 0 1000 200.0"' in html
    assert html.count("<rect") == 1000


def test_a_night_between_two_runs_is_drawn_short_and_told() -> None:
    html = timeline([bar(0, 50, "a"), bar(36_050, 36_100, "b")])
    assert "2 products in 1 min 40 s, pauses of 10 h left out" in html
    (_, _, _, first), (_, left, _, second) = drawn(bar(0, 50, "a"), bar(36_050, 36_100, "b"))
    assert first == second
    assert 520 < left < 560


def test_titles_are_text() -> None:
    assert "<title>&lt;b&gt;</title>" in timeline(
        [bar(0, 1, "p1"), Bar(began=0, ended=1, kind="ok", target="p2", title="<b>")]
    )
