"""Streams on which nothing moves for long: comments, and what is told when the answer or an error comes after them."""

import asyncio
from pathlib import Path
from typing import Any

import anthropic
import httpx
import orjson
import pytest

from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, error, events, stream

pytestmark = pytest.mark.anyio
ASK = [{"role": "user", "content": "hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": ASK},
    "/v1/completions": {"prompt": "hello"},
    "/v1/responses": {"input": "hello"},
    "/v1/messages": {"messages": ASK, "max_tokens": 100},
}
COMMENT = ": keep-alive\n\n"


def after(seconds: float, reply: Reply) -> Reply:
    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        await asyncio.sleep(seconds)
        return await reply(call, writer)

    return send


async def ask(run: Gateway, path: str) -> httpx.Response:
    return await run.http.post(path, json={"model": "llama-8b", "stream": True} | BODIES[path])


@pytest.mark.parametrize("path", BODIES)
async def test_a_slow_stream_gets_comments_and_tells_its_model_in_the_stream(tmp_path: Path, path: str) -> None:
    go_on = asyncio.Event()

    async def slow(call: Call, writer: asyncio.StreamWriter) -> Any:
        await go_on.wait()
        return await stream(events("late but whole", "m"))(call, writer)

    async with ScriptedProvider(slow) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"keep_alive": 0.05}) as run:
            body = {"model": "llama-8b", "stream": True} | BODIES[path]
            async with run.http.stream("POST", path, json=body) as response:
                text = ""
                async for part in response.aiter_text():
                    text += part
                    if text.startswith(COMMENT * 2):
                        go_on.set()
            assert response.status_code == 200
            assert response.headers["x-accel-buffering"] == "no"
            assert "no-transform" in response.headers["cache-control"]
            assert "x-locus-model" not in response.headers
            assert text.startswith(COMMENT * 2)
            told = [orjson.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
            assert '"locus":{"model":"llama-8b"' in orjson.dumps(told).decode()
            assert (await run.records())[-1]["error"] is None


@pytest.mark.parametrize("path", BODIES)
async def test_an_error_after_a_comment_ends_the_stream(tmp_path: Path, path: str) -> None:
    async with ScriptedProvider(after(0.3, error(500))) as up:
        models = [entry("llama-8b", up.base_url)]
        async with gateway(tmp_path, models, gateway={"keep_alive": 0.05, "retries": 0}) as run:
            response = await ask(run, path)
            assert response.status_code == 200
            assert response.text.startswith(COMMENT)
            assert '"error"' in response.text
            assert "[DONE]" not in response.text
            record = (await run.records())[-1]
            assert (record["status"], record["error"]) == (502, "upstreams_failed")


@pytest.mark.parametrize("path", BODIES)
async def test_a_quick_stream_and_a_stream_without_the_setting_get_none(tmp_path: Path, path: str) -> None:
    slow = after(0.3, stream(events("late", "m")))
    async with ScriptedProvider() as quick, ScriptedProvider(slow) as up:
        for url, seconds in ((quick.base_url, 5), (up.base_url, 0)):
            async with gateway(tmp_path, [entry("llama-8b", url)], gateway={"keep_alive": seconds}) as run:
                response = await ask(run, path)
                assert COMMENT not in response.text
                assert response.headers["x-locus-model"] == "llama-8b"


async def test_official_clients_read_streams_with_comments(tmp_path: Path) -> None:
    slow = after(0.2, stream(events("late but whole", "m"), pause_s=0.1))
    async with ScriptedProvider(slow) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"keep_alive": 0.05}) as run:
            async with run.client.chat.completions.stream(model="llama-8b", messages=ASK) as chat:  # type: ignore[arg-type]
                final = await chat.get_final_completion()
            assert final.choices[0].message.content == "late but whole"
            client = anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0)
            async with client, client.messages.stream(model="llama-8b", max_tokens=50, messages=ASK) as stream_:  # type: ignore[arg-type]
                message = await stream_.get_final_message()
            assert message.content[0].text == "late but whole"  # type: ignore[union-attr]
            async with run.client.responses.stream(model="llama-8b", input="hello") as responses:
                response = await responses.get_final_response()
            assert response.output_text == "late but whole"


async def test_a_client_that_leaves_between_comments_frees_its_place(tmp_path: Path) -> None:
    async with ScriptedProvider(after(600, stream(events("never", "m")))) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"keep_alive": 0.1}) as run:
            body = {"model": "llama-8b", "stream": True, "messages": ASK}
            async with run.http.stream("POST", "/v1/chat/completions", json=body) as response:
                assert (await anext(response.aiter_lines())).startswith(":")
            await asyncio.wait_for(up.calls[0].closed.wait(), 20)
            assert (await run.records())[-1]["error"] == "client_disconnected"
