from __future__ import annotations

import io
import subprocess
import sys
import time

import pytest

Image = pytest.importorskip("PIL.Image")


def photo() -> bytes:
    picture = Image.new("RGB", (300, 400), (240, 240, 240))
    picture.paste((200, 40, 40), (70, 100, 230, 340))
    written = io.BytesIO()
    picture.save(written, "JPEG")
    return written.getvalue()


async def test_real_images_go_in_and_recoloured_ones_come_out(start):
    caller = await start(render=True, image_scale=0.1)
    images = [await caller.upload(b"no picture"), await caller.upload(photo())]
    job_id = await caller.finished(images=images, processing_size=1024)
    _, body = await caller.get(f"/jobs/{job_id}/results")
    unreadable, made = body["results"]
    assert body["status"] == "completed"
    assert unreadable["status"] == "failed"
    assert unreadable["error_message"]
    _, content = await caller.fetch(made["output"]["full_size"])
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "JPEG"
        assert max(picture.size) == 102
        red, green, blue = picture.convert("RGB").getpixel((38, 50))
    assert green > red
    assert green > blue
    _, content = await caller.fetch(made["output"]["thumbnail"])
    with Image.open(io.BytesIO(content)) as picture:
        assert max(picture.size) <= 512


async def test_a_swatch_that_is_no_picture_fails_every_image(start):
    caller = await start(render=True, image_scale=0.05)
    body = {
        "images": [await caller.upload(photo())],
        "reference_image": await caller.upload(b"no picture"),
    }
    job_id = await caller.finished(reference_text=None, **body)
    assert caller.sandbox.books.jobs[job_id].status == "failed"


async def test_it_stops_soon_while_large_pictures_are_being_made(start):
    caller = await start(render=True)
    stream = await caller.stream()
    image = await caller.upload(photo())
    for _ in range(4):
        await caller.submit(images=[image], num_variations=8, processing_size=4096)
        await stream.live()
    began = time.monotonic()
    await caller.sandbox.stop()
    assert time.monotonic() - began < 1.0


def test_without_rendering_neither_pillow_nor_numpy_is_loaded():
    program = "import sys, piktid_async.sandbox; print({'PIL', 'numpy'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"
