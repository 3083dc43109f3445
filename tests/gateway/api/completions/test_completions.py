"""Legacy completions: what a chat model is asked, what the client gets, and upstreams that speak the format themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import orjson
import pytest

from gateway.api.completions.dialect import Completions
from gateway.api.completions.prompts import prompts_of, texts_among
from gateway.api.completions.request_to_chat import native_only_field
from gateway.api.completions.stream_reader import CompletionsReader, billed_usage, checked_answer
from gateway.bodies.sse import EventReader
from gateway.core.answer import Chunk, Complete, Usage
from gateway.core.errors import InvalidRequest, StreamBroken
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.chat_request import ChatRequest
from tests.conformance import validate
from tests.gateway.upstreams import Call, ScriptedProvider, completion, head, reply

pytestmark = pytest.mark.anyio
ASK: dict[str, Any] = {"model": "auto", "prompt": "Once upon a time,", "max_tokens": 30}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
DIALECT = Completions()


async def parse(**fields: Any) -> ChatRequest:
    return await DIALECT.parse(orjson.dumps(ASK | fields), {})


def chat_chunk(delta: dict[str, Any], finish: str | None = None, **choice: Any) -> Chunk:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish} | choice]
    fields = {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "up",
        "system_fingerprint": None,
        "choices": choices,
    }
    return Chunk(b"data: " + orjson.dumps(fields) + b"\n\n", fields)


def native_event(text: str, finish: str | None = None, **more: Any) -> bytes:
    choices = [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]
    fields = {"id": "cmpl-9", "object": "text_completion", "created": 5, "model": "up", "choices": choices} | more
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def read(*events: bytes) -> list[Chunk]:
    reader = CompletionsReader()
    chunks = [reader.read(event) for event in EventReader().feed(b"".join(events))]
    return [chunk for chunk in chunks if chunk is not None]


def written(data: bytes) -> list[Any]:
    """The events in these bytes, `[DONE]` as itself."""
    events = [event.data or b"" for event in EventReader().feed(data)]
    return ["[DONE]" if data == b"[DONE]" else orjson.loads(data) for data in events]


# The request


async def test_the_prompt_is_one_user_message() -> None:
    for prompt in ("Once upon a time,", ["Once upon a time,"]):
        request = await parse(prompt=prompt, temperature=0.5, stop=["\n"], seed=3, user="u", **{"x-vendor": {"a": 1}})
        assert request.fields == {
            "model": "auto",
            "max_tokens": 30,
            "temperature": 0.5,
            "stop": ["\n"],
            "seed": 3,
            "user": "u",
            "x-vendor": {"a": 1},
            "messages": [{"role": "user", "content": "Once upon a time,"}],
        }
        assert request.native is not None
        assert (request.native.api, request.native.fields["prompt"]) == ("completions", prompt)
        assert (request.requirements.api, request.requirements.api_field) == (None, None)


async def test_without_a_limit_the_answer_is_as_short_as_this_api_says() -> None:
    assert (await parse(max_tokens=None)).fields["max_tokens"] == 16
    assert (await parse(max_tokens=None)).requirements.output_tokens == 16
    assert (await parse(max_tokens=None, max_completion_tokens=99)).requirements.output_tokens == 99


@pytest.mark.parametrize("count", [0, 3])
async def test_log_probabilities_are_asked_for_as_chat_does(count: int) -> None:
    request = await parse(logprobs=count)
    assert (request.fields["logprobs"], request.fields["top_logprobs"]) == (True, count)
    assert "logprobs" in request.requirements.capabilities
    assert "logprobs" not in (await parse(logprobs=None)).requirements.capabilities


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"suffix": "the end."}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"prompt": ["one", "two"]}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2, 3]]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"suffix": "", "echo": False, "best_of": 1, "logprobs": None, "n": None}, None),
        ({"best_of": 2, "n": 2}, None),
    ],
)
async def test_what_only_an_upstream_of_this_format_can_serve(fields: dict[str, Any], field: str | None) -> None:
    assert native_only_field(ASK | fields, texts_among(prompts_of(ASK | fields))) == field
    request = await parse(**fields)
    assert (request.requirements.api, request.requirements.api_field) == (
        None if field is None else "completions",
        field,
    )


async def test_several_prompts_are_several_choices_but_no_capability() -> None:
    request = await parse(prompt=["one", "two", "three"])
    assert (request.choice_count, request.query) == (3, "one\ntwo\nthree")
    assert "several" not in request.requirements.capabilities
    request = await parse(prompt=["one", "two"], n=2)
    assert request.choice_count == 4
    assert "several" in request.requirements.capabilities


@pytest.mark.parametrize(("prompt", "tokens"), [([5] * 300, 300), ([[5] * 20, [6] * 400], 400)])
async def test_token_numbers_are_counted(prompt: Any, tokens: int) -> None:
    requirements = (await parse(prompt=prompt)).requirements
    assert (requirements.prompt_tokens, requirements.max_prompt_tokens) == (tokens, 2 * tokens)


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"prompt": 7}, "prompt", "a text, a list of texts, or token numbers, not a number"),
        ({"prompt": []}, "prompt", "an empty list"),
        ({"prompt": ["a", 1]}, "prompt", "a list"),
        ({"prompt": [[1], "a"]}, "prompt", "a list"),
        ({"prompt": [[]]}, "prompt", "a list"),
        ({"prompt": [True]}, "prompt", "a list"),
        ({"suffix": 1}, "suffix", "a text, not a number"),
        ({"echo": "yes"}, "echo", "true or false, not a string"),
        ({"best_of": 0}, "best_of", "at least 1, not 0"),
        ({"n": 0}, "n", "at least 1"),
        ({"n": True}, "n", "a whole number, not a boolean"),
        ({"logprobs": True}, "logprobs", "a whole number, not a boolean"),
        ({"logprobs": 21}, "logprobs", "from 0 to 20, not 21"),
        ({"max_tokens": -1}, "max_tokens", "at least 0"),
        ({"max_tokens": 1.5}, "max_tokens", "a whole number"),
        ({"model": None}, "model", "not null"),
        ({"stream": 1}, "stream", "true or false"),
        ({"stream_options": []}, "stream_options", "an object"),
    ],
)
async def test_errors_name_the_field(fields: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as raised:
        await parse(**fields)
    assert raised.value.param == param
    validate(orjson.loads(DIALECT.error(raised.value, "req_1")), "ErrorResponse")


async def test_a_missing_prompt() -> None:
    with pytest.raises(InvalidRequest, match="`prompt` is missing") as raised:
        await DIALECT.parse(b'{"model": "auto"}', {})
    assert raised.value.param == "prompt"


async def test_upstreams_of_this_format_get_the_clients_bytes() -> None:
    body = b' {"model": "auto", "prompt" : "Once", "suffix":"end","stream": true, "x":{"f":1.10}}'
    native = (await DIALECT.parse(body, {})).native
    assert native is not None
    expected = body.strip().replace(b'"auto"', b'"up"').replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    assert native.upstream_body("up") == expected
    for options in (None, {}, {"include_usage": False, "x": 1}):
        native = (await parse(stream=True, stream_options=options)).native
        assert native is not None
        assert orjson.loads(native.upstream_body("up"))["stream_options"] == (options or {}) | {"include_usage": True}
    for more in ({}, {"stream": False}, {"stream": True, "stream_options": {"include_usage": True}}):
        native = (await parse(**more)).native
        assert native is not None
        assert native.upstream_body("up") == orjson.dumps(ASK | more | {"model": "up"})


# Whole answers


def whole(request: ChatRequest, fields: dict[str, Any], api: Any = "chat") -> dict[str, Any]:
    complete = Complete(orjson.dumps(fields), fields, Usage(7, 3), api)
    value: dict[str, Any] = orjson.loads(DIALECT.complete_answer(request, complete, "llama-8b"))
    validate(value, "CreateCompletionResponse")
    return value


async def test_a_chat_completion_becomes_a_text_completion() -> None:
    answer = completion("in a far land", "up") | {"service_tier": "default", "system_fingerprint": None}
    assert whole(await parse(), answer) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "llama-8b",
        "choices": [{"text": "in a far land", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
        "service_tier": "default",
    }


async def test_a_bare_answer_gets_what_is_missing() -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": None}}, {"message": {"content": "b"}}]}
    value = whole(await parse(n=2), answer)
    assert [(c["index"], c["text"], c["finish_reason"]) for c in value["choices"]] == [
        (0, "", "stop"),
        (1, "b", "stop"),
    ]
    assert value["id"].startswith("cmpl-")
    assert value["created"] > 0


@pytest.mark.parametrize(
    ("chat", "here"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "stop")],
)
async def test_endings(chat: str, here: str) -> None:
    answer = completion("x", "up")
    answer["choices"][0]["finish_reason"] = chat
    assert whole(await parse(), answer)["choices"][0]["finish_reason"] == here
    writer = DIALECT.writer(await parse(stream=True))
    chunk = chat_chunk({}, chat)
    assert written(writer.write(chunk, chunk.fields, "llama-8b"))[0]["choices"][0]["finish_reason"] == here


def token(text: str, logprob: float, *others: tuple[str, float]) -> dict[str, Any]:
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in ((text, logprob), *others)]
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": top}


LOGPROBS = {"content": [token("in", -0.1, ("on", -2.0)), token(" a", -0.2), token(" far", -0.3)], "refusal": None}
LEGACY = {
    "tokens": ["in", " a", " far"],
    "token_logprobs": [-0.1, -0.2, -0.3],
    "top_logprobs": [{"in": -0.1, "on": -2.0}, {" a": -0.2}, {" far": -0.3}],
    "text_offset": [0, 2, 4],
}


async def test_log_probabilities_in_the_old_form() -> None:
    answer = completion("in a far", "up")
    answer["choices"][0]["logprobs"] = LOGPROBS
    assert whole(await parse(logprobs=1), answer)["choices"][0]["logprobs"] == LEGACY


async def test_log_probabilities_in_a_stream_count_on() -> None:
    writer = DIALECT.writer(await parse(logprobs=1, stream=True))
    offsets = []
    for entry in LOGPROBS["content"] or ():
        chunk = chat_chunk({"content": entry["token"]}, logprobs={"content": [entry]})
        (event,) = written(writer.write(chunk, chunk.fields, "llama-8b"))
        offsets += event["choices"][0]["logprobs"]["text_offset"]
    assert offsets == LEGACY["text_offset"]


async def test_a_native_answer_keeps_its_bytes_but_for_the_name() -> None:
    body = b'{"id":"x-1", "object":"text_completion","created":5,"model":"up","choices":[{"text":"a \\u00e9","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10},"timings":{"f":1.10}}'
    fields = checked_answer(orjson.loads(body))
    assert billed_usage(fields) == Usage(7, 3)
    complete = Complete(body, fields, billed_usage(fields), "completions")
    assert DIALECT.complete_answer(await parse(), complete, "llama-8b") == body.replace(b'"up"', b'"llama-8b"')
    nested = body.replace(b'"timings":{', b'"timings":{"model":"up",')
    complete = Complete(nested, orjson.loads(nested), None, "completions")
    answer = orjson.loads(DIALECT.complete_answer(await parse(), complete, "llama-8b"))
    assert (answer["model"], answer["timings"]["model"]) == ("llama-8b", "up")


@pytest.mark.parametrize(
    "fields",
    [{}, {"choices": []}, {"choices": [{"message": {}, "text": 1}]}, {"choices": ["a"]}, {"choices": {"a": 1}}],
)
def test_an_answer_that_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(UpstreamFailure) as raised:
        checked_answer(fields)
    assert raised.value.cause is Cause.UNREADABLE


# Streams


async def stream(request: ChatRequest, chunks: list[Chunk], usage: dict[str, Any] | None = USAGE) -> list[Any]:
    writer = DIALECT.writer(request)
    data = b"".join(writer.write(chunk, chunk.fields, "llama-8b") for chunk in chunks)
    return written(data + writer.end(usage, "llama-8b"))


TOLD = [
    chat_chunk({"role": "assistant", "content": ""}),
    chat_chunk({"reasoning_content": "hm"}),
    chat_chunk({"content": "in a"}),
    chat_chunk({"content": " far land"}),
    chat_chunk({}, "stop"),
]


async def test_chat_chunks_become_text_chunks() -> None:
    events = await stream(await parse(stream=True), TOLD)
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
async def test_usage_comes_exactly_when_asked(asked: bool) -> None:
    request = await parse(stream=True, stream_options={"include_usage": asked})
    *events, done = await stream(request, TOLD)
    assert done == "[DONE]"
    assert [event["choices"] == [] for event in events] == [False] * 3 + [True] * asked
    assert [event["usage"] for event in events if "usage" in event] == [USAGE] * asked
    assert len(await stream(request, TOLD, None)) == 4  # a provider that does not say


async def test_a_broken_stream_ends_with_an_error_and_no_done() -> None:
    writer = DIALECT.writer(await parse(stream=True))
    (event,) = written(writer.error(StreamBroken("It broke.")))
    validate(event, "ErrorResponse")
    assert event["error"]["code"] == "stream_broken"


NATIVE = [
    native_event("in a"),
    native_event(" far land", system_fingerprint="fp"),
    native_event("", "stop"),
    native_event("", usage=USAGE) .replace(b'"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":null}]', b'"choices":[]'),
]  # fmt: skip


@pytest.mark.parametrize("asked", [True, False])
async def test_a_native_stream_keeps_its_bytes_but_for_the_name(asked: bool) -> None:
    request = await parse(stream=True, stream_options={"include_usage": asked})
    writer = DIALECT.writer(request)
    data = b"".join(writer.write(chunk, chunk.fields, "llama-8b") for chunk in read(*NATIVE))
    data += writer.end(USAGE, "llama-8b")
    expected = b"".join(NATIVE if asked else NATIVE[:-1]).replace(b'"model":"up"', b'"model":"llama-8b"')
    assert data == expected + b"data: [DONE]\n\n"


async def test_usage_inside_a_native_chunk_moves_to_the_end() -> None:
    parts = [native_event("in", usage=USAGE), native_event("", "stop", usage=USAGE)]
    events = await stream(await parse(stream=True), read(*parts))
    assert [e if e == "[DONE]" else "usage" in e for e in events] == [False, False, "[DONE]"]
    events = await stream(await parse(stream=True, stream_options={"include_usage": True}), read(*parts))
    assert [e if e == "[DONE]" else "usage" in e for e in events] == [False, False, True, "[DONE]"]


async def test_another_model_goes_on_with_a_native_stream() -> None:
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


def test_native_events_have_chat_equivalents() -> None:
    logprobs = {"tokens": ["in"], "token_logprobs": [-0.1], "top_logprobs": [{"in": -0.1}], "text_offset": [0]}
    choices = [{"text": "in", "index": 1, "logprobs": logprobs, "finish_reason": None}]
    texts, end, last = read(native_event("", choices=choices), native_event("", "length"), NATIVE[-1])
    (choice,) = texts.fields["choices"]
    assert (choice["index"], choice["delta"], choice["finish_reason"]) == (1, {"content": "in"}, None)
    assert choice["logprobs"]["content"][0]["top_logprobs"] == [{"token": "in", "logprob": -0.1, "bytes": [105, 110]}]
    assert (texts.api, texts.has_content, end.fields["choices"][0]["finish_reason"]) == ("completions", True, "length")
    assert (last.fields["choices"], last.fields["usage"]) == ([], USAGE)


def test_events_that_are_none_of_this_format_and_the_end() -> None:
    reader = CompletionsReader()
    for data in (b"5", b"{}", b"null", b'{"choices": null}'):
        (event,) = EventReader().feed(b"data: " + data + b"\n\n")
        assert reader.read(event) is None
    for data in (b"nonsense", b"[1]", b'"a text"', b'{"choices": [{"text": 3}]}', b'{"choices": ["x"]}'):
        (event,) = EventReader().feed(b"data: " + data + b"\n\n")
        with pytest.raises(ValueError, match=r"choices|JSON|Expecting|neither"):
            reader.read(event)
    assert not reader.ended
    (event,) = EventReader().feed(b"data: [DONE]\n\n")
    assert reader.read(event) is None
    assert reader.ended


def test_an_error_in_a_native_stream() -> None:
    with pytest.raises(UpstreamFailure) as raised:
        read(b'data: {"error": {"message": "too fast", "code": 429}}\n\n')
    assert raised.value.cause is Cause.RATE_LIMITED


# The official client


@asynccontextmanager
async def client(fields: dict[str, Any]) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of a server that answers in this format with a chat completion, or with its chunks."""

    async def answer(call: Call, writer: asyncio.StreamWriter) -> None:
        request = await DIALECT.parse(call.raw, {})
        if not request.stream:
            await reply(200, DIALECT.complete_answer(request, Complete(b"", fields, None), "llama-8b"))(call, writer)
            return
        out = DIALECT.writer(request)
        body = b"".join(out.write(chunk, chunk.fields, "llama-8b") for chunk in TOLD) + out.end(USAGE, "llama-8b")
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


def test_an_error_that_is_told_in_a_list_is_an_error() -> None:
    data = b'[{"error": {"code": 429, "message": "Too many requests", "status": "RATE"}}]'
    (event,) = EventReader().feed(b"data: " + data + b"\n\n")
    with pytest.raises(UpstreamFailure) as failed:
        CompletionsReader().read(event)
    assert failed.value.cause is Cause.RATE_LIMITED
