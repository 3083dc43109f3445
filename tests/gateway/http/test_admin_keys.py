"""Keys and teams made at run time, over HTTP: with the admin key, and used by the official clients."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.config.portfolio_file import load_portfolio
from gateway.keys.key_format import new_id, new_key
from gateway.keys.lookups import BURST
from tests.gateway.running import Gateway, entry, eventually, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
ADMIN = {"authorization": "Bearer sk-admin"}
ENVIRONMENT = {"ADMIN": "sk-admin", "CI": "sk-ci", "PEPPER": "pepper"}


@asynccontextmanager
async def operated(folder: Path, **settings: Any) -> AsyncIterator[Gateway]:
    async with ScriptedProvider() as up:
        models = [entry(name, up.base_url) for name in ("llama-8b", "llama-70b")]
        keys = [{"name": "ci", "key": "os.environ/CI", "rpm": 5}]
        own = {
            "admin_key": "os.environ/ADMIN",
            "key_pepper": "os.environ/PEPPER",
            "responses": str(folder / "responses.db"),
        }
        path = write_portfolio(folder, models, keys=keys, teams=[{"name": "build"}], gateway=own | settings)
        async with running(load_portfolio(path, ENVIRONMENT)) as run:
            yield run


async def admin(run: Gateway, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await run.http.request(method, f"/admin/{path}", json=body, headers=ADMIN)
    assert answer.status_code == status, answer.text
    assert answer.headers.get("cache-control", "no-store") == "no-store"
    return answer.json()


async def chat(run: Gateway, key: str, model: str = "llama-8b") -> Any:
    return await run.client.with_options(api_key=key).chat.completions.create(model=model, messages=ASK)


async def test_a_key_from_its_making_to_its_end(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        fields = {
            "name": "bob",
            "team": "build",
            "models": ["llama-8b"],
            "budget": [{"usd": 5, "per": "day"}],
            "rpm": 60,
        }
        made = await admin(run, "POST", "keys", fields, 201)
        key = made.pop("key")
        assert made["source"] == "store"
        assert {name: made[name] for name in fields} == fields | {
            "budget": [{"usd": 5.0, "per": "day", "warn": 0.8, "overshoot": 0.1}]
        }
        assert await admin(run, "GET", f"keys/{made['id']}") == await admin(run, "GET", "keys/bob") == made
        assert (await chat(run, key)).model == "llama-8b"
        listed = (await admin(run, "GET", "keys"))["data"]
        assert [(one["name"], one["source"]) for one in listed] == [("ci", "file"), ("bob", "store")]
        assert key not in str(listed)

        with pytest.raises(openai.PermissionDeniedError):
            await chat(run, key, "llama-70b")
        changed = await admin(run, "PATCH", "keys/bob", {"models": None, "rpm": 90, "tags": ["x"]})
        assert (changed["models"], changed["rpm"], changed["tags"], changed["team"]) == (None, 90, ["x"], "build")
        assert (await chat(run, key, "llama-70b")).model == "llama-70b"

        client = run.client.with_options(api_key=key)
        stored = await client.responses.create(model="llama-8b", input="Hi")
        rotated = (await admin(run, "POST", "keys/bob/rotate", {"overlap": 0}))["key"]
        with pytest.raises(openai.AuthenticationError, match="replaced by a new one"):
            await chat(run, key)
        again = run.client.with_options(api_key=rotated)
        assert (await again.responses.retrieve(stored.id)).id == stored.id
        assert await again.responses.create(model="llama-8b", input="And?", previous_response_id=stored.id)

        revoked = await admin(run, "DELETE", "keys/bob")
        assert revoked["revoked"] is not None
        with pytest.raises(openai.AuthenticationError, match="was revoked") as refused:
            await chat(run, rotated)
        assert refused.value.code == "invalid_api_key"
        assert [one["name"] for one in (await admin(run, "GET", "keys"))["data"]] == ["ci"]
        assert [one["name"] for one in (await admin(run, "GET", "keys?revoked=true"))["data"]] == ["ci", "bob"]
        records = [record for record in await run.records() if record["key_name"] == "bob"]
        assert {record["key_id"] for record in records} == {made["id"]}


async def test_the_list_says_when_a_key_was_used_last(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        made = await admin(run, "POST", "keys", {"name": "bob"}, 201)
        await admin(run, "POST", "keys", {"name": "idle"}, 201)
        await chat(run, made["key"])
        await chat(run, "sk-ci")
        await eventually(lambda: not run.service.recorder.pending)
        listed = {one["name"]: one["last_used"] for one in (await admin(run, "GET", "keys"))["data"]}
        assert listed["idle"] is None
        for name in ("ci", "bob"):
            used = datetime.fromisoformat(listed[name])
            assert abs((datetime.now(UTC) - used).total_seconds()) < 60
        assert (await admin(run, "GET", "keys/bob"))["last_used"] == listed["bob"]


async def test_teams_of_the_store(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        made = await admin(run, "POST", "teams", {"name": "qa", "models": ["llama-8b"]}, 201)
        assert (made["name"], made["source"], made["models"]) == ("qa", "store", ["llama-8b"])
        key = (await admin(run, "POST", "keys", {"name": "bob", "team": "qa"}, 201))["key"]
        with pytest.raises(openai.PermissionDeniedError):
            await chat(run, key, "llama-70b")
        await admin(run, "PATCH", "teams/qa", {"models": ["llama-70b"]})
        assert (await admin(run, "GET", "teams/qa"))["models"] == ["llama-70b"]
        assert (await chat(run, key, "llama-70b")).model == "llama-70b"
        assert [team["name"] for team in (await admin(run, "GET", "teams"))["data"]] == ["build", "qa"]
        assert (await admin(run, "GET", "teams/build"))["source"] == "file"
        await admin(run, "DELETE", "teams/qa")
        with pytest.raises(openai.AuthenticationError, match="team of the key was deleted"):
            await chat(run, key)


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({}, 400, "invalid_request", "`name`: Field required."),
        ({"name": "x", "secret": "y"}, 400, "invalid_request", "`secret`: Extra inputs are not permitted."),
        ({"name": ".."}, 400, "invalid_request", "`name`: expected a name other than . and .."),
        ({"name": "x", "rpm": "many"}, 400, "invalid_request", "`rpm`: Input should be a valid integer."),
        (
            {"name": "x", "budget": [{"usd": 1, "per": "year"}]},
            400,
            "invalid_request",
            "`budget[0].per`: Input should be 'day'",
        ),
        ({"name": "x", "expires": "soon"}, 400, "invalid_request", "`expires`: write a date or a time"),
        (
            {"name": "x", "models": ["none"]},
            400,
            "invalid_request",
            "`models[0]`: found 'none'; the portfolio has no such model.",
        ),
        ({"name": "x", "team": "none"}, 404, "not_found", "There is no team `none`."),
        ({"name": "ci"}, 409, "conflict", "The portfolio file has a key named `ci`"),
        ([], 400, "invalid_request", "The body must be a JSON object"),
    ],
)
async def test_a_wrong_key_is_refused(tmp_path: Path, body: Any, status: int, code: str, message: str) -> None:
    async with operated(tmp_path) as run:
        error = (await admin(run, "POST", "keys", body, status))["error"]
        assert error["code"] == code
        assert message in error["message"]


async def test_keys_are_the_operators_business(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        key = (await admin(run, "POST", "keys", {"name": "bob"}, 201))["key"]
        for given in ({}, {"x-api-key": key}, {"x-api-key": "sk-ci"}, {"x-api-key": "sk-admin2"}):
            for method, path in (
                ("GET", "keys"),
                ("POST", "keys"),
                ("POST", "keys/bob/rotate"),
                ("DELETE", "teams/build"),
            ):
                answer = await run.http.request(method, f"/admin/{path}", headers=given, json={"name": "y"})
                assert answer.status_code == 401
        assert (await admin(run, "PATCH", "keys/ci", {"rpm": 1}, 404))["error"]["message"].endswith(
            "are changed in that file."
        )
        assert (await admin(run, "POST", "keys/bob/rotate", {"overlap": -1}, 400))["error"]["param"] == "overlap"


async def test_a_key_sees_what_it_may_do(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        fields = {"name": "bob", "team": "build", "models": ["llama-8b"], "budget": [{"usd": 5, "per": "day"}]}
        made = await admin(run, "POST", "keys", fields, 201)
        own = (await run.http.get("/v1/key", headers={"x-api-key": made["key"]})).json()
        assert (own["id"], own["name"], own["team"], own["models"]) == (made["id"], "bob", "build", ["llama-8b"])
        assert [(limit["scope"], limit["name"]) for limit in own["limits"]] == [("key", "bob")]
        assert (await run.http.get("/v1/key")).status_code == 401


async def test_a_gateway_without_a_database_has_only_the_keys_of_its_file(tmp_path: Path) -> None:
    async with operated(tmp_path, record=None) as run:
        assert [one["name"] for one in (await admin(run, "GET", "keys"))["data"]] == ["ci"]
        error = (await admin(run, "POST", "keys", {"name": "bob"}, 404))["error"]
        assert "no database for keys" in error["message"]
        assert (await chat(run, "sk-ci")).model == "llama-8b"


async def test_a_gateway_with_run_time_keys_alone_serves_any_address(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        settings = {"admin_key": "os.environ/ADMIN", "host": "0.0.0.0"}
        path = write_portfolio(tmp_path, [entry("llama-8b", up.base_url)], gateway=settings)
        async with running(load_portfolio(path, ENVIRONMENT)) as run:
            assert (await run.http.get("/v1/models")).status_code == 401
            key = (await admin(run, "POST", "keys", {"name": "bob"}, 201))["key"]
            assert (await run.http.get("/v1/models", headers={"x-api-key": key})).status_code == 200


async def test_a_name_with_odd_characters_is_found(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        await admin(run, "POST", "teams", {"name": "R&D/größe"}, 201)
        answer = await run.http.get(httpx.URL("/admin/teams/R%26D%2Fgr%C3%B6%C3%9Fe"), headers=ADMIN)
        assert answer.json()["name"] == "R&D/größe"


async def test_made_up_keys_are_refused_before_they_are_looked_up_and_known_keys_go_on(tmp_path: Path) -> None:
    async with operated(tmp_path) as run:
        made = await admin(run, "POST", "keys", {"name": "bob"}, 201)
        assert (await chat(run, made["key"])).model == "llama-8b"
        made_up = [{"authorization": f"Bearer {new_key(new_id())}"} for _ in range(5 * BURST)]
        answers = await asyncio.gather(*(run.http.get("/v1/models", headers=headers) for headers in made_up))
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(401) >= BURST
        assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
        assert (await chat(run, made["key"])).model == "llama-8b"


async def test_a_key_of_litellm_is_accepted_until_it_is_rotated(tmp_path: Path) -> None:
    exported = tmp_path / "keys.json"
    row = {"token": hashlib.sha256(b"sk-of-litellm").hexdigest(), "key_alias": "old", "rpm_limit": 60}
    unknown = row | {"token": hashlib.sha256(b"sk-2").hexdigest(), "key_alias": "two", "models": ["no-such-model"]}
    exported.write_bytes(orjson.dumps({"keys": [row, unknown]}))
    async with operated(tmp_path, key_pepper=None) as run:
        with pytest.raises(openai.AuthenticationError):
            await chat(run, "sk-of-litellm")
        command = ["import-config", "litellm-keys", str(exported), "--config", str(tmp_path / "portfolio.yaml")]
        result = await asyncio.to_thread(CliRunner().invoke, main, command, env=ENVIRONMENT)
        assert result.exit_code == 0, result.output
        assert "1 of 2 keys are accepted" in result.output
        assert "two: left out, `models[0]`: found 'no-such-model'" in " ".join(result.output.split())
        run.service.keys.forget()
        assert (await chat(run, "sk-of-litellm")).model == "llama-8b"
        with pytest.raises(openai.AuthenticationError):
            await chat(run, "sk-of-litellm2")
        rotated = await admin(run, "POST", "keys/old/rotate", {"overlap": 0})
        assert rotated["rpm"] == 60
        assert (await chat(run, rotated["key"])).model == "llama-8b"
        with pytest.raises(openai.AuthenticationError):
            await chat(run, "sk-of-litellm")
