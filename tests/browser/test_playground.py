"""The playground and the box that tries the API, in a browser."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import DESKTOP, PHONE, accessibility_problems, needs_axe, needs_browser, overflows, visiting
from tests.gateway.running import Gateway, entry, eventually, gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, completion, error, events, reply, stream

pytestmark = [pytest.mark.anyio, needs_browser]
ADMIN, ALICE = "the-admin-key-of-this-test", "the-key-of-alice-in-this-test"
SECRETS = {"ADMIN": ADMIN, "ALICE": ALICE}
SETTINGS = {"store_prompts": "full"}
ANY = ["tools", "vision", "json_schema"]
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

# Pastes a picture, as from a screenshot.
PASTE = """area => {
  const data = new DataTransfer();
  data.items.add(new File(["GIF89a"], "shot.gif", { type: "image/gif" }));
  area.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""


@asynccontextmanager
async def playing(
    folder: Path, size: tuple[int, int] = DESKTOP, *, dark: bool = False, expected: tuple[int, ...] = (), **more: Any
) -> AsyncIterator[tuple[Page, ScriptedProvider, Gateway]]:
    """A browser in the playground of a gateway with two models of one scripted provider."""
    async with ScriptedProvider() as up:
        models = [entry(name, up.base_url, capabilities=ANY) for name in ("llama-8b", "llama-70b")]
        options = {"gateway": SETTINGS} | more
        async with gateway(folder, models, environment=SECRETS, **options) as run:
            async with visiting(run.url, size, dark=dark, expected=expected) as page:
                await page.goto("/ui/playground")
                yield page, up, run


def turn(page: Page, number: int = 1) -> Any:
    return page.get_by_label(f"Turn {number}", exact=True)


async def send(page: Page, text: str = "Why is the sky blue?", model: str = "llama-8b") -> None:
    await turn(page).fill(text)
    await page.get_by_label("Model or policy").first.select_option(model)
    await page.get_by_role("button", name="Send", exact=True).click()


def asked(up: ScriptedProvider) -> list[dict[str, Any]]:
    return [call.body for call in up.calls]


async def test_two_models_stream_side_by_side_and_are_judged(tmp_path: Path) -> None:
    async with playing(tmp_path) as (page, up, run):
        up.default = by_model({"up-llama-8b": "from the small one", "up-llama-70b": "from the **large** one"})
        await page.get_by_role("button", name="Compare with another model").click()
        await page.get_by_label("Model or policy of column 1").select_option("llama-8b")
        await page.get_by_label("Model or policy of column 2").select_option("llama-70b")
        await turn(page).fill("Why is the sky blue?")
        # before it is sent: who would answer
        columns = page.locator(".column")
        await expect(columns.nth(0).locator(".decision")).to_contain_text("Would be answered by llama-8b, P(correct)")
        await expect(columns.nth(1).locator(".decision")).to_contain_text("Would be answered by llama-70b, P(correct)")
        assert up.calls == []
        await page.keyboard.press("Control+Enter")
        await expect(columns.nth(0).locator(".text")).to_have_text("from the small one")
        await expect(columns.nth(1).locator(".text strong")).to_have_text("large")
        facts = columns.nth(1).locator(".facts")
        for part in ("llama-70b", "first token", "total", "7 + 4 tokens", "0.000011 USD"):
            await expect(facts).to_contain_text(part)
        await columns.nth(1).get_by_text("Headers", exact=True).click()
        await expect(columns.nth(1)).to_contain_text("x-locus-model: llama-70b")
        # feedback, and taken back
        bad = columns.nth(1).get_by_role("button", name="Bad")
        await bad.click()
        await expect(bad).to_have_attribute("aria-pressed", "true")
        await bad.click()
        await expect(bad).to_have_attribute("aria-pressed", "false")
        (row,) = (row for row in await run.records() if row["served"] == "llama-70b")
        link = columns.nth(1).get_by_role("link", name="Details")
        await expect(link).to_have_attribute("href", f"/ui/requests/{row['request_id']}?row={row['id']}")
        assert row["key_name"] == "console"
        # the conversation goes on from one of the answers
        await columns.nth(0).get_by_role("button", name="Go on from here").click()
        await expect(turn(page, 2)).to_have_value("from the small one")
        await expect(turn(page, 3)).to_be_focused()
        await page.keyboard.type("And at night?")
        await page.get_by_role("button", name="Remove column 2").click()
        await page.get_by_role("button", name="Send", exact=True).click()
        await eventually(lambda: len(up.calls) == 3)
        assert [one["role"] for one in asked(up)[2]["messages"]] == ["user", "assistant", "user"]


async def test_a_body_is_sent_byte_for_byte_as_it_was_typed_or_stored(tmp_path: Path) -> None:
    typed = '{ "model":"llama-8b","messages":[{"role":"user","content":"h\\u00e9 é"}],\n  "temperature":1.0, "seed":12345678901234567890 }'
    stored = typed.replace("\n", "\r\n").encode()
    async with playing(tmp_path) as (page, _, run):
        await page.get_by_role("button", name="JSON", exact=True).click()
        raw = page.get_by_label("Body, sent byte for byte")
        assert json.loads(await raw.input_value())["messages"] == [{"role": "user", "content": ""}]
        await raw.fill(typed)
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator(".answer .text")).to_have_text("fine")
        assert await body_of(page, run, 0) == typed.encode()
        # through the page of the request and back
        await page.locator(".answer").get_by_role("link", name="Details").click()
        await page.get_by_role("link", name="Open in playground").click()
        await expect(raw).to_have_value(typed)
        # with line ends that a text area cannot hold
        answer = await run.http.post("/v1/chat/completions", content=stored, headers={"x-request-id": "of-a-program"})
        assert answer.status_code == 200
        await run.records()
        await page.goto("/ui/playground?request=of-a-program")
        await expect(raw).to_have_value(typed)
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator(".answer .text")).to_have_text("fine")
        assert await body_of(page, run, 2) == stored
        # as a form, nothing is lost: neither fields that it does not have, nor the way in which numbers are written
        await page.get_by_role("button", name="Form", exact=True).click()
        await expect(page.get_by_label("Temperature")).to_have_value("1.0")
        await page.get_by_role("button", name="JSON", exact=True).click()
        assert '"seed": 12345678901234567890' in await raw.input_value()
        assert '"temperature": 1.0' in await raw.input_value()


async def body_of(page: Page, run: Gateway, number: int) -> bytes:
    """The stored body of the request with this number."""
    request_id = (await run.records())[number]["request_id"]
    answer = await page.request.get(f"/ui/playground/body?request={request_id}")
    assert answer.status == 200
    return await answer.body()


async def test_tool_calls_are_answered_and_images_and_schemas_sent(tmp_path: Path) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    parts = [
        chunk("m", {"role": "assistant", "reasoning_content": "I need "}),
        chunk("m", {"reasoning_content": "the weather"}),
        chunk(
            "m", {"tool_calls": [{"index": 0, **call, "function": {"name": "get_weather", "arguments": '{"city":'}}]}
        ),
        chunk("m", {"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]}),
        chunk("m", {}, "tool_calls"),
        b"data: [DONE]\n\n",
    ]
    async with playing(tmp_path) as (page, up, _):
        up.replies.extend([stream(parts), stream(events("It is 3 degrees.", "m"))])
        await page.locator("details[data-json=tools] summary").click()
        await page.locator("[data-example=tools]").click()
        await page.locator("details[data-json=response_format] summary").click()
        await page.locator("[data-example=response_format]").click()
        await page.get_by_label("Add an image to turn 1").set_input_files(
            {"name": "pixel.png", "mimeType": "image/png", "buffer": PIXEL}
        )
        await expect(page.get_by_alt_text("attached image")).to_be_visible()
        await turn(page).evaluate(PASTE)
        await expect(page.get_by_alt_text("attached image")).to_have_count(2)
        await page.get_by_role("button", name="Remove the image").last.click()
        await expect(page.locator("details[data-json=tools] .badge")).to_have_text("set")
        await send(page, "What is the weather?")
        answer = page.locator(".answer")
        await expect(answer.locator(".call")).to_contain_text('get_weather call_1{ "city": "Oslo" }')
        await expect(answer.get_by_text("I need the weather")).to_be_hidden()
        await answer.get_by_text("Reasoning", exact=True).click()
        await expect(answer.get_by_text("I need the weather")).to_be_visible()
        sent = asked(up)[0]
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"}}
        assert sent["messages"][0]["content"] == [{"type": "text", "text": "What is the weather?"}, image]
        assert sent["tools"][0]["function"]["name"] == "get_weather"
        assert sent["response_format"]["json_schema"]["schema"]["required"] == ["answer"]
        await answer.get_by_label("Result of get_weather").fill('{"celsius": 3}')
        await answer.get_by_role("button", name="Answer the calls").click()
        await expect(answer.locator(".text")).to_have_text("It is 3 degrees.")
        assistant, result = asked(up)[1]["messages"][1:]
        assert assistant["tool_calls"] == [call]
        assert result == {"role": "tool", "tool_call_id": "call_1", "content": '{"celsius": 3}'}


HOSTILE = """H<sub>2</sub>O <script>window.hacked = 1</script><img src="x" onerror="window.hacked = 2"><style>body { display: none }</style>
[a link](https://evil.example/ "t") [script](javascript:window.hacked=3) ![pixel](https://evil.example/pixel.png)
<iframe srcdoc="<script>parent.hacked = 4</script>"></iframe><form action="https://evil.example"><input name="key"></form>
<p id="send" class="problem" style="position: fixed" onclick="window.hacked = 5">text</p><table background="https://evil.example/b.png"></table>
<svg><a xlink:href="javascript:window.hacked=6"><text>svg</text></a></svg>

```html
<script>window.hacked = 7</script>
```"""


async def test_a_hostile_answer_neither_runs_nor_loads_anything(tmp_path: Path) -> None:
    async with playing(tmp_path) as (page, up, _):
        up.default = reply(200, completion(HOSTILE, "m"))
        asked_elsewhere: list[str] = []
        page.on("request", lambda request: asked_elsewhere.append(request.url) if "evil" in request.url else None)
        await page.get_by_label("Stream the answer").uncheck()
        await send(page)
        text = page.locator(".answer .text")
        await expect(text.locator("pre")).to_contain_text("<script>window.hacked = 7</script>")
        await expect(text.locator("sub")).to_have_text("2")
        await expect(text).to_contain_text("<script>window.hacked = 1</script><img src=")  # HTML is text
        link = text.get_by_role("link", name="a link")
        assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert await link.get_attribute("target") == "_blank"
        assert (
            await text.locator(
                "script, style, iframe, form, input, svg, [src], [id], [class], [style], [onclick]"
            ).count()
            == 0
        )
        assert await text.locator("[href^=javascript]").count() == 0
        # if HTML did pass, nothing of it would be left
        cleaned = await page.evaluate(
            "(html) => { const box = document.createElement('p'); box.append(DOMPurify.sanitize(html, MARKDOWN)); return box.innerHTML }",
            '<img src=x onerror="window.hacked=8"><b id=send class=card onclick="window.hacked=9">b</b><input><iframe></iframe>',
        )
        assert cleaned == "<img><b>b</b>"
        await page.get_by_label("Markdown").uncheck()
        await expect(text).to_have_text(HOSTILE)
        assert await text.locator("*").count() == 0
        assert await page.evaluate("window.hacked === undefined")
        assert asked_elsewhere == []


async def test_an_answer_is_stopped_and_errors_are_shown(tmp_path: Path) -> None:
    async with playing(tmp_path, expected=(400, 404)) as (page, up, run):
        up.replies.append(stream([chunk("m", {"content": "The begin"})], stall=True))
        await send(page)
        await expect(page.locator(".answer .text")).to_have_text("The begin")
        await page.get_by_role("button", name="Stop").click()
        await expect(page.get_by_role("alert").get_by_text("Stopped.")).to_be_visible()
        await asyncio.wait_for(up.calls[0].closed.wait(), 60)
        assert [row["error"] for row in await run.records()] == ["client_disconnected"]
        # a refusal of the provider, with code and message
        up.default = error(400, "max_tokens is too large", "too_large")
        await send(page)
        problem = page.locator(".answer .problem")
        await expect(problem).to_contain_text("400 too_large")
        await expect(problem).to_contain_text("max_tokens is too large")
        # the form says what is wrong before anything is sent
        calls = len(up.calls)
        await page.get_by_label("Temperature").fill("warm")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#form-problem")).to_contain_text("Temperature: this is not valid JSON")
        await page.get_by_label("Temperature").fill("")
        # the decision for a request that would be refused
        await page.get_by_role("button", name="JSON", exact=True).click()
        await page.get_by_label("Body, sent byte for byte").fill(
            '{"model": "gpt-9", "messages": [{"role": "user", "content": "hi"}]}'
        )
        await expect(page.locator(".decision")).to_contain_text("would be refused")
        await expect(page.locator(".decision")).to_contain_text("`gpt-9`")
        assert len(up.calls) == calls


async def test_a_request_is_copied_for_programs(tmp_path: Path) -> None:
    async with playing(tmp_path) as (page, up, _):
        await page.get_by_label("Stream the answer").uncheck()
        await page.locator("details[data-json=other] summary").click()
        await page.get_by_label("Other fields of the body").fill(
            '{"top_p": 0.5, "locus": {"session": "it\'s"}, "user": null}'
        )
        await turn(page).fill("It's 5 o'clock: \"why\"?\n$HOME `x` é")
        await page.get_by_label("Model or policy").select_option("llama-8b")
        copied = {}
        for name in ("curl", "Python", "JavaScript"):
            await page.get_by_role("button", name=name, exact=True).click()
            await expect(page.get_by_role("status")).to_have_text("Copied.")
            copied[name] = await page.evaluate("navigator.clipboard.readText()")
            await page.evaluate("navigator.clipboard.writeText('')")
        assert "new OpenAI({ baseURL:" in copied["JavaScript"]
        for command in (["sh", "-c", copied["curl"]], [sys.executable, "-c", copied["Python"]]):
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            assert "fine" in done.stdout
        one, other = asked(up)
        assert one == other
        assert one["messages"] == [{"role": "user", "content": "It's 5 o'clock: \"why\"?\n$HOME `x` é"}]
        assert one["top_p"] == 0.5


async def test_a_key_holder_plays_with_its_models_by_keyboard_only(tmp_path: Path) -> None:
    keys = [{"name": "alice", "key": "os.environ/ALICE", "models": ["llama-8b"], "policies": []}]
    settings = SETTINGS | {"admin_key": "os.environ/ADMIN"}
    async with playing(tmp_path, keys=keys, gateway=settings) as (page, up, run):
        await page.keyboard.type(ALICE)  # the login has the focus
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Playground")).to_be_visible()
        assert await page.locator(".model option:not([hidden])").all_inner_texts() == ["llama-8b"]
        await tab_to(page, "Turn 1")
        await page.keyboard.type("Hello")
        await tab_to(page, "Send")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer .text")).to_have_text("fine")
        good = page.get_by_role("button", name="Good")
        await expect(good).to_be_visible()
        await tab_to(page, "Good")
        await page.keyboard.press("Space")
        await expect(good).to_have_attribute("aria-pressed", "true")
        assert (await run.records())[0]["key_name"] == "alice"
        assert len(up.calls) == 1


async def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the control with a name has the focus."""
    of_focus = "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate(of_focus) == name:
            return
    raise AssertionError(f"no Tab leads to {name}")


@needs_axe
@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)])
async def test_the_pages_are_accessible_and_fit(tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    async with playing(tmp_path, size, dark=dark) as (page, up, _):
        up.default = reply(
            200, completion(f"# Title\n\n| a | b |\n|---|---|\n| {'x' * 200} | 2 |\n\n```\n{'y' * 300}\n```", "m")
        )
        for _ in range(2):
            await page.get_by_role("button", name="Compare with another model").click()
        await page.get_by_label("Stream the answer").uncheck()
        await page.get_by_role("button", name="Add a turn").click()
        await send(page)
        await expect(page.get_by_role("link", name="Details").nth(2)).to_be_visible()
        for summary in await page.locator("#columns summary:visible").all():
            await summary.click()
        assert await overflows(page) == 0
        assert await accessibility_problems(page) == []
        await page.goto("/docs")
        await page.evaluate("document.getElementById('createChatCompletion').open = true")
        assert await overflows(page) == 0
        assert await accessibility_problems(page) == []
        await page.goto("/ui/try/explainRoute")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#status")).to_have_text("200 OK")
        for summary in await page.locator("summary").all():
            await summary.click()
        assert await overflows(page) == 0
        assert await accessibility_problems(page) == []


async def test_an_operation_of_the_api_is_tried(tmp_path: Path) -> None:
    async with playing(tmp_path, expected=(404,)) as (page, up, run):
        up.default = by_model({"up-llama-8b": "from the box"})
        await page.goto("/docs")
        await page.get_by_role("link", name="POST /v1/messages", exact=True).click()
        await page.locator("#createMessage > summary").click()
        await page.locator("#createMessage").get_by_role("link", name="Try it in the console").click()
        body = (
            '{"model": "llama-8b", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}] }'
        )
        await page.get_by_label("Body, sent byte for byte").fill(body)
        await page.get_by_text("Headers").first.click()
        await page.locator("[data-name=x-request-id]").fill("of-the-box")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#status")).to_have_text("200 OK")
        await expect(page.locator("#answer-body")).to_contain_text("event: message_stop")
        await expect(page.locator("#headers")).to_contain_text("x-request-id: of-the-box")
        await page.get_by_role("button", name="Copy as curl").click()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith(f"curl -X POST '{run.url}/v1/messages'")
        # the stored request comes back to the box of its format
        await run.records()
        await page.goto("/ui/playground?request=of-the-box")
        await expect(page.get_by_label("Operation")).to_have_value("createMessage")
        await expect(page.get_by_label("Body, sent byte for byte")).to_have_value(body)
        # parameters of the path, and an error with its status
        await page.get_by_label("Operation").select_option("getModel")
        await expect(page).to_have_url(f"{run.url}/ui/try/getModel")
        await page.get_by_role("button", name="Send", exact=True).click()  # the name is required
        assert await page.locator("#answer").is_hidden()
        await page.locator("[data-place=path]").fill("no/such model")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#status")).to_have_text("404 Not Found")
        await expect(page.locator("#answer-body")).to_contain_text("no/such model")


def by_model(texts: dict[str, str]) -> Reply:
    """Answers as each model would."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        text = texts[call.body["model"]]
        if call.body.get("stream"):
            return await stream(events(text, call.body["model"], usage=True))(call, writer)
        return await reply(200, completion(text, call.body["model"]))(call, writer)

    return send
