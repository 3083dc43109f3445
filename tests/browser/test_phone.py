"""What must be in sight on a phone without scrolling sideways."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.browser import DESKTOP, PHONE, needs_browser, visiting
from tests.gateway.running import entry, eventually, gateway
from tests.gateway.upstreams import ScriptedProvider

pytestmark = [pytest.mark.anyio, needs_browser]


async def test_the_list_of_requests_shows_which_failed_and_what_the_others_cost(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        for model, status in (("gone", 404), ("llama-8b", 200)):
            body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
            assert (await run.http.post("/v1/chat/completions", json=body)).status_code == status
        await eventually(lambda: not run.service.recorder.pending)
        for size in (PHONE, DESKTOP):
            async with visiting(run.url, size) as page:
                await page.goto("/ui/requests")
                said = page.locator("tbody").get_by_text("404 model not found").locator("visible=true")
                await expect(said).to_have_count(1)
                await expect(said).to_be_in_viewport(ratio=1)
                assert await page.locator(".scroll").evaluate_all(
                    "all => all.every(one => one.scrollWidth <= one.clientWidth)"
                )
