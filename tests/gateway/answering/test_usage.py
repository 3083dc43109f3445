"""What a provider bills, in the words of each, and what it costs."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.core.answer import Usage
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider, chunk, completion, reply, stream

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, Usage(7, 3)),
        ({"prompt_tokens": 7.0, "completion_tokens": 3.0}, Usage(7, 3)),
        ({"prompt_tokens": 7, "completion_tokens": None}, Usage(7, 0)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": 7.5, "completion_tokens": 3}, None),
        ({"prompt_tokens": -1, "completion_tokens": 3}, None),
        ({"prompt_tokens": "7", "completion_tokens": 3}, None),
        ([7, 3], None),
        # cached: OpenAI, DeepSeek, Moonshot, litellm for Anthropic
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}, Usage(9, 1, 8)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}, Usage(9, 1, 8)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 8}, Usage(9, 1, 8)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cache_read_input_tokens": 8}, Usage(9, 1, 8)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None}, Usage(9, 1)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 10}, Usage(9, 1, 9)),
        # reasoning: within the completion, or beside it as xAI counts
        (
            {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
            | {"completion_tokens_details": {"reasoning_tokens": 7}},
            Usage(9, 8),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 17}
            | {"completion_tokens_details": {"reasoning_tokens": 7}},
            Usage(9, 8),
        ),
    ],
)
def test_usage_is_read_as_each_provider_tells_it(told: Any, expected: Usage | None) -> None:
    assert Usage.read(told) == expected


def test_usages_add_up() -> None:
    assert Usage(9, 1, 8).plus(Usage(7, 3)) == Usage(16, 4, 8)


@pytest.mark.parametrize("streamed", [False, True])
async def test_cached_tokens_cost_what_the_portfolio_says(tmp_path: Path, streamed: bool) -> None:
    told = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 900}}
    parts = [chunk("m", {"content": "fine"}), chunk("m", {}, "stop"), chunk("m", None, usage=told), b"data: [DONE]\n\n"]
    answer = stream(parts) if streamed else reply(200, completion("fine", "m") | {"usage": told})
    async with ScriptedProvider(answer) as up:
        price = {"input": 1.0, "output": 2.0, "cached_input": 0.1}
        async with gateway(tmp_path, [entry("llama-8b", up.base_url, price=price)]) as run:
            asked = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "stream": streamed}
            answered = await run.http.post("/v1/chat/completions", content=orjson.dumps(asked))
            assert answered.status_code == 200
            (record,) = await run.records()
            assert record["cost_nusd"] == 100 * 1_000 + 900 * 100 + 10 * 2_000
