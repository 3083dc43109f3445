"""The pages of the models in a browser: their buttons, and what changes by itself."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from gateway.core.json_types import JsonObject
from tests.browser.browser import DESKTOP, PHONE, accessibility_problems, needs_axe, needs_browser, overflows, visiting
from tests.gateway.http.test_model_states import BEST, add, chat, look, serving
from tests.gateway.onboarding.courses import bank_file, unknown
from tests.gateway.onboarding.skilled_provider import SkilledProvider
from tests.gateway.onboarding.test_runner import jobs_running
from tests.gateway.running import entry, eventually, gateway

pytestmark = [pytest.mark.anyio, needs_browser]


async def press(page: Page, name: str) -> None:
    """Presses a button by keyboard."""
    await page.get_by_role("button", name=name, exact=True).focus()
    await page.keyboard.press("Enter")


async def test_a_model_is_taken_out_and_brought_back_by_keyboard(tmp_path: Path) -> None:
    async with serving(tmp_path) as run, visiting(run.url) as page:
        await page.goto("/ui/models")
        await page.get_by_role("link", name=BEST).focus()
        await page.keyboard.press("Enter")
        await press(page, "Take out")
        said = page.get_by_role("status").filter(has_text="now.")
        await expect(said).to_have_text(
            f"{BEST} is quarantined now. auto does not choose it, and it is no stand-in; requests that name it are still served."
        )
        await expect(said).to_be_focused()
        await expect(page.locator("#state .badge")).to_have_text("quarantined")
        assert (await chat(run)).headers["x-locus-model"] != BEST
        await press(page, "Bring back")
        await expect(said).to_have_text(f"{BEST} is live now. auto may choose it as any other model.")
        await expect(page.get_by_role("button", name="Take out")).to_be_visible()
        assert (await chat(run)).headers["x-locus-model"] == BEST


async def test_a_deployment_is_taken_out_and_an_earlier_version_used(tmp_path: Path) -> None:
    async with serving(tmp_path, [entry(BEST, "", "http://127.0.0.1:9/v1")]) as run, visiting(run.url) as page:
        await add(run, BEST, "openai/gpt-4o-2024-11-20")
        await add(run, BEST, "openai/gpt-4o-2024-08-06")
        await look(run)
        await page.goto(f"/ui/models/{BEST}")
        row = page.get_by_role("row").filter(has_text=f"{BEST}/1")
        await row.get_by_role("button", name="Take out").click()
        await expect(page.locator("#said")).to_have_text(f"{BEST}/1 is quarantined now. No calls go to it.")
        await expect(row).to_contain_text("not called")
        assert run.service.in_force.deployments.models[BEST].deployments[1].quarantined is not None
        await page.get_by_role("row").filter(has_text="onboarding").last.get_by_role("button", name="Use").click()
        await expect(page.locator("#said")).to_have_text(f"{BEST} uses version 1 now.")
        await expect(page.locator("#facts")).to_contain_text("version 1")
        await page.get_by_role("button", name="Use what the model spaces say").click()
        await expect(page.locator("#facts")).not_to_contain_text("version")
        assert run.service.in_force.standings[BEST].version is None


async def test_a_model_is_onboarded_while_the_page_shows_how_far_it_is(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    options: JsonObject = {"probes": 8, "bank": bank.name}
    async with SkilledProvider(probes, {"up-new": {"": 0.9}}) as up:
        model = unknown("new", up.base_url, onboard=options)
        async with gateway(tmp_path, [model, entry("llama-8b", up.base_url)]) as run, visiting(run.url) as page:
            await page.goto("/ui/models/new")
            await expect(page.locator("#state .badge")).to_have_text("declared")
            await page.get_by_label("Probes, at most").fill("24")
            await page.get_by_label("USD, at most").fill("0.5")
            await press(page, "Onboard")
            await expect(page.locator("#said")).to_have_text(
                "The onboarding of new begins: at most 24 probes, for at most 0.5 USD."
            )
            await expect(page.locator("#onboarding")).to_contain_text("waiting")
            await press(page, "Stop")
            await expect(page.locator("#said")).to_contain_text("The onboarding of new is stopped.")
            up.delay_s = 0.5
            await press(page, "Onboard")
            async with jobs_running(run):
                await eventually(lambda: bool(up.calls))
                await expect(page.locator("#onboarding")).to_contain_text("running")
                up.delay_s = 0.0
                await expect(page.locator("#onboarding")).to_contain_text("24 of 24 probes asked, 24 graded")
                await expect(page.locator("#onboarding .badge")).to_have_text("done")
            await expect(page.locator("#state .badge")).to_have_text("limited")
            await expect(page.locator("#history")).to_contain_text("in use")
            await expect(page.locator("time").first).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"))
            assert await page.get_by_label("Probes, at most").input_value() == "24"


async def test_a_refusal_is_told(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, [entry("llama-8b", "") | {"price": None}]) as run,
        visiting(run.url, expected=(400,)) as page,
    ):
        await page.goto("/ui/models/llama-8b")
        await press(page, "Onboard")
        await expect(page.locator("#said .problem")).to_contain_text("the price of llama-8b/0 is not known")


@needs_axe
@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)])
async def test_the_pages_fit_and_are_accessible(tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    async with serving(tmp_path) as run, visiting(run.url, size, dark=dark) as page:
        await add(run, BEST, "openai/gpt-4o-2024-11-20")
        for address, heading in (("/ui/models", "Models"), (f"/ui/models/{BEST}", BEST)):
            await page.goto(address)
            await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
            assert (await overflows(page), await accessibility_problems(page)) == (0, [])
