"""Debian's chromium without a window, and what a page does in it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias

import attrs
from playwright.async_api import Browser, Page, async_playwright

PROGRAM = shutil.which("chromium")
DESKTOP, PHONE = (1280, 900), (390, 844)
Scheme: TypeAlias = Literal["light", "dark"]

LOADED = """async () => {
  const images = [...document.images].filter((image) => image.checkVisibility());
  for (const image of images) {
    image.scrollIntoView({ behavior: "instant" });
    await image.decode();
  }
  return images.filter((image) => image.complete && image.naturalWidth > 0).length;
}"""
WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"
BRIGHTNESS = """() => {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g);
  return (Number(red) + Number(green) + Number(blue)) / 3;
}"""


@attrs.define
class Shown:
    """A page that is open, and what it has said and asked for."""

    page: Page
    said: list[str] = attrs.field(factory=list)
    """Errors and warnings on its console, and what it did not catch."""
    asked: list[str] = attrs.field(factory=list)

    async def pictures(self) -> int:
        """Go through all its pictures; return how many there are. One that is broken raises."""
        return int(await self.page.evaluate(LOADED))

    async def overflow(self) -> int:
        """Return by how many pixels it is wider than its window."""
        wide, window = await self.page.evaluate(WIDTHS)
        return int(wide) - int(window)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run it; nothing is fetched, and it ends with the block."""
    async with async_playwright() as playwright:
        # Root may not have the browser's own cage, and pages of this project need none.
        browser = await playwright.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def shown(
    browser: Browser,
    url: str,
    size: tuple[int, int] = DESKTOP,
    scheme: Scheme = "light",
    **options: Any,
) -> AsyncIterator[Shown]:
    """Open a page in a fresh profile."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **options
    )
    try:
        found = Shown(await context.new_page())
        found.page.set_default_timeout(20_000)
        found.page.on("request", lambda request: found.asked.append(request.url))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("console", lambda message: found.said.append(message.text))
        await found.page.goto(url)
        yield found
    finally:
        await context.close()
