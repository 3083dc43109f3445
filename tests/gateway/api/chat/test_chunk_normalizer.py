"""Odd chunks and answers of providers: what the official clients read behind the gateway."""

import json
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.chat.completion_normalizer import normalize_completion
from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.chat.stream_reader import ChatReader
from gateway.api.chat.stream_to_completion import completion_of_stream
from gateway.bodies.sse import Event, EventReader
from gateway.provider_errors.failures import Cause, UpstreamFailure
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, head, reply, stream

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "hello"}]
DONE = b"data: [DONE]\n\n"
STOP = chunk("m", {}, "stop")
ROLE = chunk("m", {"role": "assistant", "content": ""})
HEL, LO = chunk("m", {"content": "Hel"}), chunk("m", {"content": "lo"})


def one(*choices: Any, **more: Any) -> bytes:
    return chunk("m", None, **{"choices": list(choices)} | more)


def call(**fields: Any) -> bytes:
    return chunk("m", {"tool_calls": [fields]})


def raw(text: bytes) -> bytes:
    return b'data: {"id":"c1","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"' + text + b'"}}]}\n\n'


TEXTS = {
    "plain": [ROLE, HEL, LO, STOP],
    "finish reasons that are none": [chunk("m", {"content": "Hel"}, ""), chunk("m", {"content": "lo"}, "null"), STOP],
    "false as a finish reason": [one({"index": 0, "delta": {"content": "Hello"}, "finish_reason": False}), STOP],
    "delta null": [
        one({"index": 0, "delta": None}),
        HEL,
        LO,
        one({"index": 0, "delta": None, "finish_reason": "stop"}),
    ],
    "no delta": [HEL, LO, one({"index": 0, "finish_reason": "stop"})],
    "no index": [one({"delta": {"content": "Hello"}}), one({"delta": {}, "finish_reason": "stop"})],
    "index as text": [one({"index": "0", "delta": {"content": "Hello"}}), STOP],
    "index that looks like a digit": [one({"index": "²", "delta": {"content": "Hello"}}), STOP],
    "role in each chunk": [chunk("m", {"role": "assistant", "content": text}) for text in ("Hel", "lo")] + [STOP],
    "parts": [chunk("m", {"content": [{"type": "text", "text": t}]}) for t in ("Hel", "lo")] + [STOP],
    "a part": [chunk("m", {"content": {"type": "text", "text": "Hello"}}), STOP],
    "choices null": [one(choices=None, usage=None), HEL, LO, STOP, one(choices=None, usage={"prompt_tokens": 1})],
    "usage of zeros": [chunk("m", {"content": "Hello"}, usage={"prompt_tokens": 0, "completion_tokens": 0}), STOP],
    "message in place of delta": [one({"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"})],
    "two finish reasons": [HEL, LO, STOP, STOP],
    "half characters": [ROLE, raw(b"Hel\\ud83d"), raw(b"\\ude00lo"), STOP],
    "half of its bytes": [ROLE, raw(b"Hel\xf0\x9f"), raw(b"\x98\x80lo"), STOP],
    "half a character at the end": [ROLE, raw(b"Hello\\ud83d"), STOP],
    "control characters": [ROLE, raw(b"Hel\tlo"), STOP],
    "NaN": [one({"index": 0, "delta": {"content": "Hello"}}).replace(b'"created":1', b'"created":NaN'), STOP],
    "pings": [b"event: ping\ndata: {}\n\n", b": x\n\n", b"data: null\n\n", b"data: 12:30\n\n", b"data:  \n\n"] * 2
    + [HEL, b"data: {}\n\n", LO, STOP],
    "an error that is none": [one({"index": 0, "delta": {"content": "Hello"}}, error=None), STOP],
}
WANTED = {
    "half characters": "Hel😀lo",
    "half of its bytes": "Hel😀lo",
    "half a character at the end": "Hello\ufffd",
    "control characters": "Hel\tlo",
}
F = {"name": "f", "arguments": ""}
CALLS = {
    "plain": [call(index=0, id="a", type="function", function=F), call(index=0, function={"arguments": '{"x":1}'})],
    "nulls": [
        call(index=0, id="a", type="function", function={"name": "f", "arguments": '{"x"'}),
        call(index=0, id=None, type=None, function={"name": None, "arguments": ":1}"}),
    ],
    "named again": [
        call(index=0, id="a", type="function", function={"name": "f", "arguments": '{"x"'}),
        call(index=0, id="a", type="function", function={"name": "f", "arguments": ":1}"}),
    ],
    "no index": [call(id="a", function=F), call(id="a", function={"arguments": '{"x":1}'})],
    "an object": [call(index=0, id="a", type="function", function={"name": "f", "arguments": {"x": 1}})],
    "index from 1": [call(index=1, id="a", function=F), call(index=1, function={"arguments": '{"x":1}'})],
    "no function": [chunk("m", {"tool_calls": {"id": "a", "name": "f", "arguments": {"x": 1}}})],
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def told(run: Gateway) -> tuple[str | None, str | None, list[tuple[str, Any]], str | None]:
    async with run.client.chat.completions.stream(model="llama-8b", messages=ASK) as events:
        choice = (await events.get_final_completion()).choices[0]
    calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or []]
    return choice.message.content, choice.finish_reason, calls, choice.message.role


async def test_odd_chunks_are_right_to_official_clients(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        claude = anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0)
        for name, parts in TEXTS.items():
            up.default = stream([*parts, DONE])
            text = WANTED.get(name, "Hello")
            assert (await told(run))[:3] == (text, "stop", []), name
            async with claude.messages.stream(model="llama-8b", max_tokens=50, messages=ASK) as events:
                message = await events.get_final_message()
            assert (message.content[0].text, message.stop_reason) == (text, "end_turn"), name  # type: ignore[union-attr]
            async with run.client.responses.stream(model="llama-8b", input="hello") as items:
                assert (await items.get_final_response()).output_text == text, name
        for name, parts in CALLS.items():
            for finish in ("tool_calls", "stop"):
                up.default = stream([*parts, chunk("m", {}, finish), DONE])
                got = await told(run)
                assert (got[1], got[2]) == ("tool_calls", [("f", {"x": 1})]), name
        await claude.close()


def test_what_is_right_keeps_its_bytes() -> None:
    reader = ChatReader()
    passed = []
    for event in EventReader().feed(b"".join(TEXTS["plain"])):
        found = reader.read(event)
        assert found is not None
        passed.append(found.raw)
    assert passed == TEXTS["plain"]


FORMS = {
    "another content type": ("application/octet-stream", 200, b"".join([ROLE, HEL, LO, STOP, DONE])),
    "created": ("text/event-stream", 201, b"".join([ROLE, HEL, LO, STOP, DONE])),
    "a byte order mark": ("text/event-stream", 200, b"\xef\xbb\xbf" + b"".join([ROLE, HEL, LO, STOP, DONE])),
    "blank lines first": ("text/plain", 200, b"\n\n" + b"".join([ROLE, HEL, LO, STOP, DONE])),
    "a whole answer": (
        "application/json",
        200,
        b'{"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": 3}}',
    ),
    "a whole answer as a stream": ("text/event-stream", 200, b'{"choices": [{"message": {"content": "Hello"}}]}'),
    "NaN": ("application/json", 200, b'{"choices": [{"message": {"content": "Hello"}, "logprobs": NaN}]}'),
}


def body(content_type: str, status: int, data: bytes) -> Reply:
    async def send(call: Call, writer: Any) -> None:
        writer.write(head(status, len(data), content_type) + data)
        await writer.drain()

    return send


async def test_answers_in_another_form_than_asked_for_are_read(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        for name, (content_type, status, data) in FORMS.items():
            up.default = body(content_type, status, data)
            assert (await told(run))[:2] == ("Hello", "stop"), name
            whole = await run.client.chat.completions.create(model="llama-8b", messages=ASK)
            assert (whole.choices[0].message.content, whole.choices[0].message.role) == ("Hello", "assistant"), name
            assert (whole.object, whole.choices[0].index) == ("chat.completion", 0), name


ASKED: dict[str, dict[str, Any]] = {
    "/v1/messages": {"messages": ASK, "max_tokens": 9},
    "/v1/responses": {"input": "hello"},
    "/v1/completions": {"prompt": "hello"},
}


async def test_native_answers_in_place_of_streams_are_read(tmp_path: Path) -> None:
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
    part = {"type": "output_text", "text": "Hello"}
    native = {
        "/v1/messages": message | {"stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 1}},
        "/v1/responses": {"id": "r", "status": "completed", "output": [{"type": "message", "content": [part]}]},
        "/v1/completions": {"id": "c", "choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]},
    }
    async with ScriptedProvider() as up:
        model = entry("llama-8b", up.base_url)
        model["deployments"][0]["apis"] = ["messages", "responses", "completions"]
        async with gateway(tmp_path, [model]) as run:
            for path, whole in native.items():
                up.default = reply(200, whole)
                response = await run.http.post(path, json={"model": "llama-8b", "stream": True} | ASKED[path])
                assert (response.status_code, up.calls[-1].path) == (200, path), response.text
                assert '"Hello"' in response.text, path
                ends = {"/v1/messages": "message_stop", "/v1/responses": "response.completed"}
                assert ends.get(path, "[DONE]") in response.text, path


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 0, "delta": {}, "finish_reason": "error"},
        {"index": 0, "delta": {}, "finish_reason": "network_error"},
        {"index": 0, "delta": {"content": "x"}, "error": {"message": "overloaded", "code": 502}},
    ],
)
async def test_a_failed_choice_is_no_answer(tmp_path: Path, choice: dict[str, Any]) -> None:
    whole = {"choices": [choice | {"message": {"role": "assistant", "content": "half"}}]}
    async with ScriptedProvider() as up, ScriptedProvider() as good:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", good.base_url)]) as run:
            up.default = reply(200, whole)
            answer = await run.client.chat.completions.create(model="llama-8b", messages=ASK)
            assert answer.choices[0].message.content == "fine"
            up.default = stream([ROLE, one(choice), DONE])
            assert (await told(run))[0] == "fine"


@pytest.mark.parametrize("finish", ["", "null", None, False, 0, []])
def test_what_is_no_word_is_no_finish_reason(finish: Any) -> None:
    assert finish_reason(finish) is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("Tool_Calls", "tool_calls"),
        ("odd", "odd"),
    ],
)
def test_other_servers_words_are_openais(said: str, reason: str) -> None:
    assert finish_reason(said) == reason


def test_the_only_choice_is_choice_0() -> None:
    data = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":1,"delta":{"content":"a"}}]}'
    event = Event(b"data: " + data + b"\n\n", data)
    for choices, index in ((1, 0), (2, 1)):
        chunk = ChatReader(choices=choices).read(event)
        assert chunk is not None
        assert chunk.fields["choices"][0]["index"] == index


@pytest.mark.parametrize(
    "torn",
    [
        b"data: {'choices': [{'delta': {'content': 'lost'}}]}",
        b'data: {"id":"c1","choices":[{"delta":{"content":"lost"',
        b"data: {torn\n\n" * 3,
    ],
)
async def test_a_chunk_that_cannot_be_read_breaks_the_stream(tmp_path: Path, torn: bytes) -> None:
    async with ScriptedProvider(stream([ROLE, HEL, torn + b"\n\n", LO, STOP, DONE])) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"stream_recovery": "error"}) as run:
            text = (
                await run.http.post("/v1/chat/completions", json={"model": "llama-8b", "messages": ASK, "stream": True})
            ).text
            assert "stream_broken" in text
            assert "[DONE]" not in text


def test_a_whole_answer_is_put_right() -> None:
    message = {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hi"}],
        "tool_calls": [
            {"id": 7, "function": {"name": "f", "arguments": {"x": 1}}},
            {"function": {"name": "g", "arguments": None}},
        ],
    }
    fields = normalize_completion({"choices": [{"message": message, "finish_reason": "stop"}]})
    choice = fields["choices"][0]
    first, second = choice["message"].pop("tool_calls")
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi", "reasoning_content": "hm"},
        "finish_reason": "tool_calls",
    }
    assert first == {"id": "7", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    assert (second["id"][:5], second["function"]) == ("call_", {"name": "g", "arguments": "{}"})
    right = {"id": "c1", "object": "chat.completion", "created": 1}
    right |= {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
    assert normalize_completion(right) is right


def test_a_whole_message_behind_its_pieces_is_no_more_text() -> None:
    last = {"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}
    parts = [chunk("m", {"content": "one"}), chunk("m", {"content": " two"}), chunk("m", None, choices=[last]), DONE]
    assert completion_of_stream(b"".join(parts))["choices"][0]["message"]["content"] == "one two"


def test_an_event_stream_is_put_together() -> None:
    parts = [*CALLS["nulls"], call(index=1, id="b", type="function", function=F), chunk("m", {}, "stop"), DONE]
    (choice,) = completion_of_stream(b"".join(parts))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert [c["function"] for c in choice["message"]["tool_calls"]] == [
        {"name": "f", "arguments": '{"x":1}'},
        {"name": "f", "arguments": "{}"},
    ]
    with pytest.raises(UpstreamFailure) as cut:
        completion_of_stream(b"".join(parts[:2]))
    assert cut.value.cause is Cause.UNREADABLE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (["Hel", "lo"], "Hello"),
        ([["x"], None, 5], ""),
        ([None, {"type": "image_url"}], [{"type": "image_url"}]),
        (5, "5"),
    ],
)
def test_content_of_any_type_is_text_or_parts(content: Any, said: Any) -> None:
    assert (
        normalize_completion({"choices": [{"message": {"content": content}}]})["choices"][0]["message"]["content"]
        == said
    )


def test_names_in_pieces_and_names_that_grow() -> None:
    for names in (("get_", "weather"), ("get_", "get_weather"), ("get_weather", "get_weather")):
        reader = ChatReader()
        said = ""
        for name in names:
            data = orjson.dumps(
                {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": name}}]}}]}
            )
            found = reader.read(Event(b"x", data))
            assert found is not None
            said += found.fields["choices"][0]["delta"]["tool_calls"][0]["function"].get("name", "")
        assert said == "get_weather"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(["", "x", "stop", "0", "null"]),
    lambda value: (
        st.lists(value, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["index", "delta", "message", "content", "role", "tool_calls", "function", "name", "id", "text"]
            ),
            value,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["index", "delta", "message", "finish_reason", "text"]), ANY), max_size=6)
)
def test_whatever_choices_come_they_come_out_well_formed(choices: list[dict[str, Any]]) -> None:
    reader = ChatReader()
    for choice in choices:
        try:
            chunk_ = reader.read(Event(b"raw", orjson.dumps({"choices": [choice]})))
        except UpstreamFailure as failure:  # a call whose name is lost
            assert failure.cause is Cause.UNREADABLE
            return
        assert chunk_ is not None
        (right,) = chunk_.fields["choices"]
        assert type(right["index"]) is int
        assert right.get("finish_reason") is None or isinstance(right["finish_reason"], str)
        assert isinstance(right["delta"], dict)
        for made in right["delta"].get("tool_calls") or ():
            assert type(made["index"]) is int
            assert isinstance(made.get("function", {}).get("arguments", ""), str)


def test_more_tool_calls_than_any_model_makes_are_a_failure() -> None:
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in range(1_100)]
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "stop"}]}
    with pytest.raises(UpstreamFailure) as told:
        normalize_completion(whole)
    assert told.value.cause is Cause.UNREADABLE
    reader = ChatReader()
    events = EventReader().feed(b"".join(call(index=i, **one) for i, one in enumerate(calls)))
    with pytest.raises(UpstreamFailure):
        list(map(reader.read, events))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_large_event_is_written_whole(tmp_path: Path, path: str) -> None:
    text = "word " * 40_000
    parts = [ROLE, chunk("m", {"content": text}), chunk("m", {"content": "end"}), STOP, DONE]
    body: dict[str, Any] = {"model": "llama-8b", "stream": True}
    body |= {"input": "hello"} if path == "/v1/responses" else {"messages": ASK, "max_tokens": 9}
    async with ScriptedProvider(stream(parts)) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        got = await run.http.post(path, json=body)
        assert got.status_code == 200
        assert text in got.text
        assert got.text.index(text) < got.text.index('"end"')
