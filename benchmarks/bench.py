"""Measure the SDK beside what else one would use, and write RESULTS.md; `make bench` runs it.

    python -m benchmarks.bench                       # everything, in about 45 minutes
    python -m benchmarks.bench stream acks           # some areas; the others keep their tables
    python -m benchmarks.bench --tiny                # everything once on little input: does it run?

Each case runs in a process of its own, in turn with those it is compared with. Ends with 1 if a
case has failed; a bar that was missed is only printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine, report
from benchmarks.case import figures
from benchmarks.harness import ROOT, Figure, Measured, Row, cores
from benchmarks.report import Section
from benchmarks.rounds import Rounds, structured, unstructured

FOLDER = Path(__file__).parent
AREAS = tuple(sorted(path.stem for path in (FOLDER / "areas").glob("[a-z]*.py")))


class CaseFailedError(Exception):
    """A case did not come to its end."""


def run_case(area: str, figure: Figure, row: Row, *, full: bool) -> Measured:
    """Run a case once, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.case", area, figure.key, row.case]
    command += [] if row.point is None else [f"--point={row.point}"]
    command += [] if full else ["--tiny"]
    try:
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=figure.patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise CaseFailedError(f"no end within {figure.patience:g} s") from None
    if ended.returncode:
        last = (ended.stderr.strip() or f"it ended with {ended.returncode}").splitlines()[-1]
        raise CaseFailedError(last)
    return Measured(**json.loads(ended.stdout.splitlines()[-1]))


def one_round(area: str, rounds: Rounds, number: int, *, full: bool) -> Iterator[Measured | None]:
    """Run every case once, another one first in each round; yield in the order of the rows."""
    rows = list(rounds.rows)
    turn = number % len(rows)

    def run(row: Row) -> Measured | None:
        if rounds.hopeless(row):
            return None
        try:
            return run_case(area, rounds.figure, row, full=full)
        except CaseFailedError as error:
            rounds.failures[row.name] = str(error)
            return None

    # Side by side nothing can be measured: only where there is nothing to measure.
    with ThreadPoolExecutor(1 if full else cores()) as workers:
        found = list(workers.map(run, rows[turn:] + rows[:turn]))
    yield from found[len(rows) - turn :] + found[: len(rows) - turn]


def measure(area: str, figure: Figure, number_of: int | None, *, full: bool) -> Rounds:
    """Run all rounds of a figure."""
    rounds = Rounds(figure, figure.rows(full=full))
    wanted = (number_of or figure.rounds) if full else 1
    if full and figure.warm_up:
        # On little input: what is compiled, linked and cached the first time is so by then.
        cold = Rounds(figure, figure.rows(full=False))
        _timed_round(f"{area} {figure.key}: warm-up", area, cold, 0, full=False)
    for number in range(wanted):
        name = f"{area} {figure.key}: round {number + 1} of {wanted}"
        found = _timed_round(name, area, rounds, number, full=full)
        for row, measured in zip(rounds.rows, found, strict=True):
            rounds.add(row, measured)
    return rounds


def _timed_round(
    name: str, area: str, rounds: Rounds, number: int, *, full: bool
) -> list[Measured | None]:
    began = time.monotonic()
    found = list(one_round(area, rounds, number, full=full))
    print(f"{name}, {time.monotonic() - began:.1f} s", flush=True)
    return found


def measure_area(
    area: str, wanted: Sequence[Figure], number_of: int | None, *, full: bool
) -> Section:
    """Run all figures of an area, and print what they say."""
    taken = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {machine.load():.1f} before it began"
    measured = []
    for figure in wanted:
        rounds = measure(area, figure, number_of, full=full)
        print(f"\n{figure.title}\n\n{report.text(rounds)}\n", flush=True)
        measured.append(rounds)
    return Section(area, taken, machine.describe(), measured)


# What is kept, so that one area can be measured anew


def keep(section: Section, folder: Path) -> None:
    """Write what was measured beside the page."""
    kept = {
        "taken": section.taken,
        "machine": section.machine,
        "figures": {rounds.figure.key: unstructured(rounds) for rounds in section.figures},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{section.area}.json").write_text(json.dumps(kept, indent=1) + "\n")


def kept_sections(folder: Path, *, full: bool) -> Iterator[Section]:
    """Read what was measured, as far as it is measured still."""
    for area in AREAS:
        path = folder / f"{area}.json"
        if not path.exists():
            continue
        kept = json.loads(path.read_text())
        measured = [
            structured(figure, figure.rows(full=full), kept["figures"][figure.key])
            for figure in figures(area)
            if figure.key in kept["figures"]
        ]
        yield Section(area, kept["taken"], kept["machine"], measured)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(AREAS)}")
    parser.add_argument("--tiny", action="store_true", help="little input, one round")
    parser.add_argument("--rounds", type=int, help="instead of five and more")
    parser.add_argument("--out", type=Path, help="a folder for RESULTS.md, its plots and its data")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.areas) - set(AREAS):
        parser.error(f"there is no area {', '.join(sorted(unknown))}; there are {', '.join(AREAS)}")
    full = not chosen.tiny
    # What is not measured with all care is not what stands in the project.
    careful = full and chosen.rounds is None
    out = chosen.out or (FOLDER if careful else None)
    began, failed = time.monotonic(), False
    if full and (load := machine.load()) > cores() / 2:
        print(f"The machine has other things to do (load {load:.1f}): this will be noisy.\n")
    # All of them now: one that cannot be imported is to be known before the others are measured.
    wanted = {area: figures(area) for area in AREAS}
    for area in chosen.areas or AREAS:
        section = measure_area(area, wanted[area], chosen.rounds, full=full)
        failed = failed or any(rounds.failures for rounds in section.figures)
        if out is not None:
            keep(section, out / "data")
            print(f"written: {report.write(list(kept_sections(out / 'data', full=full)), out)}\n")
    print(f"{'some cases have FAILED' if failed else 'all ran'}, {time.monotonic() - began:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
