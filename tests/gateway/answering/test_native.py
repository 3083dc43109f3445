"""Upstreams that speak the client's own format: bytes pass, failover and continuation still work; the small endpoints beside."""

from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import orjson
import pytest

from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer, error, reply, stream

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "How are you today, and why is that so?"}]
TEXT = "I am well because the sun is out and the coffee is good"


def claude(url: str, **more: Any) -> dict[str, Any]:
    deployment = {"model": "anthropic/claude-x", "api_base": url, "api_key": "sk-a"}
    return entry("claude", **more) | {"embedding": "meta-llama/Llama-3.1-70B-Instruct", "deployments": [deployment]}


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind} | fields))


def message(model: str, text: str) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    usage = {"input_tokens": 9, "output_tokens": 4, "service_tier": "standard"}
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content, "stop_reason": "end_turn",
        "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def message_events(model: str) -> list[bytes]:
    start = message(model, "") | {"content": [], "stop_reason": None}
    deltas = [{"type": "text_delta", "text": word if i == 0 else f" {word}"} for i, word in enumerate(TEXT.split(" "))]
    return [
        event("message_start", message=start),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *(event("content_block_delta", index=0, delta=delta) for delta in deltas),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 12}),
        event("message_stop"),
    ]


def messages_api(cut_after: int | None = None) -> Reply:
    async def send(call: Call, writer: Any) -> Any:
        model = call.body["model"]
        if call.path.endswith("/count_tokens"):
            return await reply(200, {"input_tokens": 17})(call, writer)
        if not call.body.get("stream"):
            return await reply(200, message(model, TEXT))(call, writer)
        events = message_events(model)[:cut_after]
        return await stream(events, cut=cut_after is not None)(call, writer)

    return send


async def test_a_native_messages_request_passes_byte_for_byte(tmp_path: Path) -> None:
    body = (
        b'{ "model":"claude",  "max_tokens": 64, "messages":[{"role":"user","content":"Hi"}], "new_field": {"a": [1]} }'
    )
    headers = {
        "anthropic-beta": "b-1",
        "anthropic-version": "2023-06-01",
        "x-api-key": "gateway",
        "content-type": "application/json",
    }
    async with ScriptedProvider(messages_api()) as up, gateway(tmp_path, [claude(up.base_url)]) as run:
        got = await run.http.post("/v1/messages?beta=true", content=body, headers=headers)
        assert got.json() == message("claude", TEXT)
        (call,) = up.calls
        assert call.path == "/v1/messages"
        assert call.raw == body.replace(b'"claude"', b'"claude-x"')
        assert (call.headers["anthropic-beta"], call.headers["x-api-key"]) == ("b-1", "sk-a")
        assert "authorization" not in call.headers
        (record,) = await run.records()
        assert (record["api"], record["prompt_tokens"], record["completion_tokens"]) == ("messages", 9, 4)


async def test_a_native_stream_passes_and_is_accounted_for(tmp_path: Path) -> None:
    async with ScriptedProvider(messages_api()) as up, gateway(tmp_path, [claude(up.base_url)]) as run:
        body = {"model": "claude", "max_tokens": 64, "messages": ASK, "stream": True}
        got = await run.http.post("/messages", json=body)
        assert got.content == b"".join(message_events("claude"))
        (record,) = await run.records()
        assert (record["prompt_tokens"], record["completion_tokens"], record["usage_estimated"]) == (9, 12, 0)


@pytest.mark.parametrize("cut_after", [4, 9])
async def test_a_native_stream_that_breaks_is_continued_by_another_model(tmp_path: Path, cut_after: int) -> None:
    async with ScriptedProvider(messages_api(cut_after)) as up, ScriptedProvider(answer(TEXT)) as other:
        async with gateway(tmp_path, [claude(up.base_url), entry("llama-8b", other.base_url)]) as run:
            client = anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0)
            async with client, client.messages.stream(model="claude", max_tokens=64, messages=ASK) as events:
                final = await events.get_final_message()
            assert final.content[0].type == "text"
            assert final.content[0].text == TEXT
            assert final.stop_reason == "end_turn"
            (record,) = await run.records()
            assert (record["parts"][0]["prompt_tokens"], record["parts"][0]["estimated"]) == (
                9,
                True,
            )  # of message_start


async def test_a_failing_native_upstream_is_stood_in_for_by_translation(tmp_path: Path) -> None:
    async with ScriptedProvider(error(529, "overloaded")) as up, ScriptedProvider() as other:
        async with gateway(tmp_path, [claude(up.base_url), entry("llama-8b", other.base_url)]) as run:
            got = await run.http.post("/v1/messages", json={"model": "claude", "max_tokens": 64, "messages": ASK})
            assert got.json()["content"] == [{"type": "text", "text": "fine"}]
            assert got.headers["x-locus-stand-in"] == "llama-8b"


async def test_a_providers_own_tools_go_to_that_provider_or_are_told(tmp_path: Path) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    odd = {"type": "odd\r\nx-injected: 1", "name": "odd"}
    own = {"name": "add", "input_schema": {"type": "object"}}
    body = {"max_tokens": 64, "messages": ASK}
    async with ScriptedProvider(messages_api()) as up, ScriptedProvider() as other:
        async with gateway(tmp_path, [claude(up.base_url), entry("llama-8b", other.base_url)]) as run:
            got = await run.http.post("/v1/messages", json=body | {"model": "auto", "tools": [search]})
            assert got.headers["x-locus-model"] == "claude"
            assert "x-locus-left-out" not in got.headers
            alone = body | {"model": "llama-8b", "tools": [search]}
            got = await run.http.post("/v1/messages", json=alone, headers={"x-locus-failover": "off"})
            assert (got.status_code, got.json()["error"]["type"]) == (400, "invalid_request_error")
            assert "web_search_20250305" in got.json()["error"]["message"]
            assert not other.calls, "a model without the tool would make up what it found"
            beside = body | {"model": "llama-8b", "tools": [search, own, odd]}
            got = await run.http.post("/v1/messages", json=beside)
            assert got.headers["x-locus-left-out"] == "tools.web_search_20250305, tools.unknown"
            assert [tool["function"]["name"] for tool in other.calls[0].body["tools"]] == ["add"]


async def test_a_server_that_does_not_know_the_format_is_asked_by_chat(tmp_path: Path) -> None:
    async def chat_alone(call: Call, writer: Any) -> Any:
        return await (answer("fine") if call.path.endswith("/chat/completions") else error(404))(call, writer)

    async with ScriptedProvider(chat_alone) as up:
        model = entry("llama-8b", up.base_url)
        model["deployments"][0]["apis"] = ["messages", "responses"]
        async with gateway(tmp_path, [model]) as run:
            for _ in range(2):
                body = {"model": "llama-8b", "max_tokens": 64, "messages": ASK}
                assert (await run.http.post("/v1/messages", json=body)).json()["content"][0]["text"] == "fine"
            assert [call.path for call in up.calls] == ["/v1/messages", "/v1/chat/completions", "/v1/chat/completions"]


async def test_a_native_responses_request_passes_byte_for_byte(tmp_path: Path) -> None:
    async def responses(call: Call, writer: Any) -> Any:
        part = {"type": "output_text", "text": TEXT, "annotations": []}
        item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [part]}
        usage = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}
        value = {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": call.body["model"],
            "error": None,
        }
        return await reply(200, value | {"output": [item], "usage": usage})(call, writer)

    async with ScriptedProvider(responses) as up:
        model = entry("llama-8b", up.base_url)
        model["deployments"][0]["apis"] = ["responses"]
        async with gateway(tmp_path, [model]) as run:
            body = b'{"model": "llama-8b", "input": "Why?",  "unknown": 1}'
            got = await run.http.post("/v1/responses", content=body)
            assert (got.json()["id"], got.json()["model"]) == ("resp_1", "llama-8b")
            assert up.calls[0].raw == body.replace(b"llama-8b", b"up-llama-8b")
            more = await run.http.post(
                "/v1/responses", json={"model": "auto", "input": "And?", "previous_response_id": "resp_1"}
            )
            assert more.status_code == 200
            assert [item.get("role") for item in up.calls[1].body["input"]] == ["user", "assistant", "user"]


async def test_previous_responses_are_kept_for_their_owner(tmp_path: Path) -> None:
    keys = {"keys": ["sk-ada-0123", "sk-another-0123"]}
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway=keys) as run:

        def client(key: str) -> openai.AsyncOpenAI:
            return openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key=key, max_retries=0)

        async with client("sk-ada-0123") as ada, client("sk-another-0123") as stranger:
            first = await ada.responses.create(model="auto", input="My name is Ada Lovelace, remember that.")
            again = await ada.responses.create(model="auto", input="Who am I?", previous_response_id=first.id)
            assert again.output_text == "fine"
            assert [m["role"] for m in up.calls[1].body["messages"]] == ["user", "assistant", "user"]
            assert (await ada.responses.retrieve(first.id)).output_text == "fine"
            same_key = {"authorization": "Basic x", "x-api-key": "sk-ada-0123"}
            assert (await run.http.get(f"/v1/responses/{first.id}", headers=same_key)).status_code == 200
            with pytest.raises(openai.NotFoundError):
                await stranger.responses.retrieve(first.id)
            with pytest.raises(openai.BadRequestError) as refused:
                await stranger.responses.create(model="auto", input="Who?", previous_response_id=first.id)
            assert refused.value.code == "previous_response_not_found"
            unkept = await ada.responses.create(model="auto", input="Forget this at once.", store=False)
            with pytest.raises(openai.NotFoundError):
                await ada.responses.retrieve(unkept.id)


async def test_tokens_are_counted_by_the_provider_or_estimated(tmp_path: Path) -> None:
    async with ScriptedProvider(messages_api()) as up, ScriptedProvider() as other:
        models = [claude(up.base_url), entry("llama-8b", other.base_url, context_window=4_096)]
        async with gateway(tmp_path, models) as run:
            async with anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0) as client:
                assert (await client.messages.count_tokens(model="claude", messages=ASK)).input_tokens == 17
                assert up.calls[0].body["model"] == "claude-x"

            async def estimate(**more: Any) -> int:
                body = {"model": "llama-8b", "messages": ASK} | more
                got = await run.http.post("/v1/messages/count_tokens", json=body)
                assert got.headers["x-locus-estimated"] == "true"
                assert got.json()["locus"] == {"estimated": True}
                return int(got.json()["input_tokens"])

            plain = await estimate()
            assert 10 <= plain <= 20
            tool = {"name": "add", "description": "word " * 100, "input_schema": {"type": "object"}}
            assert await estimate(tools=[tool]) > plain + 100
            assert await estimate(system="word " * 50) > plain + 50
            longer = [{"role": "user", "content": "word " * 30_000}]
            exclude = {"x-locus-exclude": "claude"}
            body = {"model": "auto", "messages": longer}
            got = await run.http.post("/v1/messages/count_tokens", json=body, headers=exclude)
            assert got.json()["input_tokens"] > 30_000, (
                "longer than every window, which is what the client wants to know"
            )
            assert not other.calls


async def test_suffix_goes_only_to_who_speaks_completions(tmp_path: Path) -> None:
    async def completions(call: Call, writer: Any) -> Any:
        choice = {"index": 0, "text": "return a", "finish_reason": "stop", "logprobs": None}
        return await reply(
            200, {"id": "c", "object": "text_completion", "created": 1, "model": "x", "choices": [choice]}
        )(call, writer)

    async with ScriptedProvider(completions) as up, ScriptedProvider() as other:
        able = entry("mistral-7b", up.base_url)
        able["deployments"][0]["apis"] = ["completions"]
        async with gateway(tmp_path, [entry("llama-70b", other.base_url), able]) as run:
            got = await run.client.completions.create(model="auto", prompt="def f(a):\n", suffix="\nprint(f(1))")
            assert got.choices[0].text == "return a"
            assert up.calls[0].path == "/v1/completions"
            assert not other.calls
            refused = await run.http.post(
                "/v1/completions",
                json={"model": "auto", "prompt": "x", "suffix": "y"},
                headers={"x-locus-exclude": "mistral-7b"},
            )
            assert (refused.status_code, "suffix" in refused.json()["error"]["message"]) == (400, True)


async def test_a_newer_models_name_for_the_output_limit_is_learned(tmp_path: Path) -> None:
    refusal = error(
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    )
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        up.replies.append(refusal)
        for _ in range(2):
            await run.client.chat.completions.create(model="auto", messages=ASK, max_tokens=50)
        assert [call.body.get("max_completion_tokens") for call in up.calls] == [None, 50, 50]
        assert "max_tokens" not in up.calls[2].body


async def test_the_document_and_its_page(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]) as run:
        document = (await run.http.get("/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        page = await run.http.get("/docs")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for path, operations in document["paths"].items():
            assert path in page.text
            for method in operations.keys() & {"get", "post", "delete"}:
                at = path.replace("{response_id}", "resp_x").replace("{name}", "auto")
                got: httpx.Response = await run.http.request(method, at)
                assert got.status_code != 405, (method, path)
                assert "There is nothing at" not in got.text, (method, path)
