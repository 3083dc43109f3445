"""What the playground's addresses answer: models of the visitor, stored requests byte for byte, results, the API's try pages."""

import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.console.pages.try_request import operations
from gateway.console.rendering import STATIC
from gateway.record import bodies
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
SECRETS = {"ADMIN": "the-admin-key", "ALICE": "the-key-of-alice", "BOB": "the-key-of-bob"}
KEYS = [
    {"name": "alice", "key": "os.environ/ALICE", "models": ["llama-8b"], "policies": []},
    {"name": "bob", "key": "os.environ/BOB"},
]
FULL = {"store_prompts": "full", "admin_key": "os.environ/ADMIN"}
SENT = (
    b'{"model": "llama-8b",\r\n "messages":[{"role":"user","content":[{"type":"text","text":"\\u00e9\xc3\xa9"},'
    b'{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}],"temperature": 1.0,\t"seed":123456789012345678,'
    b'"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tools":[{"type":"function","function":{"name":"f"}}]}'
)
ANY = ["tools", "vision", "json_schema"]


@asynccontextmanager
async def serving(folder: Path, **more: Any) -> AsyncIterator[Gateway]:
    settings = FULL | more.pop("gateway", {})
    async with ScriptedProvider() as up:
        models = [entry(name, up.base_url, capabilities=ANY) for name in ("llama-8b", "llama-70b")]
        async with gateway(folder, models, keys=KEYS, gateway=settings, environment=SECRETS, **more) as run:
            yield run


@asynccontextmanager
async def logged_in(run: Gateway, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with a session."""
    own = {"origin": run.url, "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=run.url, headers=own, timeout=60) as browser:
        answer = await browser.post("/ui/login", data={"key": SECRETS[key]})
        assert answer.status_code == 303
        yield browser


async def ask(run: Gateway, key: str, request_id: str, body: bytes = SENT, path: str = "/v1/chat/completions") -> None:
    headers = {
        "authorization": f"Bearer {SECRETS[key]}",
        "x-request-id": request_id,
        "content-type": "application/json",
    }
    answer = await run.http.post(path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    await run.records()


async def test_a_stored_request_is_loaded_byte_for_byte_by_its_key_and_the_operator_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        await ask(run, "ALICE", "the-same-id")
        later = b'{"model":"llama-70b","messages":[{"role":"user","content":"of bob"}]}'
        await ask(run, "BOB", "the-same-id", later)
        await ask(run, "BOB", "of-bob", later)
        where = "/ui/playground/body?request="
        async with logged_in(run, "ALICE") as alice, logged_in(run, "ADMIN") as operator:
            own = await alice.get(where + "the-same-id")
            assert (own.status_code, own.content) == (200, SENT)
            assert own.headers["content-type"] == "application/octet-stream"
            assert own.headers["x-content-type-options"] == "nosniff"
            assert (await operator.get(where + "the-same-id")).content == later  # the newest one
            for path in (
                "/ui/playground/body",
                "/ui/playground",
                "/ui/try/createChatCompletion",
            ):
                other = await alice.get(f"{path}?request=of-bob")
                never = await alice.get(f"{path}?request=never-sent")
                assert (other.status_code, never.status_code) == (404, 404), path
                assert other.text.replace("of-bob", "ID") == never.text.replace("never-sent", "ID")
                assert (await operator.get(f"{path}?request=of-bob")).status_code == 200
            for request_id in ("of-bob", "never-sent"):
                assert (await alice.get(f"/ui/playground/result?request={request_id}")).json() is None
            rows = {row["key_name"]: row["id"] for row in await run.records() if row["request_id"] == "the-same-id"}
            first = f"the-same-id&row={rows['alice']}"
            assert (await operator.get(where + first)).content == SENT
            assert (
                f'data-loads="request=the-same-id&amp;row={rows["alice"]}"'
                in (await operator.get(f"/ui/playground?request={first}")).text
            )
            assert (await alice.get(f"{where}the-same-id&row={rows['bob']}")).status_code == 404
            assert (await alice.get(f"{where}the-same-id&row=1%20or%201")).status_code == 400
        assert (await run.http.get(where + "of-bob")).headers["location"].startswith("/ui/login")


async def test_what_is_left_of_a_request_whose_body_was_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, gateway={"store_prompts": True}) as run:
        await ask(run, "ALICE", "r1")
        async with logged_in(run, "ALICE") as alice:
            left = (await alice.get("/ui/playground/body?request=r1")).json()
            assert left["model"] == "llama-8b"
            assert left["messages"][0]["content"][0]["text"] == "éé"
            assert "tools" not in left
            page = (await alice.get("/ui/playground?request=r1")).text
            assert "Only the messages of this request can be loaded" in page
            assert "store_prompts: full" in page
    monkeypatch.setattr(bodies, "MAX_BODY", 100)
    async with serving(tmp_path) as run:
        await ask(run, "ALICE", "large")
        async with logged_in(run, "ALICE") as alice:
            assert f"its body had {len(SENT)} bytes" in (await alice.get("/ui/playground?request=large")).text
    async with serving(tmp_path, gateway={"store_prompts": False}) as run:
        await ask(run, "ALICE", "no-text")
        async with logged_in(run, "ALICE") as alice:
            page = await alice.get("/ui/playground?request=no-text")
            assert "This request cannot be loaded" in page.text
            assert 'data-loads=""' in page.text
            assert (await alice.get("/ui/playground/body?request=no-text")).status_code == 404


async def test_requests_of_other_formats_are_loaded_where_they_can_be_sent_again(tmp_path: Path) -> None:
    body = b'{"model":"llama-8b","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
    async with serving(tmp_path) as run:
        await ask(run, "ALICE", "of-messages", body, "/v1/messages")
        async with logged_in(run, "ALICE") as alice:
            sent_on = await alice.get("/ui/playground?request=of-messages")
            assert (sent_on.status_code, sent_on.headers["location"]) == (
                303,
                "/ui/try/createMessage?request=of-messages",
            )
            assert 'data-loads="request=of-messages"' in (await alice.get(sent_on.headers["location"])).text
            assert (await alice.get("/ui/playground/body?request=of-messages")).content == body


async def test_a_visitor_chooses_among_the_models_of_its_key(tmp_path: Path) -> None:
    async with serving(tmp_path) as run, logged_in(run, "ALICE") as alice, logged_in(run, "ADMIN") as operator:
        own, all_of_them = (await alice.get("/ui/playground")).text, (await operator.get("/ui/playground")).text
        assert "<option>llama-8b</option>" in own
        assert "<option>llama-70b</option>" not in own
        assert "<option>auto</option>" not in own
        assert "on the key <code>alice</code>" in own
        assert {"<option>llama-70b</option>", "<option>auto</option>"} <= set(
            all_of_them.replace("><", ">\n<").split("\n")
        )
        assert "under the name <code>console</code>" in all_of_them
        body = {"model": "llama-70b", "messages": [{"role": "user", "content": "hi"}]}
        refused = await alice.post("/ui/api/v1/chat/completions", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")


async def test_the_key_named_playground_pays_for_the_operator(tmp_path: Path) -> None:
    async with (
        ScriptedProvider() as up,
        gateway(
            tmp_path,
            [entry("llama-8b", up.base_url)],
            keys=[{"name": "playground", "key": "os.environ/ALICE", "rpm": 1}],
            gateway=FULL,
            environment=SECRETS,
        ) as run,
        logged_in(run, "ADMIN") as operator,
    ):
        assert "on the key <code>playground</code>" in (await operator.get("/ui/playground")).text
        body = {"model": "llama-8b", "messages": [{"role": "user", "content": "hi"}]}
        answers = [await operator.post("/ui/api/v1/chat/completions", json=body) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        request_id = answers[0].headers["x-request-id"]
        (first, *_) = await run.records()
        result = (await operator.get(f"/ui/playground/result?request={request_id}")).json()
        assert result == {"row": first["id"], "cost": "0.00001 USD", "estimated": False, "has_answer": True}
        assert (first["key_name"], first["request_id"]) == ("playground", request_id)


def test_a_copied_program_gives_the_official_client_only_parameters_that_it_has() -> None:
    script = (STATIC / "playground-body.js").read_text(encoding="utf-8")
    listed = script.partition("PYTHON_PARAMETERS = new Set(")[2].partition(").split")[0]
    names = set(re.findall(r"[a-z_]{1,}", listed))
    assert {"messages", "tools", "stream"} <= names
    assert names <= set(inspect.signature(openai.OpenAI(api_key="none").chat.completions.create).parameters)


async def test_without_a_record_nothing_can_be_loaded(tmp_path: Path) -> None:
    async with (
        ScriptedProvider() as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"record": None}) as run,
    ):
        refused = await run.http.get("/ui/playground?request=r1")
        assert refused.status_code == 404
        assert "set `record`" in refused.text
        assert 'data-recorded=""' in (await run.http.get("/ui/playground")).text


async def test_every_operation_of_the_api_has_a_page_to_try_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as run, logged_in(run, "ADMIN") as operator, logged_in(run, "ALICE") as alice:
        docs = (await run.http.get("/docs")).text
        assert len(operations()) > 30
        for one in operations().values():
            assert f'href="/ui/try/{one.id}"' in docs
            page = await operator.get(f"/ui/try/{one.id}")
            assert page.status_code == 200, one.id
            assert f'data-path="{one.path}"' in page.text
            assert (await alice.get(f"/ui/try/{one.id}")).status_code == (403 if one.operator else 200), one.id
        page = (await alice.get("/ui/try/createChatCompletion")).text
        assert "/admin/" not in page
        assert (await alice.get("/ui/try?operation=createMessage")).headers["location"] == "/ui/try/createMessage"
        assert (await alice.get("/ui/try/launch")).status_code == 404


def test_the_box_of_an_operation_has_its_parameters_and_an_example() -> None:
    chat, response = operations()["createChatCompletion"], operations()["getResponse"]
    assert chat.body is not None
    assert '"model": "auto"' in chat.body
    assert {"x-locus-policy", "x-request-id"} <= {one.name for one in chat.parameters}
    assert (response.method, response.body) == ("GET", None)
    (path,) = (one for one in response.parameters if one.place == "path")
    assert (path.name, path.required) == ("response_id", True)
    assert {one.id for one in operations().values() if one.operator} >= {"metrics", "createKey", "startReplay"}
