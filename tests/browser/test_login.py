"""Login and logout in a browser."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import DESKTOP, PHONE, accessibility_problems, needs_axe, needs_browser, overflows, visiting
from tests.gateway.running import entry, gateway

pytestmark = [pytest.mark.anyio, needs_browser]
ADMIN = "the-admin-key-of-this-test"
KEYS = {"admin_key": "os.environ/ADMIN"}


async def log_in(page: Page, key: str = ADMIN) -> None:
    await page.goto("/ui")
    await page.get_by_label("Key", exact=True).fill(key)
    await page.get_by_role("button", name="Log in").click()


async def test_a_visitor_logs_in_and_out(tmp_path: Path) -> None:
    models = [entry("llama-8b", "http://127.0.0.1:9/v1")]
    async with gateway(tmp_path, models, gateway=KEYS, environment={"ADMIN": ADMIN}) as run:
        async with visiting(run.url, expected=(401,)) as page:
            await log_in(page, "a wrong key")
            await expect(page.get_by_role("alert")).to_contain_text("not one of this gateway's keys")
            await page.get_by_label("Key", exact=True).fill(ADMIN)
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
            (cookie,) = await page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/ui")
            assert ADMIN not in str(cookie)
            assert ADMIN not in await page.content()
            assert await page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"
            await page.get_by_role("button", name="Log out").click()
            await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
            await page.context.add_cookies([cookie])
            await page.goto("/ui")
            await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@needs_axe
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("dark", [False, True])
async def test_the_first_pages_are_accessible_and_fit(tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    models = [entry("llama-8b", "http://127.0.0.1:9/v1")]
    async with gateway(tmp_path, models, gateway=KEYS, environment={"ADMIN": ADMIN}) as run:
        async with visiting(run.url, size, dark=dark) as page:
            await page.goto("/ui")
            for _ in range(2):
                assert await overflows(page) == 0
                assert await accessibility_problems(page) == []
                if await page.get_by_role("heading", name="Log in").count():
                    await log_in(page)
                    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


async def test_an_open_page_keeps_no_session_alive(tmp_path: Path) -> None:
    models = [entry("llama-8b", "http://127.0.0.1:9/v1")]
    async with gateway(tmp_path, models, gateway=KEYS, environment={"ADMIN": ADMIN}) as run:
        async with visiting(run.url) as page:
            await log_in(page)
            for address, asked in (("/ui/requests", "new="), ("/ui/models/llama-8b", "part=live")):
                async with page.expect_request(lambda request, asked=asked: asked in request.url) as poll:  # type: ignore[misc]
                    await page.goto(address)
                assert (await poll.value).headers["x-locus-poll"] == "true"
            async with page.expect_request("**/ui") as opened:
                await page.get_by_role("link", name="Overview").click()
            assert "x-locus-poll" not in (await opened.value).headers
