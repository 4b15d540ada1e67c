"""Push a CSV of products through the service, for days if it must; run it again after any crash.

Each row names its pictures and its colour. Rows that cannot be read, and pictures that are none,
are told with their line and stop no other.
"""

import asyncio
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from piktid_async import GarmentRecolor, Session
from piktid_async.batch import Batch, read_csv

CATALOGUE = Path("catalogue.csv")


def write_a_catalogue() -> None:
    """Yours is there already."""
    with CATALOGUE.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["key", "images", "colour"])
        rows.writerow(["jacket", "front.jpg; back.jpg", "navy"])
        rows.writerow(["shirt", "model.jpg", "wine red"])
        rows.writerow(["ghost", "no-such-picture.jpg", "white"])


def request(row: Mapping[str, Any]) -> tuple[type[GarmentRecolor], dict[str, Any]]:
    return GarmentRecolor, {"reference_text": row["colour"], "processing_size": 1024}


async def main() -> None:
    async with Session() as session, Batch(session, "catalogue.sqlite", max_credits=500) as batch:
        async for outcome in batch.run(read_csv(CATALOGUE, request, by_row=True)):
            product = outcome.product
            if outcome.error is None:
                print(f"{product.key}: {len(outcome.files)} files")
            else:
                print(f"{product.key} ({product.line}): {type(outcome.error).__name__}")
        async for doubt in batch.in_doubt():
            print(f"{doubt.product.key}: there may be a job, see `piktid batch doubts`")
        print(f"{batch.summary.credits_used:g} of {batch.summary.credits_estimated:g} credits")


write_a_catalogue()
asyncio.run(main())
