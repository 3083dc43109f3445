"""What servers say of their models, keys and addresses, without a paid call."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.upstream import model_listing
from gateway.upstream.model_listing import Found, find_models
from gateway.upstream.proxy import Proxies
from tests.gateway.running import write_portfolio
from tests.gateway.upstreams import Call, ScriptedProvider, error, reply

pytestmark = pytest.mark.anyio
KEY = "sk-canary-12345"


def listing(*names: str, public: bool = False) -> Any:
    """A server with these models, whose list needs the key unless it is public."""
    served = reply(200, {"data": [{"id": name} for name in names]})
    refused = error(401, f"Incorrect API key provided: {KEY}", "invalid_api_key")

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        given = f"Bearer {KEY}" == call.headers.get("authorization") or call.headers.get("x-api-key") == KEY
        return await (served if public or given else refused)(call, writer)

    return send


async def find(folder: Path, *deployments: dict[str, Any], **environment: str) -> list[tuple[str, str]]:
    """State and words of each deployment, in order."""
    model = {"name": "m", "embedding": "none", "context_window": 8192, "price": {"input": 1, "output": 1}}
    path = write_portfolio(folder, [model | {"deployments": list(deployments)}])
    specs = load_portfolio(path, environment).models[0].deployments
    found = await find_models(specs, Proxies({}))
    return [(found[one.id].state, found[one.id].words) for one in specs if one.id in found]


def at(up: ScriptedProvider, model: str = "openai/gpt-5", **more: Any) -> dict[str, Any]:
    return {"model": model, "api_base": up.base_url, "api_key": KEY} | more


async def test_a_server_says_whether_it_has_each_model_and_is_asked_once_with_and_once_without_the_key(
    tmp_path: Path,
) -> None:
    async with ScriptedProvider(listing("gpt-5", "gpt-5-mini")) as up:
        found = await find(tmp_path, at(up), at(up, "openai/gpt-5-mini"), at(up, "openai/gpt-5-mino"))
        assert found == [
            ("ok", ""),
            ("ok", ""),
            ("failed", "the server does not have gpt-5-mino; did you mean gpt-5-mini?"),
        ]
        assert [(call.path, call.raw) for call in up.calls] == [("/v1/models", b"")] * 2
        assert ["authorization" in call.headers for call in up.calls] == [True, False]


async def test_a_refused_key_is_said_in_the_providers_words_without_the_key(tmp_path: Path) -> None:
    async with ScriptedProvider(listing("gpt-5")) as up:
        found = await find(tmp_path, at(up, api_key="sk-wrong-1234567"))
        assert found[0][0] == "failed"
        assert found[0][1].startswith("key refused: Incorrect API key provided")
        assert "canary" not in found[0][1]


async def test_a_public_list_says_nothing_about_the_key(tmp_path: Path) -> None:
    async with ScriptedProvider(listing("gpt-5", public=True)) as up:
        no_key = {"model": "hosted_vllm/gpt-5", "api_base": up.base_url}
        assert await find(tmp_path, at(up), no_key) == [
            ("ok", "the key was not checked, since the list is public"),
            ("ok", ""),
        ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(404, "Not Found"), ("unknown", "answers, but lists no models")),
        (reply(200, {"data": []}), ("unknown", "lists no models")),
        (reply(200, b"<html>"), ("unknown", "lists no models")),
        (reply(200, [{"id": "gpt-5"}]), ("ok", "the key was not checked, since the list is public")),
        (error(500, "broken"), ("failed", "server_error 500: broken")),
    ],
)
async def test_other_answers(tmp_path: Path, answer: Any, expected: tuple[str, str]) -> None:
    async with ScriptedProvider(answer) as up:
        assert await find(tmp_path, at(up)) == [expected]


async def test_ollama_is_asked_for_its_tags_and_anthropic_with_its_own_header(tmp_path: Path) -> None:
    tags = reply(200, {"models": [{"name": "llama3.1:8b"}, {"name": "phi:latest"}]})
    async with ScriptedProvider(tags) as ollama, ScriptedProvider(listing("claude-x-1-20250929")) as anthropic:
        local = [
            {"model": f"ollama/{name}", "api_base": ollama.base_url} for name in ("llama3.1:8b", "phi", "llama3.1:9b")
        ]
        base = anthropic.base_url.removesuffix("/v1")
        names = ("claude-x-1", "claude-x-1-20250929", "claude-x-1-20240101")
        hosted = [{"model": f"anthropic/{name}", "api_base": base, "api_key": KEY} for name in names]
        states = [state for state, _ in await find(tmp_path, *local, *hosted)]
        assert states == ["ok", "ok", "failed", "ok", "ok", "failed"]
        assert [call.path for call in ollama.calls] == ["/api/tags"]
        assert anthropic.calls[0].path == "/v1/models?limit=1000"
        assert anthropic.calls[0].headers["anthropic-version"]


async def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    gone = {"model": "openai/a", "api_base": "http://127.0.0.1:9/v1", "api_key": KEY}
    no_key = {"model": "openai/a", "api_base": "http://127.0.0.1:9/v1", "api_key": "os.environ/NOT_SET_HERE"}
    assert await find(tmp_path, gone, no_key, {"model": "cohere/command-r", "api_key": KEY}) == [
        ("failed", "connection refused"),
        ("unknown", "not asked: litellm calls it"),
    ]


async def test_silent_servers_are_asked_side_by_side_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(call: Call, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    monkeypatch.setattr(model_listing, "TIMEOUT_S", 0.3)
    async with ScriptedProvider(silent) as up:
        started = asyncio.get_running_loop().time()
        found = await find(tmp_path, *(at(up, api_key=f"sk-number-{i}-of-many") for i in range(100)))
        assert asyncio.get_running_loop().time() - started < 15
        assert found == [("failed", "no answer within 0.3 s")] * 100
        monkeypatch.setattr(model_listing, "TIMEOUT_S", 30.0)
        monkeypatch.setattr(model_listing, "ALL_S", 0.2)
        assert await find(tmp_path, at(up)) == [("failed", "no answer within 0.2 s")]


def test_a_result_has_no_latency_without_an_answer() -> None:
    assert Found("failed", "connection refused").latency_ms is None
