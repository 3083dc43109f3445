"""The map of the models in a browser: in the console, and in the file that `locus plot space` writes."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from gateway.console.own_traffic import FEWEST
from router.explore.space_map import html_page
from tests.browser.browser import (
    DESKTOP,
    PHONE,
    accessibility_problems,
    needs_axe,
    needs_browser,
    overflows,
    until,
    visiting,
)
from tests.gateway.http.test_model_states import chat, serving
from tests.gateway.onboarding.courses import unknown
from tests.gateway.running import EMBEDDINGS, Gateway, entry, shipped_router
from tests.router.explore.test_draw import space_map

pytestmark = [pytest.mark.anyio, needs_browser]
MAP = "document.getElementById('map').modelMap"


@asynccontextmanager
async def with_traffic(folder: Path) -> AsyncIterator[Gateway]:
    """Three models that the space knows, one that borrows its embedding, and a few requests."""
    models = [entry(name, "") for name in EMBEDDINGS] + [unknown("qwen3-next", "")]
    async with serving(folder, models) as run:
        await chat(run, "llama-8b")
        await run.records()
        yield run


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="Models of the map")


async def drawn(page: Page, number: int) -> None:
    """Waits until so many models are drawn."""
    await until(page, f"{MAP}?.drawn === {number}")


async def place(page: Page, name: str) -> tuple[float, float]:
    """Where the mark of a model is in the window."""
    at: list[float] = await page.evaluate(f"{MAP}.place({MAP}.models.find((model) => model.name === {name!r}))")
    box = await page.locator("canvas").bounding_box()
    assert box is not None
    return box["x"] + at[0], box["y"] + at[1]


async def check_labels(page: Page, fewest: int) -> None:
    """Checks that no two names overlap, and that there are some."""
    boxes: list[list[float]] = await page.evaluate(f"{MAP}.labels.map((label) => label.box)")
    assert len(boxes) >= fewest
    for i, a in enumerate(boxes):
        assert not any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in boxes[:i])


async def zoomed(page: Page, before: float) -> float:
    """The scale, once it has changed."""
    await until(page, f"{MAP}.view.scale !== {before!r}")
    scale: float = await page.evaluate(f"{MAP}.view.scale")
    return scale


@pytest.mark.parametrize("number", [100, 1_000])
async def test_many_models_are_drawn_found_enlarged_and_chosen(tmp_path: Path, number: int) -> None:
    known = shipped_router().space.models
    models = [entry(f"model-{i:04}", "") | {"embedding": known[i % len(known)]} for i in range(number)]
    async with serving(tmp_path, models) as run, visiting(run.url) as page:
        await page.goto("/ui/map")
        await drawn(page, number)
        await check_labels(page, 10)
        whole: float = await page.evaluate(f"{MAP}.view.scale")
        await page.get_by_role("button", name="Zoom in").click()
        closer = await zoomed(page, whole)
        assert closer > whole
        await page.mouse.move(*await place(page, "model-0050"))
        await page.mouse.wheel(0, -400)
        assert await zoomed(page, closer) > closer
        await check_labels(page, 1)
        await page.get_by_role("button", name="Show the whole map").click()
        await until(page, f"{MAP}.view.scale === {whole!r}")
        await page.get_by_label("Find a model").fill("model-0042")
        await expect(panel(page).get_by_role("option")).to_have_count(1)
        await page.keyboard.press("Enter")
        await expect(panel(page).get_by_role("heading", name="model-0042")).to_be_visible()
        await expect(panel(page)).to_contain_text("gsm8k")
        await page.get_by_label("Find a model").fill("")
        await expect(panel(page).get_by_role("option")).to_have_count(number)
        if number == 100:
            others = len(known) - number
            await page.get_by_label("Other models of the space").check()
            await expect(panel(page).get_by_role("heading")).to_have_text(f"{number + others} models")
            await drawn(page, number + others)
        await page.mouse.click(*await place(page, "model-0001"))
        await expect(panel(page).get_by_text("State, deployments and onboarding")).to_be_visible()


async def test_a_model_is_described_and_leads_to_its_neighbours(tmp_path: Path) -> None:
    async with with_traffic(tmp_path) as run, visiting(run.url) as page:
        await page.goto("/ui/map")
        await drawn(page, 4)
        await expect(panel(page)).to_contain_text("≈ qwen3-next")
        await page.mouse.click(*await place(page, "llama-8b"))
        await expect(panel(page)).to_contain_text("1, 100% of all")
        await expect(panel(page)).to_contain_text("What it adds to your portfolio is not known")
        stand_in = panel(page).get_by_role("button", name="llama-70b").first
        await stand_in.click()
        await expect(panel(page).get_by_role("heading", name="llama-70b")).to_be_visible()
        await expect(panel(page).locator(".map-kind b")).to_have_count(len(set(shipped_router().anchors.benchmarks)))
        await panel(page).get_by_role("link", name="State, deployments and onboarding").click()
        await expect(page).to_have_url(f"{run.url}/ui/models/llama-70b")


async def test_models_that_would_add_most_lead_to_their_places(tmp_path: Path) -> None:
    async with serving(tmp_path) as run, visiting(run.url) as page:
        for _ in range(FEWEST):
            await chat(run)
        await run.records()
        await page.goto("/ui/map")
        first = page.locator("#additions button").first
        await expect(first).to_have_text(re.compile(r"^.+ \+[0-9]+\.[0-9]$"))
        await first.click()
        name = (await first.inner_text()).rpartition(" ")[0]
        await expect(panel(page).get_by_role("heading", name=name, exact=True)).to_be_visible()
        await expect(panel(page)).to_contain_text("It would add")
        assert await overflows(page) == 0


async def test_the_query_shows_who_would_answer_while_it_is_typed(tmp_path: Path) -> None:
    async with with_traffic(tmp_path) as run, visiting(run.url) as page:
        await page.goto("/ui/map")
        await drawn(page, 4)
        await page.get_by_label("Policy").select_option("best")
        await page.get_by_label("Who would answer this?").press_sequentially("Is 91 a prime number?")
        best = (
            await run.http.post(
                "/v1/route",
                json={"model": "auto:best", "messages": [{"role": "user", "content": "Is 91 a prime number?"}]},
            )
        ).json()
        await expect(page.locator("#answer")).to_contain_text(f"{best['serving']} would answer.")
        await page.get_by_text("candidates, and why").click()
        await expect(page.get_by_role("row")).to_have_count(5)
        first = f"[...{MAP}.answering].filter(([, one]) => one.first).map(([key]) => key)"
        assert await page.evaluate(first) == [f"own {best['serving']}"]
        await until(page, f"{MAP}.labels.some((label) => /^≈?{best['serving']} [0-9]+%$/.test(label.text))")
        await page.get_by_label("Policy").select_option("cheap")
        cheap = (
            await run.http.post(
                "/v1/route",
                json={"model": "auto:cheap", "messages": [{"role": "user", "content": "Is 91 a prime number?"}]},
            )
        ).json()
        await expect(page.locator("#answer strong")).to_have_text(f"{cheap['serving']} would answer.")
        await page.get_by_label("Who would answer this?").fill("")
        await expect(page.locator("#answer")).to_be_empty()
        assert len(await run.records()) == 1  # no model was called


async def test_the_map_is_used_by_keyboard_alone(tmp_path: Path) -> None:
    async with with_traffic(tmp_path) as run, visiting(run.url) as page:
        await page.goto("/ui/map")
        await drawn(page, 4)
        await page.get_by_label("Policy").focus()
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Find a model")).to_be_focused()
        await page.keyboard.type("llama")
        await page.keyboard.press("ArrowDown")
        await expect(panel(page).get_by_role("listbox")).to_be_focused()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(panel(page).get_by_role("heading", name="llama-8b")).to_be_focused()
        await expect(panel(page).get_by_role("button", name="All models")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(panel(page).get_by_role("listbox")).to_be_focused()
        await expect(panel(page).get_by_role("option", selected=True)).to_contain_text("llama-8b")
        await page.locator("canvas").focus()
        before: list[float] = await page.evaluate(f"[{MAP}.view.scale, {MAP}.view.x]")
        await page.keyboard.press("+")
        scale = await zoomed(page, before[0])
        assert scale > before[0]
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("0")
        await until(page, f"{MAP}.view.scale === {before[0]!r} && {MAP}.view.x === {before[1]!r}")


async def test_two_fingers_enlarge_the_map(tmp_path: Path) -> None:
    async with with_traffic(tmp_path) as run, visiting(run.url, PHONE) as page:
        await page.goto("/ui/map")
        await drawn(page, 4)
        before: float = await page.evaluate(f"{MAP}.view.scale")
        await page.locator("canvas").scroll_into_view_if_needed()
        box = await page.locator("canvas").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch = await page.context.new_cdp_session(page)

        def fingers(apart: float) -> list[dict[str, Any]]:
            return [{"x": x + side * apart, "y": y, "id": i} for i, side in enumerate((-1, 1))]

        await touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": fingers(20)})
        await touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": fingers(60)})
        await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert await zoomed(page, before) > 1.5 * before
        assert await page.evaluate(f"{MAP}.chosen") is None


@needs_axe
@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (DESKTOP, True)])
async def test_the_map_fits_and_is_accessible(tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    async with with_traffic(tmp_path) as run, visiting(run.url, size, dark=dark) as page:
        await page.goto("/ui/map")
        await drawn(page, 4)
        assert (await overflows(page), await accessibility_problems(page)) == (0, [])
        await page.get_by_label("Who would answer this?").fill("Why is the sky blue?")
        await page.get_by_text("candidates, and why").click()
        await page.get_by_label("Find a model").fill("qwen3-next")
        await page.keyboard.press("Enter")
        await expect(panel(page)).to_contain_text("borrows the embedding of")
        assert (await overflows(page), await accessibility_problems(page)) == (0, [])


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
async def test_the_written_page_is_the_same_map_without_a_gateway(tmp_path: Path, size: tuple[int, int]) -> None:
    many = tuple(f"lab{i % 14}/model-{i}" for i in range(1_000))
    evil = "evil/</script><script>alert(1)</script>"
    (tmp_path / "space.html").write_text(html_page(space_map((*many, evil)), "A <title>"), encoding="utf-8")
    async with visiting("file://", size, dark=True) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto((tmp_path / "space.html").as_uri())
        await drawn(page, 1_001)
        await expect(page.get_by_role("heading", level=1)).to_have_text("A <title>")
        await check_labels(page, 5)
        await page.get_by_label("Find a model").fill("alert")
        await page.keyboard.press("Enter")
        await expect(panel(page).get_by_role("heading", name=evil)).to_be_visible()
        await panel(page).get_by_role("button", name=many[0]).click()
        await expect(panel(page)).to_contain_text(f"{many[1]}0.500")
        await expect(panel(page)).to_contain_text("places")
        await page.get_by_label("Find a model").fill("")
        await page.get_by_role("button", name="lab3", exact=True).click()
        await expect(panel(page).get_by_role("heading")).to_have_text("72 models")
        assert await overflows(page) == 0
        assert asked == [(tmp_path / "space.html").as_uri()]
