"""The overview in a browser."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.browser import DESKTOP, PHONE, accessibility_problems, needs_axe, needs_browser, overflows, visiting
from tests.browser.test_requests import ask, open_page, serving

pytestmark = [pytest.mark.anyio, needs_browser]


async def test_figures_charts_and_periods(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, _), visiting(run.url) as page:
        await open_page(page, "/ui")
        await expect(page.get_by_role("heading", name="No request yet")).to_be_visible()
        await page.get_by_role("button", name="Copy").click()
        assert f"{run.url}/v1/chat/completions" in await page.evaluate("navigator.clipboard.readText()")
        await ask(run, "r1")
        await ask(run, "r2", key="ALICE")
        await ask(run, "r3", model="no-such-model", key="ALICE")
        await run.records()
        await page.reload()
        await expect(page.locator(".figure:has(dt:text-is('Requests')) dd")).to_have_text("3")
        await expect(page.locator(".figure:has(dt:text-is('Errors')) dd")).to_contain_text("33% of requests")
        await expect(page.locator(".plot canvas")).to_have_count(2)
        await expect(page.get_by_role("heading", name="Up to 3 requests in an hour, 33% failed")).to_be_visible()
        await expect(page.get_by_role("link", name="alice")).to_be_visible()
        await page.get_by_role("link", name="30 days").click()
        await expect(page.get_by_role("heading", name="Up to 3 requests in a day, 33% failed")).to_be_visible()
        await page.get_by_role("link", name="alice").click()
        await expect(page.locator("tbody tr")).to_have_count(2)


@needs_axe
@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (DESKTOP, True)])
async def test_the_overview_is_accessible_and_fits(tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    async with serving(tmp_path) as (run, _), visiting(run.url, size, dark=dark) as page:
        run.service.reload_error = "models[0].price: expected a number"
        await open_page(page, "/ui")
        for _ in range(2):
            assert await overflows(page) == 0
            assert await accessibility_problems(page) == []
            await ask(run, "r1")
            await run.records()
            await page.reload()
            await expect(page.locator(".plot canvas")).to_have_count(2)
