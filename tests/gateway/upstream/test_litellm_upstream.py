"""The litellm path against a real HTTP server that speaks Anthropic's Messages protocol."""

import asyncio
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import Call, ScriptedProvider, answer, chunk, head, reply, stream

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]


def event_stream(*events: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (n.encode(), orjson.dumps({"type": n} | v)) for n, v in events)


async def anthropic(call: Call, writer: asyncio.StreamWriter) -> Any:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": call.body["model"],
        "content": [{"type": "text", "text": "from claude"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 4},
    }
    if not call.body.get("stream"):
        return await reply(200, message)(call, writer)
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": message | {"content": [], "stop_reason": None}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "from "}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "claude"}}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 4}}),
        ("message_stop", {}),
    ]
    body = event_stream(*events)
    writer.write(head(200, len(body), "text/event-stream") + body)
    await writer.drain()
    return None


def claude(up: ScriptedProvider) -> dict[str, Any]:
    deployment = {
        "model": "anthropic/claude-test",
        "api_base": up.base_url.removesuffix("/v1"),
        "api_key": "sk-ant-canary",
    }
    return entry("claude") | {"deployments": [deployment], "embedding": "anthropic/claude-3-haiku-20240307"}


async def test_a_complete_answer_and_a_stream(tmp_path: Path) -> None:
    async with ScriptedProvider(anthropic) as up, gateway(tmp_path, [claude(up)]) as run:
        answer = await run.client.chat.completions.create(model="claude", messages=ASK)
        assert answer.choices[0].message.content == "from claude"
        assert answer.model == "claude"
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == 11
        assert up.calls[0].headers["x-api-key"] == "sk-ant-canary"
        chunks = [c async for c in await run.client.chat.completions.create(model="claude", messages=ASK, stream=True)]
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == "from claude"
        assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
        assert {c.model for c in chunks} == {"claude"}
        first, second = await run.records()
        assert (first["completion_tokens"], second["completion_tokens"]) == (4, 4)


async def test_a_client_cannot_redirect_the_call(tmp_path: Path) -> None:
    async with ScriptedProvider(anthropic) as up, ScriptedProvider() as thief, gateway(tmp_path, [claude(up)]) as run:
        await run.client.chat.completions.create(
            model="claude",
            messages=ASK,
            extra_body={"api_base": thief.base_url, "base_url": thief.base_url, "api_key": "x"},
        )
        assert not thief.calls
        assert up.calls[0].headers["x-api-key"] == "sk-ant-canary"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("status", "calls"), [(500, 2), (529, 2), (401, 1), (404, 1)])
async def test_its_failures_lead_to_failover_without_retries_of_litellm(
    tmp_path: Path, status: int, calls: int, streaming: bool
) -> None:
    failing = reply(
        status, {"type": "error", "error": {"type": "api_error", "message": "sk-ant-canary at https://secret"}}
    )
    async with ScriptedProvider(failing) as up, ScriptedProvider() as good:
        async with gateway(tmp_path, [claude(up), entry("llama-8b", good.base_url)]) as run:
            body = {"model": "claude", "messages": ASK, "stream": streaming}
            response = await run.http.post("/v1/chat/completions", json=body)
            assert response.headers["x-locus-stand-in"] == "llama-8b"
            assert len(up.calls) == calls


async def streamed(run: Gateway, model: str) -> str:
    chunks = [c async for c in await run.client.chat.completions.create(model=model, messages=ASK, stream=True)]
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert len({c.id for c in chunks}) == 1
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@pytest.mark.parametrize("how", ["cut", "error"])
async def test_another_model_continues_its_broken_stream(tmp_path: Path, how: str) -> None:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    message["usage"] = {"input_tokens": 11, "output_tokens": 1}
    begun: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "from "}}),
    ]
    if how == "error":
        begun.append(("error", {"error": {"type": "overloaded_error", "message": "sk-ant-canary is overloaded"}}))
    parts = stream([event_stream(event) for event in begun], cut=how == "cut")
    async with ScriptedProvider(parts) as up, ScriptedProvider(answer("from another")) as good:
        async with gateway(tmp_path, [claude(up), entry("llama-8b", good.base_url)]) as run:
            assert await streamed(run, "claude") == "from another"
            (record,) = await run.records()
            assert [part["deployment"] for part in record["parts"]] == ["claude/0", "llama-8b/0"]


async def test_it_continues_the_broken_stream_of_another_model(tmp_path: Path) -> None:
    half = stream([chunk("m", {"role": "assistant", "content": "It is "})], cut=True)
    async with ScriptedProvider(half) as broken, ScriptedProvider(anthropic) as up:
        model = claude(up)
        model["deployments"][0]["prefill"] = True
        async with gateway(tmp_path, [entry("llama-8b", broken.base_url), model]) as run:
            assert await streamed(run, "llama-8b") == "It is from claude"
            last = up.calls[0].body["messages"][-1]
            assert (last["role"], orjson.dumps(last["content"]).count(b'"It is"')) == (
                "assistant",
                1,
            )  # without its space


async def test_its_rejections_reach_the_client(tmp_path: Path) -> None:
    failing = reply(
        400, {"type": "error", "error": {"type": "invalid_request_error", "message": "temperature: too hot"}}
    )
    async with ScriptedProvider(failing) as up, gateway(tmp_path, [claude(up)]) as run:
        with pytest.raises(openai.BadRequestError, match="too hot"):
            await run.client.chat.completions.create(model="claude", messages=ASK)


async def test_an_address_in_a_message_does_not_block_the_event_loop(tmp_path: Path) -> None:
    """litellm would fetch it in the event loop, from a server that may never answer."""
    asked: list[bytes] = []

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.pdf"
    parts: list[Any] = [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": url}},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    async with server, ScriptedProvider(anthropic) as up:
        model = claude(up) | {"capabilities": ["files", "vision"]}
        async with gateway(tmp_path, [model], gateway={"retries": 0}) as run:
            for part in parts:
                asking = run.client.chat.completions.create(
                    model="claude", messages=[{"role": "user", "content": [part]}]
                )
                with pytest.raises(openai.APIStatusError):
                    await asking
            assert not up.calls
            assert [[f["cause"] for f in r["failover"]] for r in await run.records()] == [["unsupported"]] * 2
            await run.client.chat.completions.create(model="claude", messages=ASK)
    assert not asked


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("body", [OVERLOADED, {}, {"type": "message", "role": "assistant", "content": []}])
async def test_an_answer_without_content_is_a_failure(tmp_path: Path, body: dict[str, Any], streamed: bool) -> None:
    async with ScriptedProvider(reply(200, body)) as empty, ScriptedProvider(answer("fine")) as other:
        models = [claude(empty), entry("llama-8b", other.base_url)]
        async with gateway(tmp_path, models, gateway={"retries": 0}) as run:
            got = await run.http.post(
                "/v1/chat/completions", json={"model": "claude", "messages": ASK, "stream": streamed}
            )
            assert got.status_code == 200
            assert "fine" in got.text
            assert got.headers["x-locus-stand-in"] == "llama-8b"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_litellm_cannot_translate_is_not_a_fault_of_the_provider(
    tmp_path: Path, streamed: bool
) -> None:
    odd = {"role": "user", "content": [{"type": "odd"}]}
    tools = [{"type": "function"}]
    async with ScriptedProvider(anthropic) as up, gateway(tmp_path, [claude(up)]) as run:
        form = {"type": "json_schema"}
        bodies: list[dict[str, Any]] = [{"messages": [odd]}, {"messages": ASK, "tools": tools}]
        for body in [*bodies, {"messages": ASK, "response_format": form}] * 4:
            got = await run.http.post("/v1/chat/completions", json=body | {"model": "claude", "stream": streamed})
            assert got.status_code == 400, got.text
            assert "Traceback" not in got.text
        assert not up.calls
        assert (
            await run.http.post("/v1/chat/completions", json={"model": "claude", "messages": ASK})
        ).status_code == 200


async def test_a_server_that_cannot_be_reached_is_not_a_fault_of_the_request(tmp_path: Path) -> None:
    async with ScriptedProvider() as stopped:
        model = claude(stopped)
    async with gateway(tmp_path, [model], gateway={"retries": 0}) as run:
        got = await run.http.post("/v1/chat/completions", json={"model": "claude", "messages": ASK})
        assert got.status_code in (502, 503), got.text


async def test_a_client_gets_no_traceback_of_an_answer_that_cannot_be_read(tmp_path: Path) -> None:
    async with ScriptedProvider(reply(200, {"type": "message", "role": "assistant"})) as odd:
        async with gateway(tmp_path, [claude(odd)], gateway={"retries": 0}) as run:
            got = await run.http.post("/v1/chat/completions", json={"model": "claude", "messages": ASK})
            assert got.status_code == 502
            assert not any(word in got.text for word in ("Traceback", "File ", ".py"))


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_empty_answer_with_billed_tokens_is_complete(tmp_path: Path, streamed: bool) -> None:
    async def nothing(call: Call, writer: asyncio.StreamWriter) -> Any:
        message: dict[str, Any] = {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "c",
            "content": [],
            "stop_sequence": None,
        }
        usage = {"input_tokens": 11, "output_tokens": 3}
        if not call.body.get("stream"):
            return await reply(200, message | {"stop_reason": "end_turn", "usage": usage})(call, writer)
        ending = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 3}}
        begin = message | {"stop_reason": None, "usage": {"input_tokens": 11, "output_tokens": 1}}
        body = event_stream(("message_start", {"message": begin}), ("message_delta", ending), ("message_stop", {}))
        writer.write(head(200, len(body), "text/event-stream") + body)
        await writer.drain()
        return None

    async with ScriptedProvider(nothing) as up, gateway(tmp_path, [claude(up)], gateway={"retries": 0}) as run:
        got = await run.http.post("/v1/chat/completions", json={"model": "claude", "messages": ASK, "stream": streamed})
        assert got.status_code == 200
        assert "stop" in got.text
        (record,) = await run.records()
        assert (record["completion_tokens"], record["usage_estimated"]) == (3, 0)


@pytest.mark.parametrize("body", [b"<html><body>Bad gateway</body></html>", b"", b'{"content": [', b"[1, 2]", b'"no"'])
async def test_a_body_that_is_not_an_answer_is_the_providers_fault(tmp_path: Path, body: bytes) -> None:
    async with ScriptedProvider(reply(200, body)) as up:
        async with gateway(tmp_path, [claude(up)], gateway={"retries": 0}) as run:
            got = await run.http.post("/v1/chat/completions", json={"model": "claude", "messages": ASK})
            assert got.status_code in (502, 503), got.text


@pytest.mark.parametrize("reason", [None, "", "null", "error"])
async def test_an_invalid_stop_reason_does_not_end_an_answer(tmp_path: Path, reason: str | None) -> None:
    async def cut(call: Call, writer: asyncio.StreamWriter) -> Any:
        message: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "usage": {},
        }
        body = event_stream(
            ("message_start", {"message": message | {"usage": {"input_tokens": 1, "output_tokens": 1}}}),
            ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
            ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "half of"}}),
            ("message_delta", {"delta": {"stop_reason": reason}, "usage": {"output_tokens": 4}}),
        )
        writer.write(head(200, len(body), "text/event-stream") + body)
        await writer.drain()

    async with ScriptedProvider(cut) as up, gateway(tmp_path, [claude(up)]) as run:
        body = {"model": "claude", "messages": ASK, "stream": True}
        text = (await run.http.post("/v1/chat/completions", json=body)).text
        assert "half of" in text
        assert '"code":"stream_broken"' in text
        assert "[DONE]" not in text
