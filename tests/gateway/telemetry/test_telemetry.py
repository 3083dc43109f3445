"""The export of a running gateway is turned on and off by a reload; without its package the gateway serves without it."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.settings import Otel
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.telemetry.collector import collecting, otel
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio


async def ask(run: Gateway) -> int:
    body = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}]}
    return (await run.http.post("/v1/chat/completions", json=body)).status_code


async def reload(run: Gateway, otel: Otel | None) -> None:
    portfolio = run.service.in_force.portfolio
    await run.service.apply(replace(portfolio, settings=portfolio.settings.model_copy(update={"otel": otel})))


async def test_a_reload_turns_the_export_on_and_off(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        environment = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], environment=environment) as run:
            await ask(run)
            assert (await run.http.get("/metrics")).text.count("gen_ai_client_token_usage_count{") == 0
            await reload(run, Otel(endpoint=collector.url))
            await ask(run)
            await collector.roots(1)
            assert (await run.http.get("/metrics")).text.count("gen_ai_client_token_usage_count{") == 2
            await reload(run, None)
            await ask(run)
        assert len(await collector.roots(1)) == 1


async def test_exemplars_lead_to_exported_traces(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            await ask(run)
            (root,) = await collector.roots(1)
            answer = await run.http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert f'# {{trace_id="{root.trace_id}"}}' in answer.text
    assert answer.text.endswith("# EOF\n")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
