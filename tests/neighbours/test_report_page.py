"""The report of a run in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from piktid_async.cli.report_page import Entry, Made, ReportPage, write_report
from tests.cli.support import draw_garment
from tests.neighbours.chromium import BRIGHTNESS, DESKTOP, PHONE, PROGRAM, Scheme, chromium, shown
from tests.neighbours.conftest import needs

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.asyncio(loop_scope="module"),
    needs("chromium", PROGRAM is not None, "chromium is not installed (Debian: chromium)"),
]

LONG = "a-name-without-any-place-to-break-it-" * 8
EVIL = '"><img src=x onerror="hacked=1"><script>hacked=1</script><b>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def entries(folder: Path) -> list[Entry]:
    """Twelve products, of which two have failed and one is in doubt."""
    before = draw_garment(folder / "before.jpg", size=(320, 400))
    after = draw_garment(folder / "after.jpg", color="#2c5a3c", size=(320, 400))
    made = Made(path=after, engine="nano_banana_2")
    ok = [
        Entry(
            name=f"coat-{number}",
            state="ok",
            inputs=[before],
            outputs=[made] * (1 + number % 3),
            job_id=f"job_{number}",
            credits=5.0,
            began=1000.0 + number,
            ended=1003.0 + 1.5 * number,
        )
        for number in range(9)
    ]
    lost = Made(label=LONG, error=f"The image could not be generated: {LONG}")
    return [
        *ok,
        attrs.evolve(ok[0], name=EVIL, state="failed", outputs=[made, lost], error=EVIL),
        attrs.evolve(ok[0], name=LONG, job_id=LONG, state="failed", outputs=[], error=LONG),
        Entry(name="Scarf", state="in_doubt", inputs=[before], error="it may have a job"),
    ]


@pytest.fixture(scope="module")
def report(folder: Path, entries: list[Entry]) -> str:
    page = ReportPage(
        title="Forest green",
        entries=entries,
        facts=["local sandbox", LONG],
        seconds=47.0,
        stopped=f"The token was refused: {LONG}",
        colors=True,
    )
    return write_report(page, folder / "report.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_every_picture_loads_nothing_else_does_and_nothing_is_too_wide(
    browser: Browser, report: str, size: tuple[int, int], scheme: Scheme
) -> None:
    async with shown(browser, report, size, scheme) as found:
        assert await found.pictures() == 31
        assert await found.overflow() == 0
        brightness = await found.page.evaluate(BRIGHTNESS)
        assert brightness < 60 if scheme == "dark" else brightness > 200
        await expect(found.page.get_by_role("img", name="Timeline: 11 products")).to_be_visible()
        assert await found.page.evaluate("window.hacked") is None
    assert [url for url in found.asked if not url.startswith("data:image/jpeg")] == [report]
    assert found.said == []


async def test_filters_and_search_leave_what_is_asked_for(browser: Browser, report: str) -> None:
    async with shown(browser, report) as found:
        page, cards = found.page, found.page.locator(".card:visible")
        for label, count in (("Failed 2", 2), ("In doubt 1", 1), ("OK 9", 9), ("All 12", 12)):
            await page.get_by_text(label, exact=True).click()
            await expect(cards).to_have_count(count)
        search = page.get_by_role("searchbox", name="Search by name")
        await search.fill("COAT-1")
        await expect(cards).to_have_count(1)
        await expect(page.get_by_role("status")).to_have_text("1 of 12 shown")
        await search.fill("job_3")
        await expect(cards.locator("h2")).to_contain_text("coat-3")
        await page.get_by_text("Failed 2", exact=True).click()
        await expect(cards).to_have_count(0)
        await expect(page.get_by_text("Nothing to show.")).to_be_visible()
    assert found.said == []


async def test_filters_need_no_script_and_a_keyboard_is_enough(
    browser: Browser, report: str
) -> None:
    async with shown(browser, report, java_script_enabled=False) as found:
        page, cards = found.page, found.page.locator(".card:visible")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("radio", name="All 12")).to_be_focused()
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("ArrowRight")
        await expect(cards).to_have_count(2)
        await expect(page.get_by_role("searchbox")).to_have_count(0)


async def test_a_picture_is_shown_large_and_goes_back(browser: Browser, report: str) -> None:
    async with shown(browser, report) as found:
        page = found.page
        picture = page.get_by_role("img", name="coat-2, before")
        small = await picture.bounding_box()
        await picture.click()
        await expect(page.locator("figure:target")).to_have_count(1)
        large = await picture.bounding_box()
        assert small is not None
        assert large is not None
        assert large["height"] >= 400 > small["height"]  # its own size
        assert abs(large["x"] + large["width"] / 2 - DESKTOP[0] / 2) < 20
        await page.keyboard.press("Escape")
        await expect(page.locator("figure:target")).to_have_count(0)
        assert await page.evaluate("document.activeElement.href.split('#')[1]") == "p3-0"
        await page.keyboard.press("Enter")
        await page.mouse.click(20, 20)
        await expect(page.locator("figure:target")).to_have_count(0)
    assert found.said == []


async def test_the_timeline_leads_to_its_product(browser: Browser, report: str) -> None:
    async with shown(browser, report) as found:
        page = found.page
        await page.get_by_text("Failed 2", exact=True).click()
        await page.locator('rect[data-go="p9"]').click()
        await expect(page.locator("#p9")).to_be_in_viewport()
        await expect(page.get_by_role("radio", name="All 12")).to_be_checked()


async def test_a_thousand_products_open_and_scroll(
    browser: Browser, folder: Path, entries: list[Entry]
) -> None:
    small = draw_garment(folder / "small.jpg", size=(64, 80))
    one = attrs.evolve(entries[0], inputs=[small], outputs=[Made(path=small)])
    thousand = [
        attrs.evolve(one, name=f"coat-{number}", began=1000.0 + number, ended=1005.0 + number)
        for number in range(1000)
    ]
    page = ReportPage(title="A thousand", entries=thousand)
    report = write_report(page, folder / "thousand.html").as_uri()
    async with shown(browser, report, PHONE) as found:
        assert await found.page.locator(".card").count() == 1000
        last = found.page.locator("#p1000 .output img")
        await last.scroll_into_view_if_needed()
        await expect(last).to_be_in_viewport()
        assert await last.evaluate("async image => { await image.decode(); return image.width }")
        assert await found.overflow() == 0
        await found.page.get_by_role("searchbox").fill("coat-50")
        await expect(found.page.get_by_role("status")).to_have_text("11 of 1,000 shown")
        await expect(found.page.locator(".card:not([hidden])")).to_have_count(11)
    assert found.said == []
