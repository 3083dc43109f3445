"""Answers in the legacy format as OpenAI's client library reads them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from gateway.core.answer import Complete
from tests.gateway.api.completions.examples import (
    CHAT_CHUNKS,
    DIALECT,
    LOGPROBS,
    USAGE,
)
from tests.gateway.upstreams import Call, ScriptedProvider, completion, head, reply

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def client(fields: dict[str, Any]) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of a server that answers in this format with a chat completion, or with its chunks."""

    async def answer(call: Call, writer: asyncio.StreamWriter) -> None:
        request = await DIALECT.parse(call.raw, {})
        if not request.stream:
            await reply(200, DIALECT.complete_answer(request, Complete(b"", fields, None), "llama-8b"))(call, writer)
            return
        out = DIALECT.writer(request)
        body = b"".join(out.write(chunk, chunk.fields, "llama-8b") for chunk in CHAT_CHUNKS) + out.end(
            USAGE, "llama-8b"
        )
        writer.write(head(200, len(body), "text/event-stream") + body)

    async with ScriptedProvider(answer) as server, openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client:
        yield client


async def test_the_official_client_reads_answers() -> None:
    answer = completion("in a far", "up")
    answer["choices"][0]["logprobs"] = LOGPROBS
    async with client(answer) as api:
        read = await api.completions.create(model="auto", prompt="Once", logprobs=1)
        assert (read.model, read.choices[0].text, read.object) == ("llama-8b", "in a far", "text_completion")
        assert read.choices[0].logprobs is not None
        assert read.choices[0].logprobs.text_offset == [0, 2, 4]
        assert read.usage is not None
        assert read.usage.total_tokens == 10


async def test_the_official_client_reads_streams() -> None:
    async with client({}) as api:
        chunks = [
            chunk
            async for chunk in await api.completions.create(
                model="auto", prompt="Once", stream=True, stream_options={"include_usage": True}
            )
        ]
        assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "in a far land"
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 10
