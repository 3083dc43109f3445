"""Streams of models that think for long: waited for while they show life, joined by others where there are others."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.portfolio_file import load_portfolio
from tests.gateway.running import Gateway, entry, gateway, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, chunk, stream

pytestmark = pytest.mark.anyio
LIMITS = {"first_token_timeout": 0.2, "idle_timeout": 0.3, "timeout": 0.5}
ROLE = chunk("m", {"role": "assistant", "content": ""})
DONE = [chunk("m", {}, "stop"), b"data: [DONE]\n\n"]
SIGNS = {"comments": b": PROCESSING\n\n", "pings": b"event: ping\ndata: {}\n\n", "roles": ROLE, "empty": chunk("m", {})}


def model(name: str, url: str, **limits: float) -> dict[str, Any]:
    made = entry(name, url)
    made["deployments"][0] |= LIMITS | limits
    return made


async def ask(run: Gateway) -> str:
    body = {"model": "llama-8b", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    return (await run.http.post("/v1/chat/completions", json=body)).text


@pytest.mark.parametrize("sign", SIGNS)
async def test_a_model_that_shows_life_is_waited_for_beyond_its_timeout(tmp_path: Path, sign: str) -> None:
    thinks = stream([SIGNS[sign]] * 10 + [chunk("m", {"content": "done"}), *DONE], pause_s=0.1)
    async with ScriptedProvider(thinks) as up, gateway(tmp_path, [model("llama-8b", up.base_url)]) as run:
        text = await ask(run)
        assert '"done"' in text
        assert "[DONE]" in text
        assert len(up.calls) == 1


async def test_a_silent_model_is_waited_for_until_its_timeout_where_no_other_is_left(tmp_path: Path) -> None:
    late = stream([ROLE, chunk("m", {"content": "done"}), *DONE], pause_s=0.4)
    async with ScriptedProvider(late) as up:
        async with gateway(tmp_path, [model("llama-8b", up.base_url, idle_timeout=1, timeout=2)]) as run:
            assert '"done"' in await ask(run)
            assert len(up.calls) == 1


async def test_signs_of_life_count_within_the_arguments_of_a_tool_call(tmp_path: Path) -> None:
    def call(**more: Any) -> bytes:
        return chunk("m", {"tool_calls": [{"index": 0} | more]})

    begun = call(id="a", type="function", function={"name": "write", "arguments": '{"a":'})
    writes = stream([begun, *[b": x\n\n"] * 8, call(function={"arguments": "1}"}), *DONE], pause_s=0.1)
    async with ScriptedProvider(writes) as up, ScriptedProvider() as other:
        async with gateway(tmp_path, [model("llama-8b", up.base_url), model("llama-70b", other.base_url)]) as run:
            text = await ask(run)
            assert '"error"' not in text
            assert '"tool_calls"}' in text
            assert not other.calls


async def test_the_next_deployment_joins_a_stream_that_is_slow_to_begin(tmp_path: Path) -> None:
    slow = stream([*[b": x\n\n"] * 30, chunk("m", {"content": "late"}), *DONE], pause_s=0.1)
    async with ScriptedProvider(slow) as up, ScriptedProvider() as other:
        async with gateway(tmp_path, [model("llama-8b", up.base_url), model("llama-70b", other.base_url)]) as run:
            assert '"fine"' in await ask(run)
            record = (await run.records())[-1]
            assert record["served"] == "llama-70b"
            assert [attempt["cause"] for attempt in record["failover"]] == ["timeout"]


async def test_a_slow_stream_that_is_joined_may_still_win(tmp_path: Path) -> None:
    slow = stream([ROLE, ROLE, ROLE, chunk("m", {"content": "first"}), *DONE], pause_s=0.1)
    slower = stream([*[b": x\n\n"] * 30, chunk("m", {"content": "late"}), *DONE], pause_s=0.1)
    async with ScriptedProvider(slow) as up, ScriptedProvider(slower) as other:
        async with gateway(tmp_path, [model("llama-8b", up.base_url), model("llama-70b", other.base_url)]) as run:
            assert '"first"' in await ask(run)
            assert len(other.calls) == 1


def test_a_model_that_reasons_has_longer_by_default(tmp_path: Path) -> None:
    models = [
        entry("llama-8b", "http://127.0.0.1:1/v1", capabilities=["reasoning"]),
        entry("llama-70b", "http://127.0.0.1:1/v1"),
    ]
    portfolio = load_portfolio(write_portfolio(tmp_path, models), {})
    assert [model.deployments[0].first_token_timeout_s for model in portfolio.models] == [60, 10]
