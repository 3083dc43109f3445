"""The cache for answers, by real clients on a running gateway."""

import asyncio
import time
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import orjson
import pytest

from gateway.bodies.sse import EventReader
from gateway.config.portfolio_file import load_portfolio
from tests.clients.provider import provider
from tests.gateway.answering.test_native import claude, messages_api
from tests.gateway.http.test_shared_state import Time
from tests.gateway.running import Gateway, entry, eventually, gateway, write_portfolio
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer, completion, error, events, reply, stream

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
CACHED: dict[str, Any] = {"policies": {"balanced": {"cost_weight": 10, "cache": {"ttl": "1h"}}}}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": ASK},
    MESSAGES: {"messages": ASK, "max_tokens": 100},
    RESPONSES: {"input": "What is the capital of France, and why?"},
}


async def post(run: Gateway, path: str = CHAT, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": "auto", "temperature": 0, **BODIES[path], **fields}
    return await run.http.post(path, json=body, headers=headers)


def cache(response: httpx.Response) -> str | None:
    return response.headers.get("x-locus-cache")


def comparable(response: httpx.Response) -> list[Any]:
    """The events of a stream, or its body, without id and times."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return [without_identity(response.json())]
    data = [event.data for event in EventReader().feed(response.content) if event.data]
    return [without_identity(orjson.loads(one)) if one != b"[DONE]" else one for one in data]


def without_identity(value: dict[str, Any]) -> dict[str, Any]:
    kept = {key: one for key, one in value.items() if key not in ("id", "created", "created_at", "completed_at")}
    return {
        key: without_identity(one) if key in ("response", "message") and isinstance(one, dict) else one
        for key, one in kept.items()
    }


def after(event: asyncio.Event, then: Reply) -> Reply:
    """Answers when the event is set."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        await event.wait()
        return await then(call, writer)

    return send


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("native", [False, True])
async def test_a_hit_is_the_same_answer_with_a_new_id(tmp_path: Path, path: str, native: bool) -> None:
    async with ScriptedProvider(messages_api()) as anthropic_api, ScriptedProvider(answer("It is Paris.")) as up:
        model = claude(anthropic_api.base_url) if native and path == MESSAGES else entry("llama-70b", up.base_url)
        async with gateway(tmp_path, [model], **CACHED) as run:
            for first, second in ((True, False), (False, True)):
                seed = {"seed": int(first)} if path == CHAT else {"top_p": 0.5 + first / 2}
                missed = await post(run, path, stream=first, **seed)
                hit, other = [await post(run, path, stream=mode, **seed) for mode in (first, second)]
                assert (cache(missed), cache(hit), cache(other)) == ("miss", "hit; age=0", "hit; age=0")
                assert comparable(hit) == comparable(missed)
                assert hit.content != missed.content
                assert hit.headers["x-locus-model"] == missed.headers["x-locus-model"]
            assert len(up.calls) + len(anthropic_api.calls) == 2


async def test_the_official_clients_read_hits_in_every_mode(tmp_path: Path) -> None:
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    async with provider() as up:
        models = [entry("llama-70b", up.base_url, capabilities=["tools"])]
        async with gateway(tmp_path, models, **CACHED) as run:
            chat = run.client.chat.completions
            whole = [await chat.create(model="auto", messages=ASK, temperature=0, tools=[tool]) for _ in range(2)]
            assert whole[0].choices == whole[1].choices
            assert whole[0].id != whole[1].id
            assert whole[0].usage == whole[1].usage
            streamed = chat.stream(
                model="auto", messages=ASK, temperature=0, tools=[tool], stream_options={"include_usage": True}
            )
            async with streamed as parts:
                final = await parts.get_final_completion()
            (call,), (expected,) = final.choices[0].message.tool_calls, whole[0].choices[0].message.tool_calls
            assert (call.id, call.function.arguments) == (expected.id, expected.function.arguments)
            assert final.usage == whole[0].usage
            async with anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0) as client:
                ask: Any = {
                    "model": "auto",
                    "max_tokens": 50,
                    "messages": ASK,
                    "extra_headers": {"x-locus-cache": "on"},
                }
                message = await client.messages.create(**ask)
                async with client.messages.stream(**ask) as running:
                    final_message = await running.get_final_message()
                assert final_message.content[0].text == message.content[0].text
                assert final_message.id != message.id
            ask = {"model": "auto", "input": ASK, "temperature": 0}
            response = await run.client.responses.create(**ask)
            async with run.client.responses.stream(**ask) as events:
                assert (await events.get_final_response()).output_text == response.output_text
            assert len(up.calls) == 3


async def test_the_usage_is_there_if_the_client_asks_for_it(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
        plain = await post(run, stream=True)
        asked = await post(run, stream=True, stream_options={"include_usage": True})
        assert cache(asked) == "hit; age=0"
        *others, usage, done = comparable(asked)
        assert [*others, done] == comparable(plain)
        assert usage["usage"]["total_tokens"] == 8
        assert usage["choices"] == []


async def test_two_keys_never_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "sk-gate-a")
    monkeypatch.setenv("B", "sk-gate-b")
    keys = ["sk-gate-a", "sk-gate-b"]
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], gateway={"keys": keys}, **CACHED) as run:
            found = [
                cache(await post(run, headers={"authorization": f"Bearer {key}"}))
                for key in ("sk-gate-a", "sk-gate-b", "sk-gate-a", "sk-gate-b")
            ]
    assert found == ["miss", "miss", "hit; age=0", "hit; age=0"]
    assert len(up.calls) == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_hundred_equal_requests_at_once_are_one_call(tmp_path: Path, streamed: bool) -> None:
    go = asyncio.Event()
    async with ScriptedProvider(after(go, answer("It is Paris."))) as up:
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
            asked = [asyncio.create_task(post(run, stream=streamed and i % 2 == 0)) for i in range(100)]
            await eventually(lambda: run.service.metrics.in_flight == 100)
            go.set()
            found = await asyncio.gather(*asked)
            assert [response.status_code for response in found] == [200] * 100
            assert sorted(str(cache(response)) for response in found) == ["hit; age=0"] * 99 + ["miss"]
            assert len(up.calls) == 1
            assert not run.service.cache.flights
            records = await run.records()
            assert sum(one["cache"] == "hit" for one in records) == 99
            assert sum(one["cost_nusd"] > 0 for one in records) == 1


@pytest.mark.parametrize("first", [error(400, "no"), reply(200, completion("cut", "m") | {"choices": [
    {"index": 0, "message": {"role": "assistant", "content": "It"}, "finish_reason": "length"}]})])  # fmt: skip
async def test_if_the_first_is_not_stored_the_others_go_themselves(tmp_path: Path, first: Reply) -> None:
    go = asyncio.Event()
    async with ScriptedProvider() as up:
        up.replies.append(after(go, first))
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
            leading = asyncio.create_task(post(run))
            await eventually(lambda: len(up.calls) == 1)
            waiting = [asyncio.create_task(post(run)) for _ in range(3)]
            await eventually(lambda: run.service.metrics.in_flight == 4)
            go.set()
            await leading
            assert [cache(response) for response in await asyncio.gather(*waiting)] == ["miss"] * 3
            assert len(up.calls) == 4
            assert cache(await post(run)) == "hit; age=0"


async def test_the_others_go_on_if_the_first_client_leaves(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        up.replies.append(after(asyncio.Event(), answer("never")))
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
            leading = asyncio.create_task(post(run))
            await eventually(lambda: len(up.calls) == 1)
            waiting = asyncio.create_task(post(run))
            await eventually(lambda: run.service.metrics.in_flight == 2)
            leading.cancel()
            assert (await waiting).json()["choices"][0]["message"]["content"] == "fine"
            assert not run.service.cache.flights


async def test_a_request_waits_no_longer_than_for_a_first_token(tmp_path: Path) -> None:
    model = entry("llama-70b", "http://x")
    async with ScriptedProvider() as up:
        go = asyncio.Event()
        up.replies.append(after(go, answer("late")))
        model["deployments"][0] |= {"api_base": up.base_url, "first_token_timeout": 0.2}
        async with gateway(tmp_path, [model], **CACHED) as run:
            leading = asyncio.create_task(post(run))
            await eventually(lambda: len(up.calls) == 1)
            second = await post(run)
            assert (cache(second), len(up.calls)) == ("miss", 2)
            go.set()
            assert (await leading).status_code == 200


async def test_stale_after_a_reload_of_prices(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
            assert [cache(await post(run)) for _ in range(2)] == ["miss", "hit; age=0"]
            same = load_portfolio(write_portfolio(tmp_path, [entry("llama-70b", up.base_url)], **CACHED), {})
            await run.service.apply(same)
            assert cache(await post(run)) == "hit; age=0"
            dearer = [entry("llama-70b", up.base_url, price={"input": 2.0, "output": 1.0})]
            await run.service.apply(load_portfolio(write_portfolio(tmp_path, dearer, **CACHED), {}))
            assert cache(await post(run)) == "miss"


async def test_time_is_over(tmp_path: Path) -> None:
    clock = Time()
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], clock=clock, **CACHED) as run:
            await post(run)
            clock.ahead_s = 12
            assert cache(await post(run)) == "hit; age=12"
            assert cache(await post(run, headers={"cache-control": "max-age=5"})) == "miss"
            clock.ahead_s = 12 + 3_601
            assert cache(await post(run)) == "miss"


async def test_off_unless_a_policy_or_a_request_asks(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-70b", up.base_url)]) as run:
        assert [cache(await post(run)) for _ in range(2)] == [None, None]
        asked = [cache(await post(run, headers={"x-locus-cache": "5m"}, temperature=1)) for _ in range(2)]
        assert asked == ["miss", "hit; age=0"]
        assert cache(await post(run, temperature=1)) is None
        refused = await post(run, headers={"x-locus-cache": "soon"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "x-locus-cache")


async def test_directives_of_the_client(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
        assert cache(await post(run, headers={"cache-control": "no-store"})) == "miss"
        assert [cache(await post(run)) for _ in range(2)] == ["miss", "hit; age=0"]
        up.default = answer("fresh")
        anew = await post(run, headers={"cache-control": "no-cache"})
        assert (cache(anew), anew.json()["choices"][0]["message"]["content"]) == ("miss", "fresh")
        assert (await post(run)).json()["choices"][0]["message"]["content"] == "fresh"
        assert cache(await post(run, headers={"x-stainless-retry-count": "1"})) == "miss"


async def test_the_answer_of_a_stand_in_is_not_stored(tmp_path: Path) -> None:
    async with ScriptedProvider(error(503)) as down, ScriptedProvider() as up:
        models = [entry("llama-70b", down.base_url, price={"input": 0, "output": 0}), entry("llama-8b", up.base_url)]
        async with gateway(tmp_path, models, **CACHED) as run:
            found = [await post(run, model="llama-70b") for _ in range(2)]
            assert {one.headers["x-locus-stand-in"] for one in found} == {"llama-8b"}
            assert [cache(one) for one in found] == ["miss", "miss"]


async def test_a_continued_stream_is_not_stored(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-70b", up.base_url, up.base_url)], **CACHED) as run:
            up.replies.append(stream(events("one two three", "m")[:3], cut=True))
            first = await post(run, stream=True)
            assert len(up.calls) == 2
            assert b"[DONE]" in first.content
            assert cache(await post(run, stream=True)) == "miss"


async def test_a_large_answer_is_not_stored_and_ends_the_wait(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("word " * 3000)) as up:
        settings = {"cache": {"max_entry_kb": 20}}
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], gateway=settings, **CACHED) as run:
            for streamed in (True, False):
                assert [cache(await post(run, stream=streamed)) for _ in range(2)] == (
                    ["miss", "miss"] if streamed else ["miss", "hit; age=0"]
                )
            assert not run.service.cache.flights


async def test_record_and_metrics_of_a_hit(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
        for _ in range(3):
            await post(run)
        missed, *hits = await run.records()
        assert (missed["cache"], missed["cost_nusd"]) == ("miss", 10_000)
        for hit in hits:
            assert (hit["cache"], hit["cost_nusd"], hit["deployment"]) == ("hit", 0, None)
            assert hit["saved_nusd"] == 10_000
            same = (
                "requested",
                "policy",
                "chosen",
                "served",
                "p_correct",
                "prompt_tokens",
                "completion_tokens",
                "status",
            )
            assert {key: hit[key] for key in same} == {key: missed[key] for key in same}
        metrics = (await run.http.get("/metrics")).text
        assert 'locus_cache_requests_total{result="hit"} 2.0' in metrics
        assert 'locus_cache_saved_usd_total{model="llama-70b"} 2e-05' in metrics
        assert 'locus_cost_usd_total{model="llama-70b"} 1e-05' in metrics
        assert 'locus_request_seconds_count{model="llama-70b"} 1.0' in metrics


async def test_a_response_from_the_cache_can_be_continued_and_repeats_its_own_request(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("It is Paris.")) as up:
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], **CACHED) as run:
            client, ask = run.client.responses, {"model": "auto", "input": "Capital?", "temperature": 0}
            first = await client.create(**ask, metadata={"n": "1"}, user="ada")
            for streamed in (False, True):
                if streamed:
                    async with client.stream(**ask, metadata={"n": "2"}) as running:
                        second = await running.get_final_response()
                else:
                    second = await client.create(**ask, metadata={"n": "2"})
                assert second.id != first.id
                assert (second.metadata, second.user) == ({"n": "2"}, None)
                assert (await client.retrieve(second.id)).output_text == "It is Paris."
                calls = len(up.calls)
                more = await client.create(
                    model="auto", input=f"Why? {streamed}", previous_response_id=second.id, temperature=0
                )
                assert more.previous_response_id == second.id
                assert len(up.calls) == calls + 1
                assert [one["role"] for one in up.calls[-1].body["messages"]] == ["user", "assistant", "user"]
                again = await client.create(
                    model="auto", input=f"Why? {streamed}", previous_response_id=second.id, temperature=0
                )
                assert (again.previous_response_id, len(up.calls)) == (second.id, calls + 1)
            await client.delete(second.id)
            with pytest.raises(openai.BadRequestError):
                await client.create(model="auto", input="Why? True", previous_response_id=second.id, temperature=0)


async def test_a_conversation_stays_with_the_model_of_a_hit(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        models = [entry("llama-70b", up.base_url), entry("llama-8b", up.base_url)]
        async with gateway(tmp_path, models, **CACHED) as run:
            first = await post(run)
            run.service.conversations._turns.clear()
            assert cache(await post(run)) == "hit; age=0"
            said = [*ASK, first.json()["choices"][0]["message"], {"role": "user", "content": "And Spain?"}]
            second = await post(run, messages=said)
            assert second.headers["x-locus-conversation"] == "kept"
            assert cache(second) == "miss"


async def test_a_waiting_stream_is_kept_alive(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with ScriptedProvider(after(go, answer("It is Paris."))) as up:
        settings = {"keep_alive": 0.05}
        async with gateway(tmp_path, [entry("llama-70b", up.base_url)], gateway=settings, **CACHED) as run:
            leading = asyncio.create_task(post(run, stream=True))
            await eventually(lambda: len(up.calls) == 1)
            waiting = asyncio.create_task(post(run, stream=True))
            began = time.monotonic()
            await eventually(lambda: time.monotonic() - began > 0.2)
            go.set()
            first, second = await leading, await waiting
            assert b": keep-alive" in second.content
            assert comparable(second)[-1] == b"[DONE]"
            assert b"locus" in first.content, "the headers were sent before the answer was known"
            assert b"locus" not in second.content
            assert len(up.calls) == 1


async def test_a_key_without_a_policy_gets_its_error_and_nothing_stays_behind(tmp_path: Path) -> None:
    keys = [{"name": "named", "key": "sk-gate-named", "models": ["llama-70b"], "policies": []}]
    async with ScriptedProvider() as up:
        models = [entry("llama-70b", up.base_url)]
        async with gateway(tmp_path, models, keys=keys, gateway={"keep_alive": 0.05}, **CACHED) as run:
            headers = {"authorization": "Bearer sk-gate-named"}
            refused = await post(run, headers=headers, stream=True)
            assert refused.status_code == 403
            named = [await post(run, headers=headers, model="llama-70b") for _ in range(2)]
            assert [cache(one) for one in named] == ["miss", "hit; age=0"]
