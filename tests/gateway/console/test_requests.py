"""The overview, the list of requests and the page of one request, as the server makes them, to the operator and to holders of keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio
SECRETS = {"ADMIN": "the-admin-key", "ALICE": "the-key-of-alice", "BOB": "the-key-of-bob"}
KEYS = [
    {"name": "alice", "key": "os.environ/ALICE", "budget": [{"usd": 0.0005, "per": "day", "warn": 0.001}]},
    {"name": "bob", "key": "os.environ/BOB"},
]
NASTY = "<img src=x onerror=alert(1)>"


@asynccontextmanager
async def serving(folder: Path, **more: Any) -> AsyncIterator[tuple[Gateway, ScriptedProvider]]:
    settings = {"store_prompts": True, "admin_key": "os.environ/ADMIN", "retries": 0} | more.pop("gateway", {})
    async with ScriptedProvider() as up:
        models = [entry(name, up.base_url) for name in ("llama-8b", "llama-70b")]
        models += more.pop("models", [])
        async with gateway(folder, models, keys=KEYS, gateway=settings, environment=SECRETS, **more) as run:
            yield run, up


@asynccontextmanager
async def logged_in(run: Gateway, key: str) -> AsyncIterator[httpx.AsyncClient]:
    own = {"origin": run.url, "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=run.url, headers=own, timeout=60) as browser:
        assert (await browser.post("/ui/login", data={"key": SECRETS[key]})).status_code == 303
        yield browser


async def ask(run: Gateway, key: str, request_id: str, text: str = "Hello", model: str = "auto") -> int:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 20}
    headers = {"authorization": f"Bearer {SECRETS[key]}", "x-request-id": request_id}
    answer = await run.http.post("/v1/chat/completions", json=body, headers=headers)
    await run.records()
    return answer.status_code


async def shown(browser: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def test_a_key_holder_sees_its_own_requests_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, _), logged_in(run, "ALICE") as alice, logged_in(run, "ADMIN") as admin:
        await ask(run, "ALICE", "of-alice")
        await ask(run, "BOB", "of-bob")
        for path in ("/ui/requests", "/ui/requests?key=file:bob", "/ui/requests?key=bob", "/ui/requests?probes=yes"):
            text = await shown(alice, path)
            assert "of-alice" in text
            assert "bob" not in text.replace(path, "")
        assert "of-bob" not in await shown(alice, "/ui/requests?new=0")
        assert "answered" in await shown(alice, "/ui/requests/of-alice")
        missing = await shown(alice, "/ui/requests/never-sent", 404)
        other = await shown(alice, "/ui/requests/of-bob?row=2", 404)
        assert other == missing.replace("never-sent", "of-bob")
        answer = await alice.post("/ui/requests/of-bob?row=2", data={"verdict": "bad"})
        assert answer.status_code == 404
        assert "bob" not in await shown(alice, "/ui")
        everything = await shown(admin, "/ui/requests")
        assert "of-alice" in everything
        assert "of-bob" in everything
        only = await shown(admin, "/ui/requests?key=file:bob")
        assert "of-bob" in only
        assert "of-alice" not in only
        overview = await shown(admin, "/ui")
        assert all(name in overview for name in ("alice", "bob"))


async def test_hostile_texts_of_clients_and_providers_are_shown_as_texts(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, up), logged_in(run, "ADMIN") as admin:
        up.default = error(400, NASTY)
        assert await ask(run, "BOB", "r1", NASTY, "llama-8b") == 400
        await ask(run, "BOB", "r2", NASTY, NASTY)
        for path in ("/ui/requests", "/ui/requests/r1", f"/ui/requests?words={NASTY}&model={NASTY}", "/ui"):
            text = await shown(admin, path)
            assert "<img src=x" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in await shown(admin, "/ui/requests/r1")
        assert "r2" in await shown(admin, f"/ui/requests?words={NASTY}")


async def test_feedback_of_the_operator_and_of_the_key_holder(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, _), logged_in(run, "BOB") as bob, logged_in(run, "ADMIN") as admin:
        await ask(run, "BOB", "r1")
        for browser, fields in ((bob, {"verdict": "good", "comment": NASTY}), (admin, {"score": "0.25"})):
            answer = await browser.post("/ui/requests/r1?row=1", data=fields)
            assert answer.status_code == 303, answer.text
        text = await shown(admin, "/ui/requests/r1")
        assert "The feedback is kept" in await shown(bob, answer.headers["location"])
        assert all(one in text for one in ("<td>bob</td>", "<td>you</td>", ">1</td>", ">0.25</td>", "&lt;img"))
        assert (await bob.post("/ui/requests/r1?row=1", data={"verdict": "none"})).status_code == 303
        assert "taken back" in await shown(bob, "/ui/requests/r1")
        for fields in ({"score": "2"}, {"score": "x"}, {"verdict": "maybe"}, {}):
            assert (await bob.post("/ui/requests/r1", data=fields)).status_code == 400
        assert (await bob.get("/ui/requests/r1?row=x")).status_code == 400


async def test_new_rows_are_sent_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run, _), logged_in(run, "ADMIN") as admin:
        await ask(run, "BOB", "r1")
        assert 'data-last="1"' in await shown(admin, "/ui/requests")
        answer = await admin.get("/ui/requests?new=1&shown=1&from=0")
        assert (answer.status_code, answer.headers["locus-last"]) == (204, "1")
        await ask(run, "BOB", "r2")
        answer = await admin.get("/ui/requests?new=1&shown=1&from=0")
        assert (answer.status_code, answer.headers["locus-last"]) == (200, "2")
        assert answer.text.count("<tr") == 1
        assert (await admin.get("/ui/requests?new=1&shown=1&from=0&policy=none")).status_code == 204
        assert (await admin.get("/ui/requests?new=a")).status_code == 400


async def test_the_overview_says_what_needs_attention(tmp_path: Path) -> None:
    keyless = {"model": "openai/mistral", "api_base": "http://127.0.0.1:9/v1", "api_key": "os.environ/GONE"}
    models = [entry("mistral-7b", deployments=[keyless])]
    async with (
        serving(tmp_path, models=models) as (run, _),
        logged_in(run, "ADMIN") as admin,
        logged_in(run, "ALICE") as alice,
    ):
        empty = await shown(admin, "/ui")
        assert f"curl {run.url}/v1/chat/completions" in empty
        await ask(run, "ALICE", "r1")
        made = {"name": "carol", "budget": [{"usd": 0, "per": "month"}]}
        assert (await admin.post("/ui/api/admin/keys", json=made)).status_code == 201
        run.service.reload_error = f"models[0]: {NASTY}"
        text = await shown(admin, "/ui")
        assert "The changed portfolio file is not in force: models[0]: &lt;img" in text
        assert "mistral-7b/0: GONE is not set." in text
        assert "The budget of the day of the key alice is spent to" in text
        assert "The budget of the month of the key carol is spent to 100%" in text
        own = await shown(alice, "/ui?period=week")
        assert "The budget of the day of the key alice is spent to" in own
        assert "GONE" not in own
        assert "portfolio file" not in own
        assert "By key" not in own


async def test_without_a_record_the_pages_say_what_to_set(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"record": None}) as run:
            for path in ("/ui", "/ui/requests"):
                assert "<code>record</code>" in (await run.http.get(path)).text
            answer = await run.http.get("/ui/requests/r1")
            assert answer.status_code == 404
            assert "set `record`" in answer.text
