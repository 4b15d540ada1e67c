"""What the benchmark makes of its rounds: medians, ratios round by round, bars, and the page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from benchmarks.areas.program import schedule
from benchmarks.bench import keep, kept_sections, measure
from benchmarks.harness import Bar, Figure, Measured, Row, Run
from benchmarks.report import Section, text, write
from benchmarks.rounds import Rounds, Spread, structured, unstructured

ROOT = Path(__file__).parents[2]
FIGURE = Figure(
    key="race",
    title="A race",
    unit="files/s",
    cases={"ours": lambda _: 1.0, "theirs": lambda _: 2.0},
    bars=(
        Bar("ours", of="theirs", at_least=2),
        Bar("ours", column="stall ms", at_most=50),
        Bar("ours", at_least=300),
    ),
    about="Around the block.",
)
MEASURED = Measured(value=100.0, seconds=2.0, cpu=0.5, memory=3.0, servers={}, notes={})
OURS, THEIRS = Row("ours"), Row("theirs")


def raced(*both: tuple[float | None, float | None]) -> Rounds:
    rounds = Rounds(FIGURE, FIGURE.rows(full=True))
    for ours, theirs in both:
        for row, value in ((OURS, ours), (THEIRS, theirs)):
            rounds.add(row, None if value is None else attrs.evolve(MEASURED, value=value))
    return rounds


def test_a_ratio_is_that_of_each_round() -> None:
    rounds = raced((100, 10), (200, 100), (300, 100))
    assert rounds.values(OURS) == Spread(200, 100, 300)
    # The quotient of the medians would be 2.
    assert rounds.ratio("ours", "theirs") == Spread(3, 2, 10)


def test_a_round_in_which_one_has_failed_has_no_ratio() -> None:
    rounds = raced((100, 10), (None, 100), (300, None))
    assert rounds.ratio("ours", "theirs") == Spread(10, 10, 10)
    assert rounds.values(OURS) == Spread(200, 100, 300)


def test_bars_are_met_or_missed_or_reached_by_nobody() -> None:
    rounds = raced((100, 60), (300, 100))
    rounds.add(OURS, attrs.evolve(MEASURED, value=250, notes={"stall ms": 50.0}))
    ratio, stall, value = rounds.verdicts()
    assert (ratio.met, stall.met, value.met) == (True, True, False)
    assert stall.reached == Spread(50, 50, 50)
    assert [verdict.met for verdict in raced((None, 5)).verdicts()] == [False] * 3
    assert "**missed**: ours: at least 2x theirs; reached nothing" in text(raced((None, 5)))


def test_a_bar_says_one_thing() -> None:
    for wrong in ({}, {"at_least": 1.0, "at_most": 2.0}):
        with pytest.raises(ValueError, match="needs at_least= or at_most="):
            Bar("ours", **wrong)


def test_a_server_that_is_busy_is_named() -> None:
    rounds = Rounds(FIGURE, FIGURE.rows(full=True))
    rounds.add(OURS, attrs.evolve(MEASURED, servers={"sink": 0.2, "proxy": 0.95}))
    rounds.add(THEIRS, attrs.evolve(MEASURED, servers={"sink": 0.6}))
    assert rounds.crowded() == ["ours"]
    assert "- ours: the server used 90% of a core or more" in text(rounds)


def test_points_are_rows_of_their_own() -> None:
    figure = attrs.evolve(FIGURE, points=(10, 100_000), tiny_points=(3,))
    names = [row.name for row in figure.rows(full=True)]
    assert names == ["ours @ 10", "ours @ 100,000", "theirs @ 10", "theirs @ 100,000"]
    assert [row.point for row in figure.rows(full=False)] == [3, 3]


def test_growth_is_drawn_as_lines(tmp_path: Path) -> None:
    figure = attrs.evolve(FIGURE, points=(10, 1_000), over="open jobs", log=True, bars=())
    rounds = Rounds(figure, figure.rows(full=True))
    for row in rounds.rows:
        rounds.add(row, MEASURED if row.name != "theirs @ 10" else None)
    write([Section("track", "today", ["a machine"], [rounds])], tmp_path)
    drawn = (tmp_path / "plots" / "track-race.svg").read_text()
    assert "<!-- open jobs -->" in drawn
    assert "<!-- ours -->" in drawn


def test_what_is_kept_says_the_same(tmp_path: Path) -> None:
    rounds = raced((100, 60), (None, 100))
    rounds.failures["ours"] = "no end within 1 s"
    kept = json.loads(json.dumps(unstructured(rounds)))
    assert structured(FIGURE, rounds.rows, kept) == rounds
    page = write([Section("track", "today", ["a machine"], [rounds])], tmp_path).read_text()
    assert "| ours | 100 | 1 | 0.5 |  | 3 |" in page
    assert "- ours failed: no end within 1 s" in page
    assert "| A race | ours: at least 2x theirs | 1.67x | **missed** |" in page
    assert "Around the block." in page
    assert (tmp_path / "plots" / "track-race.svg").read_bytes().startswith(b"<?xml")


def test_only_what_still_exists_is_read_again(tmp_path: Path) -> None:
    keep(Section("program", "today", ["a machine"], [raced((1, 2))]), tmp_path)
    (section,) = kept_sections(tmp_path, full=True)
    assert (section.area, section.figures) == ("program", [])


def test_a_case_that_cannot_run_is_told_and_the_rest_goes_on() -> None:
    rounds = measure("swimming", FIGURE, 1, full=False)
    assert rounds.values(OURS) is None
    assert rounds.failures["ours"].startswith("ModuleNotFoundError: No module named")
    assert rounds.failures.keys() == {"ours", "theirs"}


def test_a_case_that_fails_again_and_again_is_given_up() -> None:
    rounds = raced((None, 1), (1, 1))
    assert not rounds.hopeless(OURS)
    rounds.add(OURS, None)
    assert rounds.hopeless(OURS)
    assert not rounds.hopeless(THEIRS)


def test_a_case_that_hangs_is_ended() -> None:
    rounds = measure("program", attrs.evolve(FIGURE, patience=0.01), 1, full=False)
    assert rounds.failures["theirs"] == "no end within 0.01 s"


# A server beside a case

SERVER = """
import json, sys
print(json.dumps({"url": "http://127.0.0.1:1"}), flush=True)
asked = len(sys.stdin.read())
print(json.dumps({"asked": asked}), flush=True)
"""


def test_a_server_lives_as_long_as_its_block(tmp_path: Path) -> None:
    run = Run(tmp_path, full=False)
    with run.server([sys.executable, "-c", SERVER]) as server:
        assert server["url"] == "http://127.0.0.1:1"
        with run.timed() as took:
            assert server.running
        assert server.end() == server.end() == {"asked": 0}
        assert not server.running
    assert 0 < took.seconds == run.measured(1).seconds
    assert took.servers.keys() == {server.name}


def test_a_server_that_does_not_start_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path, full=False)
    with (
        pytest.raises(RuntimeError, match="has ended with 3"),
        run.server([sys.executable, "-c", "raise SystemExit(3)"]),
    ):
        pass


def test_memory_is_what_was_held_at_once(tmp_path: Path) -> None:
    """In a process of its own, as cases are: this one has freed memory to hand out again."""
    program = f"""
from pathlib import Path
from benchmarks.harness import Run
run = Run(Path({str(tmp_path)!r}), full=True)
with run.timed():
    held = bytearray(b"x") * 40_000_000
print(run.measured(len(held)).memory)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "None\n" or float(done.stdout) > 30


def test_what_is_measured(tmp_path: Path) -> None:
    run = Run(tmp_path, full=True)
    with run.timed():
        run.note("bytes", 5)
    measured = run.measured(7)
    assert (measured.value, measured.notes) == (7, {"bytes": 5})
    with pytest.raises(RuntimeError, match="one timed block"), run.timed():
        pass


# The schedule that nobody can beat, of the whole program


@pytest.mark.parametrize(
    ("lasting", "seconds"),
    [
        ([1.0], 0.06 + 1 + 0.02),
        ([0.1] * 5, 0.06 + 0.1 + 0.02),  # five at once
        ([0.1] * 6, 0.06 + 10 + 0.1 + 0.02),  # the sixth waits for the window
        ([30.0] * 6, 0.06 + 60 + 0.02),  # for a slot
        ([30.0, 12.0, 30.0, 30.0, 30.0, 1.0], 0.06 + 30 + 0.02),  # in the slot that is free first
        ([10.0] * 200, 0.06 + 40 * 10 + 0.02),
    ],
)
def test_the_schedule_that_nobody_can_beat(lasting: list[float], seconds: float) -> None:
    assert schedule(lasting, latency=0.02, minute=10.0) == pytest.approx(seconds)
