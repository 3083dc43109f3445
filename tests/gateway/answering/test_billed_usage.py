"""What a provider bills, as it is recorded: reported, or estimated where nothing is reported."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import Reply, ScriptedProvider, chunk, completion, reply, stream

pytestmark = pytest.mark.anyio

DONE = b"data: [DONE]\n\n"
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
WORDS = "one two three four"
ASKED = {"model": "auto", "messages": [{"role": "user", "content": "Count up to four, please."}]}
PRICE = {"input": 1.0, "output": 2.0, "cached_input": 0.1}


async def recorded(folder: Path, answer: Reply, **asked: Any) -> tuple[dict[str, Any], bytes]:
    """The record of one request to a model that answers so, and the body that the client received."""
    async with ScriptedProvider(answer) as up, gateway(folder, [entry("llama-8b", up.base_url, price=PRICE)]) as run:
        answered = await run.http.post("/v1/chat/completions", content=orjson.dumps(ASKED | asked))
        assert answered.status_code == 200
        (record,) = await run.records()
        return record, answered.content


@pytest.mark.parametrize("streamed", [False, True])
async def test_cached_tokens_cost_what_the_portfolio_says(tmp_path: Path, streamed: bool) -> None:
    told = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 900}}
    parts = [chunk("m", {"content": "fine"}), chunk("m", {}, "stop"), chunk("m", None, usage=told), DONE]
    answer = stream(parts) if streamed else reply(200, completion("fine", "m") | {"usage": told})
    record, _ = await recorded(tmp_path, answer, stream=streamed)
    assert record["cost_nusd"] == 100 * 1_000 + 900 * 100 + 10 * 2_000
    assert record["cached_tokens"] == 900


def uncounted(streamed: bool) -> Reply:
    """A server that does not count, and writes zeros wherever usage may be."""
    if not streamed:
        return reply(200, completion(WORDS, "m") | {"usage": ZEROS})
    parts = [chunk("m", {"content": f"{word} "}, usage=ZEROS) for word in WORDS.split()]
    return stream([*parts, chunk("m", {}, "stop", usage=ZEROS), chunk("m", None, usage=ZEROS), DONE])


@pytest.mark.parametrize("streamed", [False, True])
async def test_zeros_beside_content_are_not_counted_tokens(tmp_path: Path, streamed: bool) -> None:
    record, body = await recorded(
        tmp_path, uncounted(streamed), stream=streamed, stream_options={"include_usage": streamed}
    )
    assert record["usage_estimated"]
    assert record["prompt_tokens"] > 3
    assert record["completion_tokens"] == 5
    assert record["cost_nusd"] == record["prompt_tokens"] * 1_000 + 5 * 2_000
    assert not streamed or b'"usage"' not in body  # a client that adds up its costs must not count zeros


@pytest.mark.parametrize("streamed", [False, True])
async def test_zeros_of_an_answer_without_content_are_real(tmp_path: Path, streamed: bool) -> None:
    last = {"role": "assistant", "content": ""}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": ZEROS}
    whole |= {"choices": [{"index": 0, "message": last, "finish_reason": "content_filter"}]}
    parts = [chunk("m", last), chunk("m", {}, "content_filter"), chunk("m", None, usage=ZEROS), DONE]
    answer = stream(parts) if streamed else reply(200, whole)
    record, _ = await recorded(tmp_path, answer, stream=streamed)
    assert not record["usage_estimated"]
    assert (record["prompt_tokens"], record["completion_tokens"], record["cost_nusd"]) == (0, 0, 0)


async def test_zeros_until_the_end_are_followed_by_what_was_counted(tmp_path: Path) -> None:
    told = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}
    parts = [chunk("m", {"content": f"{word} "}, usage=ZEROS) for word in WORDS.split()]
    record, _ = await recorded(
        tmp_path, stream([*parts, chunk("m", {}, "stop"), chunk("m", None, usage=told), DONE]), stream=True
    )
    assert (record["prompt_tokens"], record["completion_tokens"], record["usage_estimated"]) == (12, 4, False)


async def test_a_complete_answer_without_usage_is_estimated(tmp_path: Path) -> None:
    whole = completion(WORDS, "m")
    del whole["usage"]
    record, _ = await recorded(tmp_path, reply(200, whole))
    assert record["usage_estimated"]
    assert (record["prompt_tokens"] > 3, record["completion_tokens"]) == (True, 5)


@pytest.mark.parametrize("told", [{"prompt_tokens": 90, "completion_tokens": 1, "cached_tokens": 80}, None])
async def test_what_a_broken_stream_has_reported_is_not_lost(tmp_path: Path, told: dict[str, Any] | None) -> None:
    parts = [chunk("m", {"content": f"{word} "}, usage=told) for word in WORDS.split()]
    record, _ = await recorded(tmp_path, stream(parts, cut=True), stream=True)
    assert record["error"] == "stream_broken"
    assert record["usage_estimated"]
    assert record["completion_tokens"] == 5
    assert record["cached_tokens"] == (80 if told else 0)


async def test_a_continued_stream_reports_the_sum_with_its_details(tmp_path: Path) -> None:
    broken = [
        chunk("m", {"content": "one two "}, usage={"prompt_tokens": 90, "completion_tokens": 2, "cached_tokens": 80})
    ]
    told = {"prompt_tokens": 100, "completion_tokens": 9, "cached_tokens": 70}
    told["completion_tokens_details"] = {"reasoning_tokens": 5}
    rest = [chunk("n", {"content": "three four"}), chunk("n", {}, "stop"), chunk("n", None, usage=told), DONE]
    async with ScriptedProvider(stream(broken, cut=True)) as one, ScriptedProvider(stream(rest)) as other:
        models = [entry("llama-8b", one.base_url), entry("llama-70b", other.base_url, price={"input": 9, "output": 9})]
        async with gateway(tmp_path, models) as run:
            asked = ASKED | {"stream": True, "stream_options": {"include_usage": True}}
            answered = await run.http.post("/v1/chat/completions", content=orjson.dumps(asked))
            (record,) = await run.records()
    usage = orjson.loads(answered.content.split(b"data: ")[-2])["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (190, record["completion_tokens"])
    assert usage["prompt_tokens_details"]["cached_tokens"] == record["cached_tokens"] == 150
    assert usage["completion_tokens_details"]["reasoning_tokens"] == record["reasoning_tokens"] == 5


async def test_a_call_costs_what_its_deployment_costs_and_a_price_that_is_not_known_is_null(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    async with ScriptedProvider(reply(200, completion("fine", "m") | {"usage": usage})) as up:
        dear, unknown = entry("llama-8b", up.base_url), entry("llama-70b", up.base_url, price=None)
        dear["deployments"][0]["price"] = {"input": 5.0, "output": 7.0}
        async with gateway(tmp_path, [dear, unknown]) as run:
            for model in ("llama-8b", "llama-70b"):
                await run.http.post("/v1/chat/completions", content=orjson.dumps(ASKED | {"model": model}))
            route = (await run.http.post("/v1/route", content=orjson.dumps(ASKED))).json()
            metrics = (await run.http.get("/metrics")).text
            first, second = await run.records()
    assert (first["cost_nusd"], second["cost_nusd"]) == (100 * 5_000 + 10 * 7_000, None)
    assert (second["prompt_tokens"], second["completion_tokens"]) == (100, 10)
    assert 'locus_calls_without_price_total{model="llama-70b"} 1.0' in metrics
    (known,), (other,) = ([c for c in route["candidates"] if c["model"] == name] for name in ("llama-8b", "llama-70b"))
    assert other["price_usd"] is None
    assert "its price is not known, so it counts as the highest of the portfolio" in other["why"]
    assert other["utility"] == pytest.approx(other["p_correct"] - 10 * known["price_usd"])
