"""The endpoint end to end: official client -> gateway -> a real provider on loopback."""

import asyncio
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from tests.gateway.running import entry, gateway, leaving
from tests.gateway.upstreams import ScriptedProvider, chunk, completion, error, reply, stream

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]


async def test_a_whole_answer(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        raw = await run.client.chat.completions.with_raw_response.create(model="auto", messages=ASK)
        answer = raw.parse()
        assert answer.choices[0].message.content == "fine"
        assert answer.model == "llama-8b"
        assert answer.usage is not None
        assert answer.usage.total_tokens == 10
        assert raw.headers["x-locus-model"] == "llama-8b"
        assert raw.headers["x-locus-policy"] == "balanced"
        assert 0 < float(raw.headers["x-locus-p-correct"]) < 1
        assert float(raw.headers["x-locus-overhead-ms"]) > 0
        assert raw.headers["x-request-id"].startswith("req_")
        assert "x-locus-stand-in" not in raw.headers
        assert up.calls[0].body["model"] == "up-llama-8b"
        assert up.calls[0].headers["authorization"] == "Bearer sk-up"


async def test_a_stream(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        chunks = [c async for c in await run.client.chat.completions.create(model="auto", messages=ASK, stream=True)]
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == "fine"
        assert {c.model for c in chunks} == {"llama-8b"}
        assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
        assert all(c.usage is None for c in chunks)  # asked upstream for the record, not by the client
        assert up.calls[0].body["stream_options"] == {"include_usage": True}
        (record,) = await run.records()
        assert (record["prompt_tokens"], record["completion_tokens"]) == (7, 1)


async def test_usage_reaches_a_client_that_asks(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        response = await run.client.chat.completions.create(
            model="llama-8b", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = [c async for c in response]
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 1


async def test_a_stream_is_relayed_as_it_comes(tmp_path: Path) -> None:
    parts = [
        chunk("m", {"content": "one "}),
        chunk("m", {"content": "two"}),
        chunk("m", {}, "stop"),
        b"data: [DONE]\n\n",
    ]
    async with (
        ScriptedProvider(stream(parts, pause_s=0.3)) as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run,
    ):
        loop = asyncio.get_running_loop()
        times = []
        async for _ in await run.client.chat.completions.create(model="auto", messages=ASK, stream=True):
            times.append(loop.time())
        assert times[1] - times[0] > 0.15  # not gathered up and sent at once


async def test_a_missing_done_is_supplied_and_crlf_is_read(tmp_path: Path) -> None:
    text = (chunk("m", {"content": "hi"}) + chunk("m", {}, "stop")).replace(b"\n", b"\r\n")
    async with (
        ScriptedProvider(stream([text[:30], text[30:]])) as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run,
    ):
        response = await run.http.post("/v1/chat/completions", json={"model": "auto", "messages": ASK, "stream": True})
        assert response.text.count("data: [DONE]") == 1
        assert response.text.rstrip().endswith("data: [DONE]")
        assert '"model":"llama-8b"' in response.text


async def test_unknown_fields_pass_untouched_both_ways(tmp_path: Path) -> None:
    answer = completion("ok", "up") | {"x-new-field": {"deep": [1, 2]}}
    async with ScriptedProvider(reply(200, answer)) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        body = b'{"model":"auto","messages":[{"role":"user","content":"hello, who are you then?"}],"x-vendor":{"big":12345678901234567890,"f":1.10}}'
        response = await run.http.post("/v1/chat/completions", content=body)
        assert up.calls[0].raw == body.replace(b'"auto"', b'"up-llama-8b"')
        assert response.json() == answer | {"model": "llama-8b"}


async def test_the_paths_with_and_without_v1(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        for path in ("/v1/chat/completions", "/chat/completions"):
            assert (await run.http.post(path, json={"model": "auto", "messages": ASK})).status_code == 200
        for path in ("/v1/models", "/models"):
            assert (await run.http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("request_", "status", "code", "says"),
    [
        ({"content": b"{"}, 400, "invalid_request", "not valid JSON"),
        ({"json": {"model": "auto"}}, 400, "invalid_request", "messages"),
        ({"json": {"model": "gpt-9", "messages": ASK}}, 404, "model_not_found", "gpt-9"),
        ({"json": {"model": "auto:fast", "messages": ASK}}, 404, "model_not_found", "auto:cheap"),
        (
            {"json": {"model": "auto", "messages": ASK, "tools": [{"type": "function"}]}},
            400,
            "no_eligible_model",
            "tools",
        ),
        ({"content": b"x" * 1_100_000}, 413, "body_too_large", "larger"),
    ],
)
async def test_bad_input_in_openai_shape(
    tmp_path: Path, request_: dict[str, Any], status: int, code: str, says: str
) -> None:
    models = [entry("llama-8b", "http://127.0.0.1:9/v1")]
    async with gateway(tmp_path, models, gateway={"max_body_mb": 1.0}) as run:
        response = await run.http.post("/v1/chat/completions", **request_)
        assert response.status_code == status
        assert response.headers["x-request-id"]
        problem = response.json()["error"]
        assert problem["code"] == code
        assert says in problem["message"]
        assert set(problem) == {"message", "type", "param", "code"}
        assert (await run.http.get("/health/live")).status_code == 200
        (record,) = await run.records()
        assert (record["status"], record["error"]) == (status, code)


async def test_wrong_method_and_path_in_openai_shape(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]) as run:
        wrong = await run.http.get("/v1/chat/completions")
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
        assert wrong.headers["allow"] == "OPTIONS, POST"
        assert (await run.http.get("/v1/nothing")).json()["error"]["code"] == "not_found"


async def test_gateway_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.config.portfolio_file import load_portfolio
    from tests.gateway.running import running, write_portfolio

    async with ScriptedProvider() as up:
        path = write_portfolio(
            tmp_path, [entry("llama-8b", up.base_url)], gateway={"keys": ["os.environ/K1", "os.environ/K2"]}
        )
        async with running(load_portfolio(path, {"K1": "sk-first", "K2": "sk-second"}), key="sk-second") as run:
            await run.client.chat.completions.create(model="auto", messages=ASK)
            assert "sk-second" not in str(up.calls[0].headers)  # the gateway's key is not the provider's business
            for headers in (
                {},
                {"authorization": "Bearer sk-wrong"},
                {"authorization": "Basic sk-first"},
                {"authorization": "Bearer"},
            ):
                response = await run.http.post(
                    "/v1/chat/completions", json={"model": "auto", "messages": ASK}, headers=headers
                )
                assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
                assert "sk-" not in response.text
            with pytest.raises(openai.AuthenticationError):
                await run.client.with_options(api_key="sk-no").models.list()
            assert (await run.http.get("/metrics")).status_code == 401
            assert (await run.http.get("/health/ready")).status_code == 200
            assert (await run.http.get("/v1/models", headers={"x-api-key": "sk-first"})).status_code == 200


async def test_a_clients_own_request_id_is_kept_if_it_is_sane(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]) as run:
        assert (await run.http.get("/v1/models", headers={"x-request-id": "abc-1"})).headers["x-request-id"] == "abc-1"
        kept = await run.http.post("/v1/chat/completions", content=b"{", headers={"x-request-id": "abc-1"})
        assert kept.headers["x-request-id"] == "abc-1"
        for id in ("a b" * 99, ".", ".."):  # the last two have no page of the console
            odd = await run.http.post("/v1/chat/completions", content=b"{", headers={"x-request-id": id})
            assert odd.headers["x-request-id"].startswith("req_")


async def test_a_provider_that_says_the_request_is_wrong_is_believed(tmp_path: Path) -> None:
    provider = ScriptedProvider(error(400, "temperature must be below 2", "bad_temperature"))
    async with (
        provider as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", up.base_url)]) as run,
    ):
        with pytest.raises(openai.BadRequestError, match="temperature must be below 2") as caught:
            await run.client.chat.completions.create(model="llama-8b", messages=ASK)
        assert caught.value.code == "bad_temperature"
        assert len(up.calls) == 1


async def test_what_is_recorded(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        await run.client.chat.completions.create(model="auto:best", messages=ASK)
        await run.client.chat.completions.create(model="llama-8b", messages=ASK)
        routed, pinned = await run.records()
        assert (routed["requested"], routed["policy"], routed["chosen"], routed["served"]) == (
            "auto:best",
            "best",
            "llama-8b",
            "llama-8b",
        )
        assert routed["candidates"][0]["model"] == "llama-8b"
        assert routed["cost_nusd"] == 10_000
        assert routed["latency_ms"] >= routed["overhead_ms"] > 0
        assert routed["prompt"] is None
        assert pinned["policy"] is None
        metrics = (await run.http.get("/metrics")).text
        assert 'locus_requests_total{error="",model="llama-8b",policy="best",status="200"} 1.0' in metrics
        assert 'locus_tokens_total{kind="prompt",model="llama-8b"} 14.0' in metrics


async def test_prompts_are_stored_only_if_asked(tmp_path: Path) -> None:
    async with (
        ScriptedProvider() as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"store_prompts": True}) as run,
    ):
        await run.client.chat.completions.create(model="auto", messages=ASK)
        (record,) = await run.records()
        assert record["prompt"] == ASK


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_leaves_closes_the_upstream_call(tmp_path: Path, streaming: bool) -> None:
    async def slow(call: Any, writer: asyncio.StreamWriter) -> None:
        if streaming:
            await stream([chunk("m", {"content": "x"})], stall=True)(call, writer)
        await asyncio.sleep(3600)

    async with ScriptedProvider(slow) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        body = {"model": "auto", "messages": ASK, "stream": streaming}
        if streaming:
            async with run.http.stream("POST", "/v1/chat/completions", json=body) as response:
                assert '"content":"x"' in await anext(response.aiter_lines())
        else:
            await leaving(run.http.post("/v1/chat/completions", json=body), lambda: bool(up.calls))
        await asyncio.wait_for(up.calls[0].closed.wait(), 20)
        (record,) = await run.records()
        assert record["error"] == "client_disconnected"


async def test_large_bodies_pass(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 8_000_000}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is in this picture?"}, image]}]
    async with (
        ScriptedProvider() as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url, capabilities=["vision"])]) as run,
    ):
        response = await run.http.post(
            "/v1/chat/completions", content=orjson.dumps({"model": "auto", "messages": messages})
        )
        assert response.status_code == 200
        assert up.calls[0].body["messages"] == messages
