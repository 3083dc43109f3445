"""Sessions: who sees what, and until when."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.console.login import own_path
from gateway.console.sessions import IDLE_S, MARK_S, Session, Sessions
from gateway.console.visitor import COOKIE
from gateway.store.database import Database
from tests.gateway.running import Gateway, entry, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
ADMIN, CI = "the-admin-key-of-this-test", "sk-the-key-of-ci"
ENVIRONMENT = {"ADMIN": ADMIN, "CI": CI}
KEYS = [{"name": "ci", "key": "os.environ/CI", "models": ["llama-8b"]}]


@asynccontextmanager
async def console(folder: Path, **settings: Any) -> AsyncIterator[Gateway]:
    async with ScriptedProvider() as up:
        path = write_portfolio(
            folder,
            [entry("llama-8b", up.base_url), entry("llama-70b", up.base_url)],
            keys=KEYS,
            gateway={"admin_key": "os.environ/ADMIN"} | settings,
        )
        async with running(load_portfolio(path, ENVIRONMENT)) as run:
            run.http.headers["origin"] = run.url
            yield run


async def log_in(run: Gateway, key: str, onward: str = "/ui") -> httpx.Response:
    return await run.http.post("/ui/login", data={"key": key, "next": onward})


def as_cookie(value: str) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={value}"}


async def test_a_session_lives_as_long_as_it_is_used(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    database = Database(DatabaseLocation(tmp_path / "record.db"))
    sessions = Sessions(database, lambda: now[0])
    value = await sessions.open(Session(None, b"digest"))
    for idle in (MARK_S / 2, IDLE_S - 60, IDLE_S - 1):
        now[0] += idle
        assert await sessions.find(value) == Session(None, b"digest")
    assert await sessions.find(value + "x") is None
    now[0] += IDLE_S - 1
    assert await sessions.find(value, polls=True) is not None
    now[0] += 1
    assert await sessions.find(value) is None
    other = await sessions.open(Session("key", b"other"))
    with sqlite3.connect(tmp_path / "record.db") as rows:
        assert [row[0] for row in rows.execute("SELECT key_id FROM console_sessions")] == ["key"]
        assert other.encode() not in b"".join(row[0] for row in rows.execute("SELECT id FROM console_sessions"))
    await sessions.close(other)
    assert await sessions.find(other) is None
    await database.close()


async def test_the_admin_key_opens_everything_and_its_replacement_ends_its_sessions(tmp_path: Path) -> None:
    async with console(tmp_path) as run:
        assert (await run.http.get("/ui")).headers["location"] == "/ui/login?next=/ui"
        assert (await run.http.get("/ui/api/admin/keys")).status_code == 401
        assert (await run.http.get("/ui/requests?key=a&model=b")).headers["location"] == (
            "/ui/login?next=/ui/requests%3Fkey%3Da%26model%3Db"
        )
        answer = await log_in(run, ADMIN, "/ui/api/admin/keys")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/api/admin/keys")
        assert (await run.http.get("/ui/api/admin/keys")).json()["data"][0]["name"] == "ci"
        # The cookie is for the console alone.
        assert (await run.http.get("/admin/keys", headers=as_cookie(run.http.cookies[COOKIE]))).status_code == 401
        portfolio = run.service.in_force.portfolio
        path = portfolio.path
        assert path is not None
        await run.service.apply(load_portfolio(path, ENVIRONMENT | {"ADMIN": "another-admin-key-of-it"}))
        assert (await run.http.get("/ui")).status_code == 303


async def test_a_gateway_key_has_its_own_rights_only(tmp_path: Path) -> None:
    async with console(tmp_path) as run:
        assert (await log_in(run, CI)).status_code == 303
        assert (await run.http.get("/ui")).status_code == 200
        models = (await run.http.get("/ui/api/v1/models")).json()["data"]
        names = {model["id"] for model in models}
        assert "llama-8b" in names
        assert "llama-70b" not in names
        assert (await run.http.get("/ui/api/v1/key")).json()["name"] == "ci"
        for path in ("/ui/api/admin/keys", "/ui/api/metrics", "/ui/api/admin/usage"):
            assert (await run.http.get(path)).status_code == 403
        body = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await run.http.post("/ui/api/v1/chat/completions", json=body)).status_code == 200
        (record,) = await run.records()
        assert record["key_name"] == "ci"
        assert (await run.http.post("/ui/logout")).headers["location"] == "/ui/login"
        assert (await run.http.get("/ui")).status_code == 303


async def test_a_session_ends_with_its_key(tmp_path: Path) -> None:
    async with console(tmp_path) as run:
        admin = {"authorization": f"Bearer {ADMIN}"}
        made = (await run.http.post("/admin/keys", json={"name": "bob"}, headers=admin)).json()
        assert (await log_in(run, made["key"])).status_code == 303
        assert (await run.http.get("/ui")).status_code == 200
        rotated = await run.http.post("/admin/keys/bob/rotate", json={"overlap": 0}, headers=admin)
        assert (await run.http.get("/ui")).status_code == 303
        assert (await log_in(run, rotated.json()["key"])).status_code == 303
        assert (await run.http.get("/ui")).status_code == 200
        await run.http.delete("/admin/keys/bob", headers=admin)
        assert (await run.http.get("/ui")).status_code == 303


async def test_what_is_sent_by_the_operator_is_paid_by_the_key_named_playground(tmp_path: Path) -> None:
    body = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}]}
    async with console(tmp_path) as run:
        await log_in(run, ADMIN)
        assert (await run.http.post("/ui/api/v1/chat/completions", json=body)).status_code == 200
        assert [record["key_name"] for record in await run.records()] == ["console"]
        path = run.service.in_force.portfolio.path
        assert path is not None
        keys = [*KEYS, {"name": "playground", "key": "os.environ/PLAY", "models": ["llama-70b"]}]
        write_portfolio(
            tmp_path,
            [entry(name, "http://127.0.0.1:9/v1") for name in ("llama-8b", "llama-70b")],
            keys=keys,
            gateway={"admin_key": "os.environ/ADMIN"},
        )
        await run.service.apply(load_portfolio(path, ENVIRONMENT | {"PLAY": "sk-the-key-of-the-playground"}))
        refused = await run.http.post("/ui/api/v1/chat/completions", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")


async def test_without_a_valid_session_nothing_is_shown_and_nothing_is_changed(tmp_path: Path) -> None:
    async with console(tmp_path) as run:
        answer = await log_in(run, "wrong")
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        for headers in ({}, as_cookie("made up"), as_cookie("")):
            for method, path in (("GET", "/ui/api/v1/models"), ("POST", "/ui/api/admin/keys"), ("GET", "/ui/nothing")):
                answer = await run.http.request(method, path, headers=headers, json={"name": "x"})
                if path.startswith("/ui/api"):
                    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
                else:
                    assert answer.headers["location"] == f"/ui/login?next={path}"
        await log_in(run, ADMIN)
        answer = await run.http.post(
            "/ui/api/admin/keys", json={"name": "x"}, headers={"origin": "https://evil.example"}
        )
        assert answer.status_code == 403
        # No client can bring rights along by itself.
        answer = await run.http.get("/v1/models", headers={"session": json.dumps({"operator": True})})
        assert answer.status_code == 401


async def test_without_an_admin_key_the_console_is_for_this_machine(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    async with running(load_portfolio(path, {})) as run:
        assert (await run.http.get("/ui")).status_code == 200
        for header in (
            {"host": "gateway.example"},
            {"x-forwarded-for": "203.0.113.9"},
            {"origin": "https://evil.example"},
        ):
            for page in ("/ui", "/ui/api/admin/keys", "/ui/requests"):
                assert (await run.http.get(page, headers=header)).status_code == 403


async def test_browsers_are_sent_to_the_console_and_programs_get_json(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    async with running(load_portfolio(path, {})) as run:
        assert (await run.http.get("/", headers={"accept": "text/html,*/*"})).headers["location"] == "/ui"
        assert (await run.http.get("/")).json()["name"] == "Locus Gateway"
        assert (await run.http.get("/ui/")).headers["location"] == "/ui"
        missing = await run.http.get("/ui/nothing")
        assert (missing.status_code, "There is no page at /ui/nothing." in missing.text) == (404, True)
        assert (await run.http.get("/uix")).headers["content-type"] == "application/json"


async def test_static_files_are_kept_by_browsers_and_nothing_else_is_served(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    async with running(load_portfolio(path, {})) as run:
        page = (await run.http.get("/ui")).text
        address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        found = await run.http.get(address, headers={"accept-encoding": "br"})
        assert "immutable" in found.headers["cache-control"]
        assert found.text.startswith("/* The style of the console.")
        name = address.rpartition("/")[2]
        assert (await run.http.get(f"/ui/static/old/{name}")).headers["cache-control"] == "no-cache"
        for outside in (
            "%2e%2e/app.py",
            "%2e%2e%2fapp.py",
            "%2fetc/passwd",
            "vendor",
            "nothing.css",
            "%00",
            "x" * 5000,
        ):
            assert (await run.http.get(f"/ui/static/x/{outside}")).status_code == 404


@pytest.mark.parametrize(
    ("given", "onward"),
    [
        ("/ui/requests?key=ci", "/ui/requests?key=ci"),
        (None, "/ui"),
        ("", "/ui"),
        ("https://evil.example/ui", "/ui"),
        ("//evil.example/ui", "/ui"),
        ("/\\evil.example", "/ui"),
        ("/uix", "/ui"),
        ("/ui/logout", "/ui"),
        ("/v1/models", "/ui"),
        ("//[", "/ui"),
    ],
)
def test_a_login_leads_to_pages_of_the_console_only(given: str | None, onward: str) -> None:
    assert own_path(given) == onward


async def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    async with console(tmp_path, record=None) as run:
        answer = await log_in(run, ADMIN)
        assert (answer.status_code, "set `record` or `store`" in answer.text) == (403, True)
