"""Upload a folder of any size, and go on past the pictures that fail.

Sources are drawn as there is room, so a million of them need no more memory than ten.
"""

import asyncio
import sys
from pathlib import Path

from piktid_async import Session, UploadProgress


def show(progress: UploadProgress) -> None:
    if sys.stderr.isatty():
        share = progress.sent / progress.total if progress.total else 1
        print(f"\r{progress.source}: {share:4.0%}", end="", file=sys.stderr)


async def upload(sources: list[Path]) -> None:
    arrived = {}
    async with Session(upload_concurrency=16) as session:
        async for outcome in session.upload_each(sources, on_progress=show):
            if outcome.file is not None:
                arrived[outcome.source] = outcome.file.file_id
            else:
                print(f"{outcome.source} did not arrive: {type(outcome.error).__name__}")
    print(f"{len(arrived)} of {len(sources)} arrived")


asyncio.run(upload([*sorted(Path().glob("*.jpg")), Path("no-such-picture.jpg")]))
