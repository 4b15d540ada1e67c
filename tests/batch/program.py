"""Programs to be killed: one with a journal, and one that anybody might write without.

    python program.py batch|naive URL TOKEN FOLDER LIMITS

FOLDER holds a folder of images for each product; results go beside it. LIMITS are
"active_jobs,per_window,window".
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from piktid_async import AccountLimits, GarmentRecolor, PiktidError, Session, StreamSettings
from piktid_async.batch import Batch, read_folder

QUICK = StreamSettings(
    keepalive=0.5,
    silent_after=1.0,
    silent_longest=2.0,
    poll_every=0.3,
    reconnect_base=0.01,
    reconnect_cap=0.2,
    open_wait=2.0,
    close_wait=1.0,
)
NOT_ALL_WELL = 3
SETTINGS = {"reference_text": "forest green", "processing_size": 1024}


def session_of(kind: str, url: str, token: str, limits: str) -> Session:
    active, per_window, window = limits.split(",")
    kept = AccountLimits(int(active), {"/garment-recolor": int(per_window)}, float(window))
    if kind == "naive":  # the queue would hold a slot for each lost answer, and slow it down
        kept = AccountLimits(None, {}, float(window))
    return Session(token, base_url=url, limits=kept, stream=QUICK, timeout=10.0)


async def batch(session: Session, folder: Path) -> int:
    journal = folder.parent / "batch.sqlite"
    async with session, Batch(session, journal) as running:
        async for _ in running.run(read_folder(folder, (GarmentRecolor, SETTINGS))):
            pass
        return 0 if running.summary.ok else NOT_ALL_WELL


async def naive(session: Session, folder: Path) -> int:
    """Keep no journal, but leave out what is on disk, and retry what fails: a careful beginner."""

    async def make(images: Path) -> None:
        target = folder.parent / "naive" / images.name
        while not list(target.glob("*.jpg")):
            try:
                project = await session.projects.ensure("naive")
                files = await session.upload_many(sorted(images.iterdir()))
                job = await session.submit(
                    GarmentRecolor(project=project, images=files, **SETTINGS)
                )
                await job.download(target)
            except PiktidError:
                continue

    queue = sorted(folder.iterdir(), reverse=True)

    async def work() -> None:
        while queue:
            await make(queue.pop())

    async with session:
        await asyncio.gather(*(work() for _ in range(32)))
    return 0


if __name__ == "__main__":
    kind, url, token, folder, limits = sys.argv[1:]
    program = {"batch": batch, "naive": naive}[kind]
    sys.exit(asyncio.run(program(session_of(kind, url, token, limits), Path(folder))))
