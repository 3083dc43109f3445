"""Spans of real requests at a real collector: one root for each request, one client span for each call, no orphans."""

import asyncio
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from gateway.telemetry.telemetry import MOST_REFUSED, Telemetry
from tests.gateway.running import entry, eventually, gateway
from tests.gateway.telemetry.collector import ERROR, INTERNAL, Collector, Received, collecting, otel
from tests.gateway.upstreams import ScriptedProvider, answer, chunk, completion, error, events, reply, silent, stream

pytestmark = pytest.mark.anyio
MESSAGES: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]


async def ask(client: openai.AsyncOpenAI, model: str = "llama-8b", **more: Any) -> Any:
    return await client.chat.completions.create(model=model, messages=MESSAGES, **more)


async def only(collector: Collector) -> tuple[Received, list[Received]]:
    (root,) = await collector.roots(1)
    collector.check()
    return root, collector.children(root)


async def test_a_request_has_one_root_one_decision_and_one_call(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            await ask(run.client, temperature=0.5, max_tokens=9, stop=["x"], seed=3)
            root, (call,) = await only(collector)
            (record,) = await run.records()
    (decision,) = collector.children(root, INTERNAL)
    assert (root.name, root.parent, root.status) == ("POST /v1/chat/completions", "", 0)
    assert root["http.response.status_code"] == 200
    assert root["locus.request_id"] == record["request_id"]
    assert root.trace_id == record["trace_id"]
    assert root["error.type"] is None
    assert (decision.name, decision["locus.chosen"]) == ("locus.route", "llama-8b")
    assert call.name == "chat up-llama-8b"
    assert (
        call.attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "up-llama-8b",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 9,
            "gen_ai.request.seed": 3,
            "gen_ai.request.stop_sequences": ["x"],
            "gen_ai.response.model": "up-llama-8b",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 3,
            "server.address": "127.0.0.1",
            "locus.deployment": "llama-8b/0",
            "locus.hop": 0,
        }.items()
    )
    assert collector.resource["service.name"] == "locus-gateway"
    assert {name for name, _ in collector.scopes} == {"locus"}


async def test_failed_calls_and_stand_ins_have_spans_with_their_causes(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider(error(500, "boom")) as bad, ScriptedProvider() as good:
        models = [entry("llama-8b", bad.base_url), entry("llama-70b", good.base_url)]
        async with gateway(tmp_path, models, **otel(collector, otel={"sample": 0.0})) as run:
            await ask(run.client)
            root, calls = await only(collector)  # although nothing is sampled: a stand-in answered
    assert len(calls) == len(bad.calls) + len(good.calls)
    assert [call["error.type"] for call in calls] == ["server_error"] * len(bad.calls) + [None]
    assert [call["locus.hop"] for call in calls] == list(range(len(calls)))
    assert (calls[0].status, calls[0]["http.response.status_code"]) == (ERROR, 500)
    assert calls[-1]["locus.model"] == "llama-70b"
    assert calls[-1]["locus.stand_in_distance"] > 0
    assert (root["locus.chosen"], root["locus.served"], root["error.type"]) == ("llama-8b", "llama-70b", None)


async def test_an_error_is_exported_without_a_sample(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider(error(400, "no such thing")) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector, otel={"sample": 0.0})) as run:
            with pytest.raises(openai.BadRequestError):
                await ask(run.client)
            root, calls = await only(collector)
    assert len(calls) == len(up.calls)
    assert root["error.type"]
    assert root["http.response.status_code"] == 400
    assert root.status == 0  # the client's error, not the gateway's


async def test_without_a_sample_nothing_else_is_exported(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector, otel={"sample": 0.0})) as run:
            await ask(run.client)
        assert collector.spans == []


async def test_the_span_of_a_stream_ends_with_its_last_byte(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        up.default = stream(events("a b c d e f", "up", usage=True), pause_s=0.02)
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            async for _ in await ask(run.client, stream=True):
                pass
            root, (call,) = await only(collector)
    assert call.end_s - call.start_s >= 8 * 0.02  # the pauses until the usage
    assert call["gen_ai.request.stream"] is True
    assert call["gen_ai.response.finish_reasons"] == ["stop"]
    assert call["gen_ai.response.id"] == "c1"
    assert call["gen_ai.usage.output_tokens"] == 6
    assert 0 < call["gen_ai.response.time_to_first_chunk"] < call.end_s - call.start_s
    assert call["error.type"] is None
    assert root.end_s >= call.end_s - 0.001


async def test_a_stream_that_breaks_and_is_continued_has_a_span_for_each_call(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as first, ScriptedProvider(answer("a b c d")) as second:
        first.default = stream(events("a b c d", "up")[:3], cut=True)
        models = [entry("llama-8b", first.base_url), entry("llama-70b", second.base_url)]
        async with gateway(tmp_path, models, **otel(collector)) as run:
            async for _ in await ask(run.client, stream=True):
                pass
            root, calls = await only(collector)
    assert len(calls) == len(first.calls) + len(second.calls)
    broken = [call for call in calls if call["error.type"]]
    assert broken
    assert {call["locus.model"] for call in broken} == {"llama-8b"}
    assert calls[-1]["locus.continues"] is True
    assert calls[-1]["gen_ai.response.finish_reasons"] == ["stop"]
    assert root["error.type"] is None


async def test_a_client_that_leaves_is_an_error_type(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider(silent()) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            waiting = asyncio.create_task(ask(run.client))
            await eventually(lambda: bool(up.calls))
            waiting.cancel()
            root, (call,) = await only(collector)
            up.default = stream(events("a b", "up")[:2], stall=True)
            begun = await ask(run.client, stream=True)
            await anext(aiter(begun))
            await begun.close()
            in_stream = (await collector.roots(2))[1]
            (cut,) = collector.children(in_stream)
    assert (root["error.type"], call["error.type"]) == ("client_disconnected", "cancelled")
    assert root["http.response.status_code"] is None
    assert (in_stream["error.type"], cut["error.type"]) == ("client_disconnected", "cancelled")
    assert cut["gen_ai.response.finish_reasons"] is None


async def test_a_hedged_call_has_a_span(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider(silent()) as slow, ScriptedProvider() as fast:
        models = [entry("llama-8b", slow.base_url, first_token_timeout=0.1), entry("llama-70b", fast.base_url)]
        models[0]["deployments"][0]["first_token_timeout"] = models[0].pop("first_token_timeout")
        async with gateway(tmp_path, models, **otel(collector)) as run:
            async for _ in await ask(run.client, stream=True):
                pass
            _, calls = await only(collector)
    assert len(calls) == 2
    assert sorted(str(call["error.type"]) for call in calls) == ["None", "timeout"]


async def test_a_batch_of_prompts_is_one_request_with_all_its_calls(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            await run.client.completions.create(model="llama-8b", prompt=["one", "two", "three"])
            root, calls = await only(collector)
    assert len(calls) == len(up.calls) == 3
    assert {call["gen_ai.operation.name"] for call in calls} == {"text_completion"}
    assert len(collector.children(root, INTERNAL)) == 3


async def test_embeddings_have_a_call_and_no_decision(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            await run.client.embeddings.create(model="locus-encoder", input="text")
            root, (call,) = await only(collector)
    assert collector.children(root, INTERNAL) == []
    assert (call.name, call["gen_ai.provider.name"]) == ("embeddings locus-encoder", "locus")


async def test_a_request_that_is_refused_before_a_model_is_chosen_has_a_root_alone(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            await run.http.post("/v1/chat/completions", content=b"{")
            root, calls = await only(collector)
    assert calls == []
    assert root["error.type"] == "invalid_request"


async def test_requests_that_no_endpoint_gets_have_a_root_with_the_error_type(tmp_path: Path) -> None:
    """Without a sample: errors are always exported. 413 and 429 are found in the endpoint, the others before it."""
    key = {"name": "ci", "key": "os.environ/CI", "rpm": 2}
    async with collecting() as collector, ScriptedProvider(silent()) as up:
        small = {"max_requests": 1, "max_queued": 0, "max_body_mb": 1}
        settings = otel(collector, otel={"sample": 0.0}, gateway=small, environment={"CI": "sk-ci"})
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], keys=[key], **settings) as run:
            body, own = {"model": "llama-8b", "messages": MESSAGES}, {"authorization": "Bearer sk-ci"}

            async def refused(status: int, headers: dict[str, str], **more: Any) -> None:
                answered = await run.http.post("/v1/chat/completions", json=body | more, headers=headers)
                assert answered.status_code == status, answered.text

            trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
            await refused(401, trace)
            await refused(413, own, user="x" * 2_000_000)
            held = asyncio.create_task(refused(200, own))
            await eventually(lambda: len(up.calls) == 1)
            await refused(503, own)
            held.cancel()
            await asyncio.wait([held])
            await eventually(lambda: not run.service.metrics.in_flight)
            await refused(429, own)
            roots = {root["http.response.status_code"]: root for root in await collector.roots(5)}
            collector.check()
    assert {status: root["error.type"] for status, root in roots.items() if status is not None} == {
        401: "invalid_api_key",
        413: "body_too_large",
        429: "rate_limit_exceeded",
        503: "overloaded",
    }
    assert (roots[401].trace_id, roots[401].parent, roots[401].status) == ("a" * 32, "b" * 16, 0)
    assert (roots[503]["locus.key_name"], roots[503].status) == ("ci", ERROR)
    assert {root.name for root in roots.values()} == {"POST /v1/chat/completions"}


async def test_a_flood_of_refused_requests_drives_no_other_spans_out() -> None:
    now = 100.0
    telemetry = Telemetry({}, lambda url: None, lambda: now)
    assert sum(telemetry.may_add_refused() for _ in range(3 * MOST_REFUSED)) == MOST_REFUSED
    assert telemetry.lost == 2 * MOST_REFUSED
    now += 1
    assert telemetry.may_add_refused()


CALLED: list[Any] = [
    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"city":'}},
    {"index": 1, "id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    {"index": 0, "function": {"arguments": ' "Rome"}'}},
]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("weather", "time")
]


@pytest.mark.parametrize("streamed", [True, False])
async def test_tool_calls_are_part_of_the_content(tmp_path: Path, streamed: bool) -> None:
    parts = [
        chunk("llama-8b", {"role": "assistant", "content": None}),
        *(chunk("llama-8b", {"tool_calls": [piece]}) for piece in CALLED),
        chunk("llama-8b", {}, "tool_calls"),
        b"data: [DONE]\n\n",
    ]
    whole = completion("", "llama-8b")
    calls = [
        CALLED[0] | {"function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
        CALLED[2],
    ]
    whole["choices"][0] |= {
        "message": {"role": "assistant", "content": None, "tool_calls": calls},
        "finish_reason": "tool_calls",
    }
    async with collecting() as collector, ScriptedProvider(stream(parts) if streamed else reply(200, whole)) as up:
        settings = otel(collector, otel={"content": "spans"})
        models = [entry("llama-8b", up.base_url, capabilities=["tools"])]
        async with gateway(tmp_path, models, **settings) as run:
            answered = await ask(run.client, stream=streamed, tools=TOOLS)
            if streamed:
                async for _ in answered:
                    pass
            _, (call,) = await only(collector)
    (message,) = orjson.loads(call["gen_ai.output.messages"])
    assert message == {
        "role": "assistant",
        "parts": [
            {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": '{"city": "Rome"}'},
            {"type": "tool_call", "id": "call_2", "name": "time", "arguments": "{}"},
        ],
        "finish_reason": "tool_calls",
    }


async def test_content_is_exported_only_if_it_is_asked_for(tmp_path: Path) -> None:
    for content in ("none", "spans"):
        async with collecting() as collector, ScriptedProvider(answer("Because of scattering.")) as up:
            settings = otel(collector, otel={"content": content})
            async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **settings) as run:
                await ask(run.client)
                async for _ in await ask(run.client, stream=True):
                    pass
                await collector.roots(2)
        assert b"sk-up" not in collector.raw
        assert (b"sky blue" in collector.raw) == (b"scattering" in collector.raw) == (content == "spans")
        if content == "spans":
            calls = [call for root in await collector.roots(2) for call in collector.children(root)]
            for call in calls:
                assert orjson.loads(call["gen_ai.input.messages"]) == [
                    {"role": "user", "parts": [{"type": "text", "content": "Why is the sky blue?"}]}
                ]
                assert orjson.loads(call["gen_ai.output.messages"]) == [
                    {
                        "role": "assistant",
                        "parts": [{"type": "text", "content": "Because of scattering."}],
                        "finish_reason": "stop",
                    }
                ]


async def test_no_span_has_a_key(tmp_path: Path) -> None:
    key = "sk-key-of-the-provider"
    async with collecting() as collector, ScriptedProvider(error(401, f"wrong key {key}")) as up:
        settings = otel(collector, otel={"headers": {"x-api-key": "os.environ/COLLECTOR_KEY"}, "content": "spans"})
        settings["environment"] |= {"COLLECTOR_KEY": "collector-secret"}
        settings["gateway"]["keys"] = ["gateway-secret"]
        model = entry("llama-8b", up.base_url)
        model["deployments"][0]["api_key"] = key
        async with gateway(tmp_path, [model], **settings) as run:
            client = run.client.with_options(api_key="gateway-secret")
            with pytest.raises(openai.APIStatusError):
                await ask(client)
            await collector.roots(1)
    assert collector.headers[0]["x-api-key"] == "collector-secret"
    for secret in (key.encode(), b"gateway-secret", b"collector-secret"):
        assert secret not in collector.raw


async def test_usage_of_caches_and_reasoning(tmp_path: Path) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 15},
    }
    body = {"id": "1", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}]}
    async with collecting() as collector, ScriptedProvider(reply(200, body | {"usage": usage})) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as run:
            await ask(run.client)
            _, (call,) = await only(collector)
    assert call["gen_ai.usage.cache_read.input_tokens"] == 60
    assert call["gen_ai.usage.reasoning.output_tokens"] == 15
