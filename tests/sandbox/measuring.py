"""Gets pictures out of a sandbox and measures them."""

from __future__ import annotations

import functools
import io

import numpy as np
from PIL import Image

from piktid_async.sandbox.imaging import sample_photos

PACKSHOT, FLAT, SWAP = "/create-packshot", "/flat-2-model", "/model-swap"
ARIA, NOOR, KOFI = (f"default-pro-0000000{number}" for number in (1, 2, 6))
TSHIRT, DRESS, CHINOS = 1, 3, 4


@functools.cache
def photo(index):
    return sample_photos(index + 1, size=480)[index].data


async def pictures(caller, job_id):
    found = {}
    for row in (await caller.results(job_id))["results"]:
        assert row["status"] == "completed", row["error_message"]
        _, content = await caller.fetch(row["output"]["full_size"])
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            found[row["image_index"], row["group_index"]] = picture
    return found


async def shots(caller, *instructions, path=PACKSHOT, photos=(TSHIRT,), **more):
    body = {
        "project_id": await caller.project(),
        "images": [await caller.upload(photo(index), filename="a.jpg") for index in photos],
        "instructions": list(instructions),
    }
    found = await pictures(caller, await caller.run(path, body | more))
    return list(found.values())


def pixels(picture):
    return np.asarray(picture.convert("RGB")).astype(float)


def rim(picture):
    """The outermost pixels, where no garment is."""
    values, edge = pixels(picture), max(2, min(picture.size) // 40)
    return np.concatenate(
        [
            values[:edge].reshape(-1, 3),
            values[:, :edge].reshape(-1, 3),
            values[:, -edge:].reshape(-1, 3),
        ]
    )


def difference(one, other):
    assert one.size == other.size
    return float(np.abs(pixels(one) - pixels(other)).mean())


def redness(picture):
    """How many of the pixels have the colour of the T-shirt."""
    red, green, blue = np.moveaxis(pixels(picture), -1, 0)
    return float(((red > 1.6 * green) & (red > 1.6 * blue) & (red > 90)).mean())
