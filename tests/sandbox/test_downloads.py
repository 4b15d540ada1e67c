"""`POST /download/bulk`."""

from __future__ import annotations

import io
import zipfile

import pytest


async def unpacked(caller, url):
    status, packed = await caller.fetch(url)
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return archive.namelist()


async def test_the_zip_of_several_jobs_has_a_folder_for_each(caller):
    one, two = await caller.finished(), await caller.finished(num_variations=2)
    status, body = await caller.post("/download/bulk", {"job_ids": [one, two, one]})
    assert status == 200
    assert set(body) == {"download_url", "expires"}
    assert await unpacked(caller, body["download_url"]) == [
        f"{one}/shirt_0_0_v0.jpg",
        f"{two}/shirt_0_0_v0.jpg",
        f"{two}/shirt_0_1_v0.jpg",
    ]
    _, body = await caller.post("/download/bulk", {"job_ids": [one]})
    assert await unpacked(caller, body["download_url"]) == ["shirt_0_0_v0.jpg"]


async def test_a_hundred_images_are_the_most(caller):
    images = [await caller.upload()] * 10
    ten, eight = (
        await caller.finished(images=images, num_variations=5),
        await caller.finished(images=images, num_variations=5),
    )
    assert (await caller.post("/download/bulk", {"job_ids": [ten, eight]}))[0] == 200
    more = await caller.finished()
    status, body = await caller.post("/download/bulk", {"job_ids": [ten, eight, more]})
    assert (status, body) == (400, {"error": "Too many images: 101, at most 100 per download"})


@pytest.mark.parametrize("wrong", [{}, {"job_ids": "x"}, {"job_ids": []}, {"job_ids": [7]}])
async def test_a_malformed_list_is_a_400(caller, wrong):
    assert (await caller.post("/download/bulk", wrong))[0] == 400


async def test_an_unknown_job_is_a_404(caller):
    job_id = await caller.finished()
    assert (await caller.post("/download/bulk", {"job_ids": [job_id, "nobody"]}))[0] == 404
