"""A folder of products, in a batch that goes on wherever it was stopped: run it again.

Each folder below `products` is a product. Nothing is uploaded, paid or fetched twice.
"""

import asyncio
import sys
from pathlib import Path

from piktid_async import BudgetExceededError, GarmentRecolor, Session
from piktid_async.batch import Batch, read_folder

FOREST = (GarmentRecolor, {"reference_text": "forest green", "processing_size": 1024})


def sort_into_products() -> None:
    """Make one folder of each picture; yours are sorted already."""
    for picture in Path().glob("*.jpg"):
        folder = Path("products") / picture.stem
        folder.mkdir(parents=True, exist_ok=True)
        picture.rename(folder / picture.name)


async def run(max_credits: float) -> None:
    async with (
        Session() as session,
        Batch(session, "forest.sqlite", max_credits, directory="forest") as batch,
    ):
        plan = await batch.plan(read_folder("products", FOREST))
        print(f"{plan.to_submit} to submit, {plan.credits:g} credits")
        try:
            async for outcome in batch.run(read_folder("products", FOREST)):
                told = outcome.error or ", ".join(map(str, outcome.files))
                print(f"{outcome.product.key}: {told}", file=sys.stderr if outcome.error else None)
        except BudgetExceededError:
            print("the budget is spent; what is left waits in the journal")
        async for doubt in batch.in_doubt():
            print(f"{doubt.product.key}: there may be a job since {doubt.since}: {doubt.reason}")
        print(f"{batch.summary.states}, {batch.summary.credits_used:g} credits")


sort_into_products()
asyncio.run(run(max_credits=6))
asyncio.run(run(max_credits=100))
