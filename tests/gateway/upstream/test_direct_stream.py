"""Streams of the direct path, read from a real connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from gateway.config.portfolio import Deployment
from gateway.core.answer import Chunk
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.chat_request import parse_chat
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.direct_stream import MAX_BAD_EVENTS, DirectStream
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, completion, error, events, head, reply, stream

pytestmark = pytest.mark.anyio
REQUEST = parse_chat(b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}')
DONE = b"data: [DONE]\n\n"
START = chunk("up", {"role": "assistant", "content": "Pa"})


@asynccontextmanager
async def opened(answer: Reply) -> AsyncIterator[DirectStream]:
    async with ScriptedProvider(answer) as up, DirectUpstream() as direct:
        deployment = Deployment(id="m/0", model="m", upstream_model="up", path="direct", api_base=up.base_url)
        answered = await direct.stream(deployment, REQUEST, asyncio.get_running_loop().time() + 5)
        assert isinstance(answered, DirectStream)
        try:
            yield answered
        finally:
            await answered.aclose()


async def read_all(answered: DirectStream, wait_s: float = 5) -> list[Chunk]:
    chunks: list[Chunk] = []
    while (some := await answered.read(asyncio.get_running_loop().time() + wait_s)) is not None:
        chunks += some
    return chunks


def text_of(chunks: list[Chunk]) -> str:
    return "".join(str(c.fields["choices"][0]["delta"].get("content") or "") for c in chunks if c.fields["choices"])


async def test_events_become_chunks_with_their_bytes() -> None:
    parts = events("Paris, of course", "up", usage=True)
    async with opened(stream(parts)) as answered:
        chunks = await read_all(answered)
    assert text_of(chunks) == "Paris, of course"
    assert [c.raw for c in chunks] == parts[:-1]
    assert chunks[-1].fields["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


async def test_a_complete_answer_instead_of_a_stream_is_one_chunk() -> None:
    async with opened(reply(200, completion("Paris", "up"))) as answered:
        (read,) = await read_all(answered)
    assert (text_of([read]), read.fields["choices"][0].get("finish_reason")) == ("Paris", "stop")


async def test_the_content_type_does_not_matter_if_the_body_is_a_stream() -> None:
    body = b"\xef\xbb\xbf\n: ping\n\n" + b"".join(events("Paris", "up"))

    async def as_text(call: Call, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, len(body), "text/plain") + body)
        await writer.drain()

    async with opened(as_text) as answered:
        assert text_of(await read_all(answered)) == "Paris"


async def test_chunks_before_an_error_event_are_not_lost() -> None:
    failed = b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'
    async with opened(stream([START + failed])) as answered:
        deadline = asyncio.get_running_loop().time() + 5
        assert text_of(await answered.read(deadline) or []) == "Pa"
        for _ in range(2):
            with pytest.raises(UpstreamFailure) as caught:
                await answered.read(deadline)
            assert caught.value.status == 529


@pytest.mark.parametrize("count", [1, MAX_BAD_EVENTS - 1, MAX_BAD_EVENTS])
async def test_a_few_unreadable_events_are_skipped(count: int) -> None:
    parts = [START, *[b"data: {broken\n\n"] * count, chunk("up", {"content": "ris"}, "stop"), DONE]
    async with opened(stream(parts)) as answered:
        if count < MAX_BAD_EVENTS:
            assert text_of(await read_all(answered)) == "Paris"
        else:
            with pytest.raises(UpstreamFailure) as caught:
                await read_all(answered)
            assert caught.value.cause is Cause.UNREADABLE


async def test_an_unreadable_event_with_a_part_of_the_answer_is_a_failure() -> None:
    async with opened(stream([START, b'data: {"choices": [{"delta": {"cont\n\n', DONE])) as answered:
        with pytest.raises(UpstreamFailure) as caught:
            await read_all(answered)
    assert caught.value.cause is Cause.UNREADABLE


async def test_a_word_that_keeps_the_connection_open_is_ignored() -> None:
    async with opened(stream([*[b"data: ping\n\n"] * 9, *events("Paris", "up")])) as answered:
        assert text_of(await read_all(answered)) == "Paris"


async def test_usage_after_the_end_is_read() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    parts = [*events("Paris", "up"), chunk("up", None, usage=usage)]
    async with opened(stream([b"".join(parts)])) as answered:
        assert (await read_all(answered))[-1].fields["usage"] == usage


@pytest.mark.parametrize(
    ("answer", "cause", "detail"),
    [
        (stream([START], cut=True), Cause.UNREADABLE, "truncated body"),
        (stream([START], stall=True), Cause.TIMEOUT, "silent beyond the limit"),
        (reply(200, b"<html>", {"x": "y"}), Cause.UNREADABLE, "content type application/json instead of a stream"),
        (stream([b" " * 70_000]), Cause.UNREADABLE, "a stream of white space"),
    ],
    ids=["cut", "silent", "page", "white space"],
)
async def test_failures(answer: Reply, cause: Cause, detail: str) -> None:
    async with opened(answer) as answered:
        with pytest.raises(UpstreamFailure) as caught:
            await read_all(answered, wait_s=0.3)
    assert (caught.value.cause, caught.value.detail) == (cause, detail)


async def test_an_error_status_is_classified_before_the_stream_begins() -> None:
    with pytest.raises(UpstreamFailure) as caught:
        async with opened(error(429, "slow down", headers={"retry-after": "3"})):
            pass
    assert (caught.value.cause, caught.value.retry_after_s) == (Cause.RATE_LIMITED, 3.0)


async def test_closing_a_stream_tells_the_provider() -> None:
    async with ScriptedProvider(stream([START], stall=True)) as up, DirectUpstream() as direct:
        deployment = Deployment(id="m/0", model="m", upstream_model="up", path="direct", api_base=up.base_url)
        deadline = asyncio.get_running_loop().time() + 5
        answered = await direct.stream(deployment, REQUEST, deadline)
        assert await answered.read(deadline)
        await answered.aclose()
        await asyncio.wait_for(up.calls[0].closed.wait(), 20)
        assert orjson.loads(up.calls[0].raw)["stream"] is True
