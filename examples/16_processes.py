"""Several processes of one account: shared limits, and one event stream for all of them.

PIKTID_DATABASE names a PostgreSQL that all of them reach. Each process awaits what it submitted,
whichever of them holds the stream. Needs the extra: pip install 'piktid-async[postgres]'
"""

import asyncio
import multiprocessing
import os

from piktid_async import GarmentRecolor, PostgresCoordinator, Session


async def recolor(color: str) -> str:
    async with (
        PostgresCoordinator(os.environ["PIKTID_DATABASE"]) as coordinator,
        Session(coordinator=coordinator) as session,
    ):
        project = await session.projects.ensure("processes")
        image = await session.upload("front.jpg")
        result = await session.run(
            GarmentRecolor(project=project, images=[image], reference_text=color)
        )
        return f"{color}: {result.status}"


def work(color: str) -> str:
    return asyncio.run(recolor(color))


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        for line in processes.map(work, ["navy", "forest green", "wine red"]):
            print(line)
