"""What is billed beside tokens, with a real gateway and scripted providers: complete answers and streams of each format."""

import sqlite3
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.running import Gateway, entry, eventually, gateway
from tests.gateway.upstreams import ScriptedProvider, chunk, completion, reply, stream

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


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_with_images_has_no_known_cost_and_none_is_begun_within_a_budget(
    tmp_path: Path, streamed: bool
) -> None:
    """LiteLLM's table has no rate for the tokens of images, which cost twelve times as much as those of text here."""
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    usage = {"prompt_tokens": 10, "completion_tokens": 1290, "total_tokens": 1300}
    whole = completion("fine", "m") | {"usage": usage | {"completion_tokens_details": {"image_tokens": 1290}}}
    whole["choices"][0]["message"]["images"] = images
    parts = [
        chunk("m", {"role": "assistant", "images": images}),
        chunk("m", {}, "stop", usage=usage),  # without details, so that only the image tells
        b"data: [DONE]\n\n",
    ]
    model = priced("") | {"capabilities": ["image_output"]}
    keys = [
        {"name": "ci", "key": "os.environ/CI"},
        {"name": "b", "key": "os.environ/B", "budget": [{"usd": 5, "per": "day"}]},
    ]
    body: Any = {"model": "llama-8b", "messages": ASK, "modalities": ["text", "image"]}
    async with ScriptedProvider(stream(parts) if streamed else reply(200, whole)) as up:
        model["deployments"][0] |= {"model": "openai/gemini-2.5-flash-image", "api_base": up.base_url}
        async with gateway(tmp_path, [model], keys=keys, environment={"CI": "sk-ci", "B": "sk-b"}) as run:
            answered = await run.client.with_options(api_key="sk-ci").chat.completions.create(**body, stream=streamed)
            if streamed:
                async for _ in answered:
                    pass
            assert await ledger(run) == [(None, None)]
            with pytest.raises(openai.RateLimitError, match="The price of images by llama-8b/0 is not known"):
                await run.client.with_options(api_key="sk-b").chat.completions.create(**body)


async def test_a_price_of_the_file_holds_for_every_tier(tmp_path: Path) -> None:
    async with ScriptedProvider(answered("other")) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        await run.client.chat.completions.create(model="llama-8b", messages=ASK)
        assert await ledger(run) == [("other", 1_100_000)]
