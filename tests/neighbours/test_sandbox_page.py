"""The sandbox's page in a real browser, while the session works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.typedefs import Handler
from playwright.async_api import Browser, expect

from piktid_async import AccountLimits, GarmentRecolor, Job, Session
from piktid_async.sandbox import Faults, Sandbox
from tests.cli.support import draw_garment
from tests.neighbours.chromium import (
    BRIGHTNESS,
    DESKTOP,
    PHONE,
    PROGRAM,
    Scheme,
    Shown,
    chromium,
    shown,
)
from tests.neighbours.conftest import needs
from tests.neighbours.serving import serving

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.asyncio(loop_scope="module"),
    needs("chromium", PROGRAM is not None, "chromium is not installed (Debian: chromium)"),
]

LONG = "a-name-without-any-place-to-break-it-" * 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    colors = {"one.jpg": "#c04030", "two.jpg": "#3040c0"}
    return [draw_garment(folder / name, color=color) for name, color in colors.items()]


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[Sandbox, Session]]:
    chosen = {"image_scale": 0.05, "seconds_per_image": 0.02, "limits": False, **options}
    async with (
        Sandbox(**chosen) as sandbox,
        Session(sandbox.token, base_url=sandbox.url, limits=AccountLimits.unlimited()) as session,
    ):
        yield sandbox, session


async def submit(session: Session, photos: list[Path], name: str = "spring-drop") -> Job:
    project = await session.projects.ensure(name)
    images = [await session.upload(photo, filename=f"{name}-{photo.name}") for photo in photos]
    return await session.submit(
        GarmentRecolor(project=project, images=images, reference_text="navy", num_variations=2)
    )


def strangers(found: Shown, sandbox: Sandbox) -> list[str]:
    return [url for url in found.asked if not url.startswith((f"{sandbox.url}/", "data:"))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_a_job_appears_while_it_is_made(
    browser: Browser, photos: list[Path], size: tuple[int, int], scheme: Scheme
) -> None:
    async with running() as (sandbox, session), shown(browser, sandbox.url, size, scheme) as found:
        page = found.page
        await expect(page.get_by_text("No job yet.")).to_be_visible()
        await expect(page.locator("#line")).to_have_text(sandbox.url.removeprefix("http://"))
        job = await submit(session, photos, LONG)
        card = page.locator(f'[data-job="{job.id}"]')
        await expect(card).to_be_visible()
        result = await job
        assert len(result.ok) == 4
        await expect(card.locator(".state")).to_have_text("completed")
        await expect(card.get_by_role("img")).to_have_count(6)
        assert await found.pictures() == 8
        await expect(page.locator("#events li", has_text="batch_edit")).to_have_count(6)
        await expect(page.locator("#events .tag", has_text="handled")).to_have_count(10)
        await expect(page.locator("#projects")).to_contain_text(LONG)
        await expect(page.locator("#uploads img")).to_have_count(2)
        assert await found.overflow() == 0
        brightness = await page.evaluate(BRIGHTNESS)
        assert brightness < 60 if scheme == "dark" else brightness > 200
        content = await page.content()
        assert sandbox.token not in content
        assert "X-Amz" not in content
        # What the page reads is none of the account's.
        assert (sandbox.books.open_streams, sandbox.books.stream_connections) == (1, 1)
        assert len(sandbox.books.acknowledged) == 10
        assert strangers(found, sandbox) == []
    assert found.said == []


async def test_faults_are_switched_on_and_off(browser: Browser, photos: list[Path]) -> None:
    async with running() as (sandbox, session), shown(browser, sandbox.url) as found:
        page = found.page
        await page.get_by_role("switch", name="images_fail").check()
        active = page.locator("#active")
        await expect(active).to_contain_text("images_fail")
        assert sandbox.faults.rates == {"images_fail": 1}
        job = await submit(session, photos)
        card = page.locator(f'[data-job="{job.id}"]')
        await expect(card.locator(".state")).to_have_text("failed")
        await expect(card.get_by_text("The image could not be generated").first).to_be_visible()
        await page.get_by_role("switch", name="images_fail").uncheck()
        await expect(active).to_have_text("None is on.")
        assert sandbox.faults.rates == {}
        await page.get_by_label("images_fail: how many times").fill("1")
        await page.keyboard.press("Enter")
        await expect(active).to_contain_text("images_fail")
        assert sandbox.faults.images_fail == 1
        await page.get_by_text("Event stream", exact=True).click()
        await page.get_by_role("switch", name="stream_refuse").check()
        await expect(active).to_contain_text("stream_refuse")
        assert sandbox.faults.stream_refuse
        await page.get_by_role("button", name="All off").click()
        await expect(active).to_have_text("None is on.")
        assert sandbox.faults.options() == Faults().options()
    assert found.said == []


async def test_a_fault_that_is_refused_is_told(browser: Browser) -> None:
    async with running() as (sandbox, _), shown(browser, sandbox.url) as found:
        await found.page.get_by_label("images_fail: how many times").fill("-1")
        await found.page.keyboard.press("Enter")
        await expect(found.page.get_by_role("alert")).to_contain_text("images_fail")
        assert sandbox.faults.images_fail == 0


async def test_no_fault_befalls_the_page_and_a_restart_is_survived(
    browser: Browser, photos: list[Path]
) -> None:
    faults = Faults(rates={"errors": 1.0, "reset_before": 1.0}, drop_events=1)
    async with (
        running(faults=faults) as (sandbox, session),
        shown(browser, sandbox.url) as found,
    ):
        line = found.page.locator("#line")
        await expect(line).to_have_class("live")
        assert faults.counts == {}
        faults.clear()
        await sandbox.kill()
        await expect(line).to_have_class("gone")
        await sandbox.start()
        await expect(line).to_have_class("live")
        job = await submit(session, photos)
        await job
        done = found.page.locator(f'[data-job="{job.id}"] .state')
        await expect(done).to_have_text("completed")


async def test_the_webhook_is_shown_without_its_secrets(browser: Browser) -> None:
    taken: list[str] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(request.headers["X-Webhook-Signature"])
        return web.Response()

    async with (
        running() as (sandbox, session),
        serving(everywhere(take)) as receiver,
        shown(browser, sandbox.url) as found,
    ):
        await expect(found.page.locator("#webhook")).to_have_text("None is registered.")
        hook = await session.webhooks.register(f"{receiver}/hook?key=private")
        webhook = found.page.locator("#webhook")
        await expect(webhook).to_contain_text(f"{receiver}/hook")
        await expect(webhook).to_contain_text("1 delivered, 0 given up, last answer 200")
        content = await found.page.content()
        assert "private" not in content
        assert hook.secret not in content
    assert len(taken) == 1


async def test_a_page_of_another_origin_sees_and_changes_nothing(browser: Browser) -> None:
    """Another program on this machine serves a page that tries all it can."""
    attempts = """async ([url, key]) => {
      const tried = async (what) => {
        try { return await what() } catch (error) { return "refused" }
      };
      const put = (headers) => tried(async () => (await fetch(`${url}/_sandbox/faults`, {
        method: "PUT", mode: headers ? "cors" : "no-cors", headers, body: '{"images_fail": 9}',
      })).status);
      const events = () => new Promise((resolve) => {
        const source = new EventSource(`${url}/_sandbox/page/events`);
        source.onmessage = source.onopen = () => resolve("open");
        source.onerror = () => { source.close(); resolve("refused") };
      });
      const frame = () => new Promise((resolve) => {
        const inner = document.body.appendChild(document.createElement("iframe"));
        inner.onload = () => tried(() => resolve(inner.contentDocument ? "seen" : "refused"));
        inner.src = url;
      });
      return [
        await put({ "X-Sandbox-Key": key, "Content-Type": "application/json" }),
        await put(),
        await tried(async () => (await fetch(url)).text()),
        await events(),
        await frame(),
      ];
    }"""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><body>", content_type="text/html")

    async with running() as (sandbox, _), serving(everywhere(page)) as elsewhere:
        key = sandbox._parts.visitors.key
        async with shown(browser, elsewhere) as found:
            answers = await found.page.evaluate(attempts, [sandbox.url, key])
        assert answers == ["refused"] * 5
        assert sandbox.faults.images_fail == 0


def everywhere(handler: Handler) -> web.Application:
    """Answer every path alike."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    return app
