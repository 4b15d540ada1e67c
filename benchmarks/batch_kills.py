"""Kill a batch of 2,000 products 25 times with SIGKILL, and print what was paid.

    python benchmarks/batch_kills.py [--products 2000] [--kills 25] [--seed 1] [--control]

A faulty sandbox on loopback loses answers, answers 5xx, cuts streams and uploads; the program is
`tests/batch/program.py`. With `--control` a program without a journal is put through the same.
The sandbox's minute lasts half a second, with 20 submissions in it, and 5 jobs run at once.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import side_by_side
from tests.batch.killing import PRICE, Plan, play


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--products", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", action="store_true")
    chosen = parser.parse_args()
    plan = Plan(
        products=chosen.products,
        kills=chosen.kills,
        seed=chosen.seed,
        per_window=20,
        seconds_per_image=0.02,
    )
    print(f"Python {platform.python_version()} on {platform.machine()}, seed {plan.seed}")
    kinds = ["batch", "naive"] if chosen.control else ["batch"]
    found = []
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="piktid-kills-") as folder:
            found.append(await play(kind, plan, Path(folder)))
    print(side_by_side(found, ("credits due", [books.products * PRICE for books in found])))
    return 0 if found[0].jobs == found[0].files == plan.products else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
