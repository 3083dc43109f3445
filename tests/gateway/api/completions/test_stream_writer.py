"""Chat chunks and chunks of an upstream -> the client's stream."""

import pytest

from gateway.core.errors import StreamBroken
from tests.conformance import validate
from tests.gateway.api.completions.examples import (
    CHAT_CHUNKS,
    DIALECT,
    LEGACY,
    LOGPROBS,
    NATIVE_EVENTS,
    USAGE,
    chat_chunk,
    native_event,
    parse,
    read,
    stream,
    written,
)

pytestmark = pytest.mark.anyio


async def test_offsets_of_log_probabilities_continue_from_chunk_to_chunk() -> None:
    writer = DIALECT.writer(await parse(logprobs=1, stream=True))
    offsets = []
    for entry in LOGPROBS["content"] or ():
        chunk = chat_chunk({"content": entry["token"]}, logprobs={"content": [entry]})
        (event,) = written(writer.write(chunk, chunk.fields, "llama-8b"))
        offsets += event["choices"][0]["logprobs"]["text_offset"]
    assert offsets == LEGACY["text_offset"]


async def test_chat_chunks_become_text_chunks() -> None:
    events = await stream(await parse(stream=True), CHAT_CHUNKS)
    assert events[-1] == "[DONE]"
    assert [(e["choices"][0]["text"], e["choices"][0]["finish_reason"]) for e in events[:-1]] == [
        ("in a", None),
        (" far land", None),
        ("", "stop"),
    ]
    for event in events[:-1]:
        assert {key: event[key] for key in event if key != "choices"} == {
            "id": "cmpl-7",
            "object": "text_completion",
            "created": 5,
            "model": "llama-8b",
        }
        ended = [choice | {"finish_reason": choice["finish_reason"] or "stop"} for choice in event["choices"]]
        validate(event | {"choices": ended}, "CreateCompletionResponse")  # which has no null, though OpenAI sends it


@pytest.mark.parametrize("asked", [True, False])
async def test_usage_is_sent_only_if_requested(asked: bool) -> None:
    request = await parse(stream=True, stream_options={"include_usage": asked})
    *events, done = await stream(request, CHAT_CHUNKS)
    assert done == "[DONE]"
    assert [event["choices"] == [] for event in events] == [False] * 3 + [True] * asked
    assert [event["usage"] for event in events if "usage" in event] == [USAGE] * asked
    assert len(await stream(request, CHAT_CHUNKS, None)) == 4  # a provider that does not say


async def test_a_broken_stream_ends_with_an_error_and_no_done() -> None:
    writer = DIALECT.writer(await parse(stream=True))
    (event,) = written(writer.error(StreamBroken("It broke.")))
    validate(event, "ErrorResponse")
    assert event["error"]["code"] == "stream_broken"


@pytest.mark.parametrize("asked", [True, False])
async def test_a_native_stream_keeps_its_bytes_but_for_the_name(asked: bool) -> None:
    request = await parse(stream=True, stream_options={"include_usage": asked})
    writer = DIALECT.writer(request)
    data = b"".join(writer.write(chunk, chunk.fields, "llama-8b") for chunk in read(*NATIVE_EVENTS))
    data += writer.end(USAGE, "llama-8b")
    expected = b"".join(NATIVE_EVENTS if asked else NATIVE_EVENTS[:-1]).replace(b'"model":"up"', b'"model":"llama-8b"')
    assert data == expected + b"data: [DONE]\n\n"


async def test_usage_inside_a_native_chunk_moves_to_the_end() -> None:
    parts = [native_event("in", usage=USAGE), native_event("", "stop", usage=USAGE)]
    events = await stream(await parse(stream=True), read(*parts))
    assert [e if e == "[DONE]" else "usage" in e for e in events] == [False, False, "[DONE]"]
    events = await stream(await parse(stream=True, stream_options={"include_usage": True}), read(*parts))
    assert [e if e == "[DONE]" else "usage" in e for e in events] == [False, False, True, "[DONE]"]


async def test_another_model_continues_a_native_stream() -> None:
    writer = DIALECT.writer(await parse(stream=True, stream_options={"include_usage": True}))
    (first,) = read(native_event("in a", id="x-9"))
    data = writer.write(first, first.fields, "llama-8b")
    rest = [chat_chunk({"content": " far land"}), chat_chunk({}, "stop")]
    for chunk in rest:
        fields = chunk.fields | {"id": "x-9", "created": 5, "locus": {"models": ["llama-8b", "mistral-7b"]}}
        data += writer.write(chunk, fields, "mistral-7b")
    events = written(data + writer.end(USAGE, "mistral-7b"))
    assert "".join(e["choices"][0]["text"] for e in events[:-2]) == "in a far land"
    assert {e["id"] for e in events[:-1]} == {"x-9"}
    assert [e["model"] for e in events[:-1]] == ["llama-8b"] + ["mistral-7b"] * 3
    assert events[-3]["locus"] == {"models": ["llama-8b", "mistral-7b"]}
    assert (events[-2]["usage"], events[-1]) == (USAGE, "[DONE]")
