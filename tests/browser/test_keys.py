"""Keys, teams and budgets in a browser; a key that is made there is used by the official client."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import DESKTOP, PHONE, accessibility_problems, needs_axe, needs_browser, overflows, visiting
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider

pytestmark = [pytest.mark.anyio, needs_browser]
ADMIN = "the-admin-key-of-this-test"
ASK: Any = [{"role": "user", "content": "Hello"}]


@asynccontextmanager
async def operated(folder: Path) -> AsyncIterator[Gateway]:
    async with ScriptedProvider() as up:
        models = [entry("llama-8b", up.base_url), entry("llama-70b", up.base_url)]
        more = {"gateway": {"admin_key": "os.environ/ADMIN"}, "environment": {"ADMIN": ADMIN, "CI": "sk-ci"}}
        async with gateway(folder, models, keys=[{"name": "ci", "key": "os.environ/CI", "rpm": 5}], **more) as run:
            yield run


async def open_page(page: Page, path: str = "/ui/keys") -> None:
    await page.goto(path)
    await page.get_by_label("Key", exact=True).fill(ADMIN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Keys", exact=True)).to_be_visible()


async def asked(run: Gateway, key: str, model: str = "llama-8b") -> str | None:
    """The answer that OpenAI's client gets with a key."""
    client = run.client.with_options(api_key=key)
    answer = await client.chat.completions.create(model=model, messages=ASK, max_tokens=20)
    return answer.choices[0].message.content


async def test_a_key_from_its_form_to_its_revocation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "locus")
    async with operated(tmp_path) as run, visiting(run.url, expected=(400, 409)) as page:
        await open_page(page)
        await page.get_by_role("link", name="Create a team").click()
        await page.get_by_label("Name", exact=True).fill("build")
        await page.get_by_role("button", name="Add a budget").click()
        await page.get_by_label("USD", exact=True).fill("300")
        await page.get_by_role("button", name="Create the team").click()
        await expect(page.get_by_role("heading", name="Team build")).to_be_visible()
        await expect(page.get_by_text("of 300.00 USD a month")).to_be_visible()
        await page.get_by_role("link", name="Create a key").click()

        name, usd = page.get_by_label("Name", exact=True), page.get_by_label("USD", exact=True)
        await name.fill("ci")
        await page.get_by_label("Requests a minute").fill("60")
        await page.get_by_role("button", name="Add a budget").click()
        await usd.fill("five")
        await page.get_by_role("combobox", name="per").select_option("day")
        await page.get_by_label("Which models").select_option("some")
        await page.get_by_role("checkbox", name="llama-8b").check()
        create = page.get_by_role("button", name="Create the key")
        await create.click()
        await expect(page.get_by_role("alert")).to_contain_text("budget[0].usd")
        await expect(page.get_by_role("textbox", name="USD")).to_be_focused()
        await usd.fill("5")
        await create.click()
        await expect(page.get_by_role("alert")).to_contain_text("a key named `ci`")
        await expect(page.get_by_label("Requests a minute")).to_have_value("60")
        await name.fill("program")
        await create.click()

        await expect(page.locator("#secret")).not_to_be_empty()
        secret = await page.locator("#secret").text_content()
        assert secret is not None
        await page.get_by_role("button", name="Copy the key").click()
        await expect(page.get_by_role("status")).to_have_text("Copied.")
        assert await page.evaluate("navigator.clipboard.readText()") == secret
        assert f"OPENAI_BASE_URL={run.url}/v1" in await page.locator("#secret-shell").inner_text()
        assert await asked(run, secret) == "fine"
        with pytest.raises(openai.PermissionDeniedError):
            await asked(run, secret, "llama-70b")
        await run.records()
        await page.get_by_role("link", name="I have copied it").click()
        await expect(page.get_by_text("of 5.00 USD a day")).to_be_visible()
        await expect(page.get_by_role("heading", name="USD in 30 days")).to_be_visible()
        await expect(page.get_by_text("2 requests, 1 with an error")).to_be_visible()

        await page.get_by_role("button", name="Rotate").click()
        await page.get_by_role("combobox", name="The old key").select_option("0")
        await page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
        await expect(page.locator("#secret")).not_to_be_empty()
        second = await page.locator("#secret").text_content()
        assert second is not None
        with pytest.raises(openai.AuthenticationError):
            await asked(run, secret)
        assert await asked(run, second) == "fine"
        await page.reload()
        for one in (secret, second):
            assert one not in await page.content()
            assert one not in str(await page.context.cookies())
            assert one not in await page.evaluate("JSON.stringify([localStorage, sessionStorage, history.state])")
            assert one not in caplog.text

        await page.get_by_role("link", name="Change").click()
        await expect(page.get_by_label("Requests a minute")).to_have_value("60")
        await page.get_by_label("Requests a minute").fill("")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("no limits")).to_be_visible()

        await page.get_by_role("button", name="Revoke").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("revoked", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
        with pytest.raises(openai.AuthenticationError, match="revoked"):
            await asked(run, second)
        await page.goto("/ui/keys/team?name=build")
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("No teams yet")).to_be_visible()


async def test_a_key_is_made_by_keyboard_alone(tmp_path: Path) -> None:
    async with operated(tmp_path) as run, visiting(run.url) as page:
        await open_page(page)
        await page.get_by_role("link", name="Create a key").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Name", exact=True)).to_be_focused()
        await page.keyboard.type("typed")
        await page.keyboard.press("Enter")
        await expect(page.locator("#secret-box")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Copy the key")).to_be_focused()
        await page.get_by_role("link", name="I have copied it").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Revoke").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Revoke")).to_be_focused()
        await expect(page.get_by_text("in use", exact=True)).to_be_visible()


@needs_axe
@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)])
async def test_the_pages_of_keys_are_accessible_and_fit(tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    async with operated(tmp_path) as run, visiting(run.url, size, dark=dark) as page:
        admin = {"authorization": f"Bearer {ADMIN}"}
        await run.http.post("/admin/teams", headers=admin, json={"name": "build", "budget": [{"usd": 1, "per": "day"}]})
        fields = {"name": "a-key-with-a-name-that-is-as-long-as-names-become", "team": "build", "models": ["llama-8b"]}
        fields |= {
            "budget": [{"usd": 1, "per": "day"}, {"usd": 0, "per": "month"}],
            "rpm": 5,
            "near_limit": {"at": 0.5},
        }
        made = (await run.http.post("/admin/keys", headers=admin, json=fields)).json()
        await open_page(page)
        paths = (f"key?id={made['id']}", f"change?id={made['id']}", "new", "team?name=build", "key?id=file:ci")
        for path in ("/ui/keys", *(f"/ui/keys/{path}" for path in paths)):
            await page.goto(path)
            assert await overflows(page) == 0, path
            assert await accessibility_problems(page) == [], path
        await page.goto(f"/ui/keys/key?id={made['id']}")
        await page.get_by_role("button", name="Rotate").click()
        assert await accessibility_problems(page) == []
        await page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
        await expect(page.locator("#secret-box")).to_be_focused()
        assert await overflows(page) == 0
        assert await accessibility_problems(page) == []
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_label("Key", exact=True).fill(await _rotated(run, made["id"]))
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Key", exact=True).click()
        await expect(page.get_by_role("heading", name="What is left")).to_be_visible()
        assert await overflows(page) == 0
        assert await accessibility_problems(page) == []


async def _rotated(run: Gateway, key_id: str) -> str:
    """A new secret of a key."""
    admin = {"authorization": f"Bearer {ADMIN}"}
    answer = await run.http.post(f"/admin/keys/{key_id}/rotate", headers=admin, json={})
    return str(answer.json()["key"])
