"""The list of requests and the page of one, in a browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import DESKTOP, PHONE, accessibility_problems, needs_axe, needs_browser, overflows, visiting
from tests.gateway.ensemble.panel import PEERS, QUESTION
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider, answer, error

pytestmark = [pytest.mark.anyio, needs_browser]
SECRETS = {"ADMIN": "the-admin-key-of-this-test", "ALICE": "the-key-of-alice", "BOB": "the-key-of-bob"}
KEYS = [{"name": "alice", "key": "os.environ/ALICE"}, {"name": "bob", "key": "os.environ/BOB"}]
NASTY = "<img src=x onerror=\"document.body.dataset.ran='yes'\">"
SAID = NASTY.replace("=x", "=y")  # by a provider: what repeats the prompt is not recorded
PANEL = {"panel": {"cost_weight": 0, "ensemble": {"max_calls": 4}}, "cheap": {"cost_weight": 100}}


@asynccontextmanager
async def serving(folder: Path, *names: str, **more: Any) -> AsyncIterator[tuple[Gateway, ScriptedProvider]]:
    settings = {"admin_key": "os.environ/ADMIN", "store_prompts": True, "retries": 0}
    async with ScriptedProvider(answer("The answer is B")) as up:
        models = [entry(name, up.base_url, embedding=PEERS.get(name)) for name in names or PEERS]
        async with gateway(folder, models, keys=KEYS, gateway=settings, environment=SECRETS, **more) as run:
            yield run, up


async def ask(
    run: Gateway, request_id: str, text: str = "Is it A or B?", model: str = "auto", key: str = "BOB"
) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 30}
    headers = {"authorization": f"Bearer {SECRETS[key]}", "x-request-id": request_id}
    await run.http.post("/v1/chat/completions", json=body, headers=headers)


async def open_page(page: Page, path: str, key: str = "ADMIN") -> None:
    await page.goto(path)
    await page.get_by_label("Key", exact=True).fill(SECRETS[key])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation", name="Pages", exact=True)).to_be_visible()


def row(page: Page, request_id: str) -> Any:
    """The row of a request in the list."""
    return page.locator(f"tbody tr:has(a[href*='/{request_id}?'])")


async def test_a_request_appears_by_itself_and_filters_lead_to_others(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, _), visiting(run.url) as page:
        await ask(run, "first")
        await run.records()
        await open_page(page, "/ui/requests")
        await expect(row(page, "first")).to_be_visible()
        # The record is written within a quarter of a second, and the page asks each second; the limit is for slow machines.
        await ask(run, "second")
        await expect(row(page, "second")).to_be_visible()
        await expect(page.locator("tbody tr")).to_have_count(2)
        await ask(run, "third", model="no-such-model", key="ALICE")
        await expect(row(page, "third")).to_contain_text("404")
        await page.get_by_text("Filters").click()
        await page.locator("select[name=key]").select_option(label="alice")
        await page.get_by_role("button", name="Show").click()
        await expect(page).to_have_url(f"{run.url}/ui/requests?key=file%3Aalice" + page.url.partition("alice")[2])
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(row(page, "third")).to_be_visible()
        await ask(run, "fourth")
        await ask(run, "fifth", key="ALICE")
        await expect(row(page, "fifth")).to_be_visible()
        assert await row(page, "fourth").count() == 0


async def test_older_pages_and_back(tmp_path: Path) -> None:
    async with serving(tmp_path, "llama-8b") as (run, _), visiting(run.url) as page:
        for i in range(60):
            await ask(run, f"r{i:02}", model="llama-8b")
        await run.records()
        await open_page(page, "/ui/requests")
        await expect(page.locator("tbody tr")).to_have_count(50)
        await page.get_by_role("link", name="Older").click()
        await expect(page.locator("tbody tr")).to_have_count(10)
        await expect(row(page, "r00")).to_be_visible()
        await expect(page.get_by_label("Show new ones as they come")).to_have_count(0)
        await page.get_by_role("link", name="Newer").click()
        await expect(row(page, "r59")).to_be_visible()


async def test_one_request_with_a_failover_and_hostile_texts(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, up), visiting(run.url) as page:
        up.replies.append(error(500, SAID))
        await ask(run, "odd", NASTY, "auto:cheap")
        await run.records()
        await open_page(page, "/ui/requests")
        await row(page, "odd").get_by_role("link").click()
        await expect(page.get_by_role("heading", name="2 calls in")).to_be_visible()
        await expect(page.get_by_text("stands in", exact=False).or_(page.get_by_text("Stand-in"))).to_be_visible()
        await expect(page.locator(".reason")).to_contain_text(SAID)
        await expect(page.locator("section:has(#prompt)")).to_contain_text(NASTY)
        await expect(page.locator("section:has(#candidates) li")).to_have_count(len(PEERS))
        await expect(page.locator("section:has(#candidates)")).to_contain_text("±")
        await page.locator("#command ~ p button").click()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert "$LOCUS_API_KEY" in copied
        assert not any(secret in copied for secret in SECRETS.values())
        await page.get_by_role("button", name="Right", exact=True).click()
        await expect(page.get_by_role("status").filter(has_text="kept")).to_be_visible()
        await expect(page.locator("#feedback tbody tr")).to_contain_text("you")
        assert await page.evaluate("document.body.dataset.ran ?? 'no'") == "no"
        await page.get_by_role("link", name="Open in playground").click()
        await expect(page).to_have_url(f"{run.url}/ui/playground?request=odd&row=1")


async def test_one_request_that_a_panel_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, policies=PANEL, default_policy="panel") as (run, _), visiting(run.url) as page:
        await ask(run, "voted", QUESTION)
        await run.records()
        await open_page(page, "/ui/requests/voted")
        members = page.locator("section:has(#panel) tbody tr")
        await expect(page.locator("#panel")).to_contain_text("models agree")
        await expect(members.filter(has_text="its answer was sent")).to_have_count(1)
        await expect(members.filter(has_text="group 1")).not_to_have_count(0)


async def test_a_key_holder_finds_its_own_requests_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, _), visiting(run.url, expected=(404,)) as page:
        await ask(run, "of-bob")
        await ask(run, "of-alice", key="ALICE")
        await run.records()
        await open_page(page, "/ui/requests", "ALICE")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(row(page, "of-alice")).to_be_visible()
        await page.goto("/ui/requests/of-bob")
        await expect(page.get_by_role("alert")).to_contain_text("no request")


@needs_axe
@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)])
async def test_the_pages_are_accessible_and_fit(tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    async with (
        serving(tmp_path, policies=PANEL, default_policy="cheap") as (run, up),
        visiting(run.url, size, dark=dark) as page,
    ):
        up.replies.append(error(500, "the provider's words"))
        await ask(run, "odd", model="auto:cheap")
        await ask(run, "voted", QUESTION, "auto:panel")
        await ask(run, "wrong", model="no-such-model")
        await run.records()
        await open_page(page, "/ui/requests?policy=&errors=yes")
        for path in (
            "/ui/requests",
            "/ui/requests?errors=yes",
            "/ui/requests/odd",
            "/ui/requests/voted",
            "/ui/requests/wrong",
        ):
            await page.goto(path)
            assert await overflows(page) == 0, path
            assert await accessibility_problems(page) == [], path
