"""Replay in a browser: from the form to the curve."""

from pathlib import Path

import pytest
import yaml
from playwright.async_api import expect

from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from tests.browser.browser import DESKTOP, PHONE, accessibility_problems, needs_axe, needs_browser, overflows, visiting
from tests.gateway.replay.logs import Logged, fill
from tests.gateway.running import running

pytestmark = [pytest.mark.anyio, needs_browser]


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    filled = fill(tmp_path, DatabaseLocation(file=tmp_path / "store.db"), 120, conversation={3: "kept"})
    written = yaml.safe_load(filled.path.read_text()) | {"gateway": {"record": str(tmp_path / "store.db")}}
    filled.path.write_text(yaml.safe_dump(written))
    return filled


@needs_axe
@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
async def test_a_replay_from_its_form_to_its_curve(logged: Logged, size: tuple[int, int], dark: bool) -> None:
    async with running(load_portfolio(logged.path, {})) as run:
        async with visiting(run.url, size, dark=dark, expected=(400,)) as page:
            await page.goto("/ui/replay")
            form = page.locator("form[data-kind=replay]")
            await form.get_by_role("combobox", name="Period").select_option(label="from a date on")
            await form.get_by_role("textbox", name="From").fill("2027-01-01")
            await form.get_by_role("textbox", name="Until").fill("2027-12-31")
            weights = form.get_by_role("textbox", name="Cost weights")
            await weights.fill("0, 30, many")
            assert await overflows(page) == 0
            assert await accessibility_problems(page) == []
            await form.get_by_role("button", name="Replay").focus()
            await page.keyboard.press("Enter")
            await expect(form.get_by_role("alert")).to_contain_text("cost_weights[2]")
            await expect(weights).to_be_focused()
            await weights.fill("0, 30, 1000")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name="Cost weight 1000 saves")).to_be_visible(timeout=120_000)
            await expect(page.get_by_role("row", name="Cost weight 30")).to_be_visible()
            picture = page.get_by_role("img", name="as logged")
            await expect(picture).to_be_visible()
            assert await picture.locator("circle").count() == 3
            await expect(page.get_by_text("1 kept the model of their conversation")).to_be_visible()
            assert await overflows(page) == 0
            assert await accessibility_problems(page) == []
            await page.get_by_role("link", name="Replay and advice").click()
            await expect(
                page.get_by_role("row", name="Replay: cost weights 0, 30, 1000").get_by_text("done")
            ).to_be_visible()


async def test_advice_is_a_job_too(logged: Logged) -> None:
    async with running(load_portfolio(logged.path, {})) as run, visiting(run.url) as page:
        await page.goto("/ui/replay")
        form = page.locator("form[data-kind=advice]")
        await form.get_by_role("combobox", name="Period").select_option(label="from a date on")
        await form.get_by_role("textbox", name="From").fill("2027-01-01")
        await form.get_by_role("textbox", name="Until").fill("2027-12-31")
        await form.get_by_role("button", name="Ask for advice").click()
        words = "Too little traffic for advice: 119 requests can be decided again, 200 are needed"
        await expect(page.get_by_role("heading", name=words)).to_be_visible(timeout=120_000)
