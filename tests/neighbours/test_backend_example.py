"""The example of a web backend, under uvicorn, with a real browser before it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import expect

from piktid_async.sandbox import Sandbox
from tests.cli.support import draw_garment
from tests.neighbours.chromium import PHONE, PROGRAM, chromium, shown
from tests.neighbours.conftest import needs
from tests.test_examples import EXAMPLES, SERVES, free_port

pytestmark = [
    pytest.mark.chromium,
    needs("chromium", PROGRAM is not None, "chromium is not installed (Debian: chromium)"),
]
WATCH = """() => {
  const bar = document.querySelector("progress");
  window.seen = [];
  new MutationObserver(() => window.seen.push(bar.value)).observe(bar, { attributes: true });
}"""
"""What the bar shows, each time that it moves."""
SLOW = 30_000
EXAMPLE = next(each for each in EXAMPLES if each.name == SERVES)


@asynccontextmanager
async def backend(sandbox: Sandbox) -> AsyncIterator[str]:
    """Run the example as a program of its own; it must end in good order, and say nothing."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", EXAMPLE),
        env=os.environ
        | {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url, "PORT": str(port)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await listening(port)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
    except BaseException:
        process.kill()
        raise
    finally:
        _, err = await process.communicate()
    assert err.decode() == ""


async def listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def test_a_picture_is_chosen_progress_moves_and_the_result_appears(tmp_path: Path) -> None:
    photo = draw_garment(tmp_path / "front.jpg", color="#c04030")
    async with (
        Sandbox(seconds_per_image=0.3, image_scale=0.1) as sandbox,
        backend(sandbox) as url,
        chromium() as browser,
        shown(browser, url, PHONE) as found,
    ):
        page, bar = found.page, found.page.locator("progress")
        await expect(bar).to_be_hidden()
        await page.evaluate(WATCH)
        await page.set_input_files("[type=file]", photo)
        await page.get_by_label("Colour").fill("navy")
        await page.get_by_role("button", name="Recolor").click()
        await expect(bar).to_be_visible()
        await expect(page.get_by_role("status")).to_have_text("completed", timeout=SLOW)
        seen = await page.evaluate("window.seen")
        assert (seen[0], seen[-1]) == (0, 100)
        assert seen == sorted(seen)
        assert await found.pictures() == 2
        assert await found.overflow() == 0
        assert found.said == []
        assert len(sandbox.books.jobs) == 1


async def test_what_the_service_cannot_do_is_told_on_the_page(tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no picture")
    async with (
        Sandbox() as sandbox,
        backend(sandbox) as url,
        chromium() as browser,
        shown(browser, url) as found,
    ):
        await found.page.set_input_files("[type=file]", wrong)
        await found.page.get_by_role("button", name="Recolor").click()
        await expect(found.page.get_by_role("status")).to_have_text(
            re.compile("could not be read"), timeout=SLOW
        )
