"""A browser for a test: pages that report every error, and what is wrong with their accessibility."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Response, async_playwright, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PHONE, DESKTOP = (390, 844), (1280, 900)
# Without a sandbox, since tests may run as root in a container; without the connections that Chromium opens by itself.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="no axe-core here: `make test-ui` installs it by npm")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without any state."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visiting(
    url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False, expected: tuple[int, ...] = ()
) -> AsyncIterator[Page]:
    """A tab of a new browser, whose addresses begin at `url`.

    Errors of scripts, violations of the content security policy and answers from 400 on fail the test at the end of the block.

    Args:
        size: width and height, CSS pixels.
        expected: status codes from 400 on that the test provokes.
    """
    problems: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        # Chromium also writes a line for each answer from 400 on; `on_response` sees those.
        if message.type == "error" and "Failed to load resource" not in message.text:
            problems.append(f"console: {message.text}")

    def on_response(response: Response) -> None:
        if response.status >= 400 and response.status not in expected:
            problems.append(f"{response.status} {response.url}")

    async with chromium() as browser:
        context = await browser.new_context(
            base_url=url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            timezone_id="Europe/Berlin",
            permissions=["clipboard-read", "clipboard-write"],
        )
        page = await context.new_page()
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        page.on("console", on_console)
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        page.on("response", on_response)
        yield page
        assert problems == [], problems


async def until(page: Page, condition: str) -> None:
    """Waits until an expression of JavaScript is true. Playwright's own `wait_for_function` needs `eval`, which the pages forbid."""
    for _ in range(1200):
        if await page.evaluate(condition):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not true within a minute: {condition}")


async def overflows(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    width: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


async def accessibility_problems(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical (WCAG 2.2, A and AA)."""
    # As a debugger, since the content security policy of the page allows no script of another place.
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
