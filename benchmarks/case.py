"""Run one case of the benchmark once, in this process, and print what it found as a line of JSON.

python -m benchmarks.case uploads small "piktid-async" --tiny
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import sys
import tempfile
import traceback
from collections.abc import Coroutine
from pathlib import Path

import attrs

from benchmarks.harness import Figure, Run


def figures(area: str) -> list[Figure]:
    """Return what an area measures."""
    return list(importlib.import_module(f"benchmarks.areas.{area}").FIGURES)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("area")
    parser.add_argument("figure")
    parser.add_argument("case")
    parser.add_argument("--point", type=int)
    parser.add_argument(
        "--tiny", action="store_true", help="little input: only to see that it runs"
    )
    chosen = parser.parse_args()
    figure = next(each for each in figures(chosen.area) if each.key == chosen.figure)
    measure = figure.cases[chosen.case]
    with tempfile.TemporaryDirectory(prefix="piktid-bench-") as folder:
        run = Run(Path(folder), full=not chosen.tiny, point=chosen.point)
        try:
            value = measure(run)
            if inspect.isawaitable(value):
                assert isinstance(value, Coroutine)
                value = asyncio.run(value)
        except Exception as error:
            traceback.print_exc()
            first = _first(error)
            print(f"{type(first).__name__}: {first}", file=sys.stderr)  # the line that is quoted
            return 1
    print(json.dumps(attrs.asdict(run.measured(value))))
    return 0


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(main())
