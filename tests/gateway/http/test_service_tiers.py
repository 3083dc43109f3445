"""What is billed beside tokens, with a real gateway and scripted providers: complete answers and streams of each format."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.running import Gateway, entry, eventually, gateway
from tests.gateway.upstreams import ScriptedProvider, completion, reply

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "Hi"}]


def priced(url: str) -> dict[str, Any]:
    """A model whose price is that of LiteLLM's table, which has one for flex and none for a tier `other`."""
    model = entry("llama-8b", url)
    del model["price"]
    model["deployments"][0]["model"] = "openai/o3"
    return model


def answered(tier: str | None) -> Any:
    body = completion("fine", "o3") | {"service_tier": tier}
    return reply(200, body | {"usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}})


async def ledger(run: Gateway) -> list[tuple[Any, ...]]:
    await eventually(lambda: not run.service.metrics.in_flight and not run.service.recorder.pending)
    path = run.service.in_force.portfolio.settings.record
    assert path is not None
    with sqlite3.connect(path) as database:
        return database.execute("SELECT service_tier, nusd FROM ledger ORDER BY id").fetchall()


async def test_the_tier_of_the_answer_is_billed_and_an_unknown_one_is_unknown(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [priced(up.base_url)]) as run:
        for tier in ("default", "flex", "other"):
            up.replies.append(answered(tier))
            await run.client.chat.completions.create(model="llama-8b", messages=ASK)
        rows = await ledger(run)
    assert rows == [(None, 2_800_000), ("flex", 1_400_000), ("other", None)]


async def test_a_price_of_the_file_holds_for_every_tier(tmp_path: Path) -> None:
    async with ScriptedProvider(answered("other")) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        await run.client.chat.completions.create(model="llama-8b", messages=ASK)
        assert await ledger(run) == [("other", 1_100_000)]
