"""Messages streams, written and read, as Anthropic's own package puts them together."""

from collections.abc import Iterable
from typing import Any

import anthropic
import orjson
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.messages.stream_blocks import encoded_event
from gateway.api.messages.stream_reader import MessagesReader
from gateway.api.messages.stream_writer import MessagesWriter
from gateway.api.messages.tools_to_chat import long_names, short_name
from gateway.bodies.sse import EventReader
from gateway.core.answer import Chunk
from gateway.core.errors import GatewayError, StreamBroken, UpstreamsFailed
from gateway.provider_errors.failures import QUICK_RETRY, Cause, UpstreamFailure
from tests.gateway.api.exchanges import is_chunk
from tests.gateway.upstreams import ScriptedProvider, stream

ASKED: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "stop_sequences": ["END"]}
SPENT = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80}}


async def received(parts: Iterable[bytes]) -> Message:
    """The message that the package makes of a stream."""
    async with ScriptedProvider(stream([part for part in parts if part])) as up:
        url = up.base_url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
            ask: Any = [{"role": "user", "content": "hi"}]
            async with client.messages.stream(model="auto", max_tokens=9, messages=ask) as answer:
                message = await answer.get_final_message()
    return Message.model_validate(message.to_dict())


def delta(finish: str | None = None, index: int = 0, **given: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-7", "choices": [{"index": index, "delta": given, "finish_reason": finish}]}


def calls(index: int, arguments: str, call_id: str | None = None, name: str | None = None) -> dict[str, Any]:
    return delta(tool_calls=[{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}])


def writer(asked: dict[str, Any] | None = None) -> MessagesWriter:
    fields = ASKED if asked is None else asked
    return MessagesWriter(fields, long_names(fields))


def write(out: MessagesWriter, *chunks: dict[str, Any], model: str = "llama") -> list[bytes]:
    return [out.write(Chunk(b"", fields), fields, model) for fields in chunks]


def answer(
    *chunks: dict[str, Any], usage: dict[str, Any] | None = SPENT, asked: dict[str, Any] | None = None
) -> list[bytes]:
    out = writer(asked)
    return [*write(out, *chunks), out.end(usage, "llama")]


def read(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream, after checking that each says its type twice alike."""
    fields = []
    for one in EventReader().feed(data):
        assert one.data is not None
        fields.append(orjson.loads(one.data))
        assert one.raw.startswith(b"event: %b\n" % fields[-1]["type"].encode())
    return fields


def check_order(events: list[dict[str, Any]]) -> None:
    """One block is open at a time, each has the next index, and the ending is there once."""
    kinds = [one["type"] for one in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert all(kinds.count(kind) == 1 for kind in ("message_start", "message_delta", "message_stop"))
    open_block, seen = None, 0
    for one in events[1:-2]:
        match one["type"]:
            case "content_block_start":
                assert (open_block, one["index"]) == (None, seen)
                open_block, seen = seen, seen + 1
            case "content_block_delta":
                assert one["index"] == open_block
            case "content_block_stop":
                assert one["index"] == open_block
                open_block = None
    assert open_block is None


# ---- written from chat chunks


@pytest.mark.anyio
async def test_text() -> None:
    parts = answer(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop"))
    first = read(parts[0])
    assert [one["type"] for one in first] == ["message_start", "ping"]
    assert first[0]["message"]["usage"]["input_tokens"] == 0
    assert [one["type"] for one in read(parts[2])] == ["content_block_delta"]  # nothing is held back
    check_order(read(b"".join(parts)))
    message = await received(parts)
    assert (message.id, message.model, message.stop_reason) == ("msg_7", "llama", "end_turn")
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "Hello"}]
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (
        20,
        80,
        5,
    )


@pytest.mark.anyio
async def test_parallel_calls_whose_deltas_are_mixed() -> None:
    parts = answer(
        delta(content="I add."),
        calls(0, "", "call_a", "add"),
        calls(1, "", "call_b", "sub"),
        calls(0, '{"a":'),
        calls(1, '{"b":'),
        calls(0, "1}"),
        calls(1, "2}"),
        delta("tool_calls"),
    )
    check_order(read(b"".join(parts)))
    message = await received(parts)
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "I add."},
        {"type": "tool_use", "id": "call_a", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_b", "name": "sub", "input": {"b": 2}},
    ]
    assert message.stop_reason == "tool_use"


def test_a_call_is_live_as_soon_as_the_one_before_it_is_complete() -> None:
    parts = answer(
        calls(0, '{"a":1', "call_a", "add"),
        calls(0, "}"),
        calls(1, '{"b":', "call_b", "sub"),
        calls(1, "2}"),
        delta("tool_calls"),
    )
    kinds = [[one["type"] for one in read(part)] for part in parts]
    assert kinds[2] == ["content_block_stop", "content_block_start", "content_block_delta"]
    assert kinds[3] == ["content_block_delta"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "chunks",
    [
        [calls(0, '{"a":1}', "call_a", "add"), calls(0, '{"b":2}', "call_b", "sub")],  # all at one index
        [
            delta(tool_calls=[{"id": "call_a", "function": {"name": "add", "arguments": '{"a":1}'}}]),  # at none
            delta(tool_calls=[{"id": "call_b", "function": {"name": "sub", "arguments": '{"b":'}}]),
            delta(tool_calls=[{"function": {"arguments": "2}"}}]),
        ],
        [
            calls(0, '{"a":', "call_a", "add"),  # id and name in every chunk
            calls(0, "1}", "call_a", "add"),
            delta(tool_calls=[{"index": 1, "id": "call_b", "function": {"name": "sub", "arguments": {"b": 2}}}]),
        ],
    ],
)
async def test_odd_ways_to_stream_calls(chunks: list[dict[str, Any]]) -> None:
    message = await received(answer(*chunks, delta("stop")))
    assert [(block.id, block.name, block.input) for block in message.content] == [  # type: ignore[union-attr]
        ("call_a", "add", {"a": 1}),
        ("call_b", "sub", {"b": 2}),
    ]
    assert message.stop_reason == "tool_use"


@pytest.mark.anyio
async def test_a_cut_name_is_the_clients_again() -> None:
    name = "mcp__" + "server_" * 12 + "add"
    asked = {"tools": [{"name": name, "input_schema": {}}]}
    message = await received(answer(calls(0, "{}", "call_a", short_name(name)), delta("tool_calls"), asked=asked))
    assert message.content[0].name == name  # type: ignore[union-attr]


THOUGHT = [
    delta(reasoning_content="two ", thinking_blocks=[{"type": "thinking", "thinking": "two ", "signature": None}]),
    delta(reasoning_content="and two"),
    delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "EqQB"}]),
    delta(thinking_blocks=[{"type": "redacted_thinking", "data": "Em8K"}]),
    delta(content="4"),
    delta("stop"),
]


@pytest.mark.anyio
async def test_thinking() -> None:
    parts = answer(*THOUGHT)
    check_order(read(b"".join(parts)))
    assert [block.to_dict() for block in (await received(parts)).content] == [
        {"type": "thinking", "thinking": "two and two", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "Em8K"},
        {"type": "text", "text": "4"},
    ]


@pytest.mark.anyio
async def test_thinking_is_not_for_those_who_did_not_ask() -> None:
    message = await received(answer(*THOUGHT, asked={}))
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "4"}]


@pytest.mark.anyio
async def test_thinking_again_after_text() -> None:
    parts = answer(delta(reasoning="a"), delta(content="b"), delta(reasoning="c"), delta(content="d"), delta("length"))
    message = await received(parts)
    assert [block.type for block in message.content] == ["thinking", "text", "thinking", "text"]
    assert message.stop_reason == "max_tokens"


@pytest.mark.anyio
async def test_how_it_ended() -> None:
    last = delta("stop")
    last["choices"][0]["stop_reason"] = "END"
    message = await received(answer(delta(content="4"), last))
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    message = await received(answer(delta(refusal="I will not."), delta("stop")))
    assert (message.content[0].text, message.stop_reason) == ("I will not.", "refusal")  # type: ignore[union-attr]
    message = await received(answer(delta("content_filter"), usage=None))
    assert (message.content, message.stop_reason, message.usage.output_tokens) == ([], "refusal", 0)


def test_only_the_first_choice_counts() -> None:
    parts = answer(delta(content="4"), delta(index=1, content="5"), delta("stop"))
    assert b'"5"' not in b"".join(parts)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "kind"),
    [(StreamBroken("It broke."), "overloaded_error"), (UpstreamsFailed(503, "It broke."), "overloaded_error")],
)
async def test_a_break_is_raised(error: GatewayError, kind: str) -> None:
    out = writer()
    parts = [*write(out, delta(content="4")), out.error(error)]
    with pytest.raises(anthropic.APIStatusError) as caught:
        await received(parts)
    assert (caught.value.type, caught.value.api_message) == (kind, "It broke.")
    assert b"message_stop" not in b"".join(parts)


# ---- a provider's own stream


def native(*middle: tuple[str, dict[str, Any]], reason: str = "end_turn") -> list[bytes]:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 15, "output_tokens": 1}
    begun = {"id": "msg_9", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "usage": usage}
    ending = {"stop_reason": reason, "stop_sequence": None}
    return [
        encoded_event("message_start", message=begun | {"stop_reason": None, "stop_sequence": None}),
        *(encoded_event(kind, **fields) for kind, fields in middle),
        encoded_event("message_delta", delta=ending, usage={"output_tokens": 7}),
        encoded_event("message_stop"),
    ]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("content_block_start", {"index": index, "content_block": start}),
        *(("content_block_delta", {"index": index, "delta": one}) for one in deltas),
        ("content_block_stop", {"index": index}),
    ]


def words(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": text} for text in texts]


TEXT = {"type": "text", "text": ""}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}
THINKS = [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "EqQB"}]


def use(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "add", "input": {}}


def gives(*parts: str) -> list[dict[str, Any]]:
    return [{"type": "input_json_delta", "partial_json": part} for part in parts]


WHOLE = native(
    ("ping", {}),
    *block(0, THINKING, *THINKS),
    *block(1, {"type": "redacted_thinking", "data": "Em8K"}),
    *block(2, TEXT, *words("Let me ", "add.")),
    *block(3, use("toolu_1"), *gives("", '{"a":', "1}")),
    *block(4, use("toolu_2")),
    reason="tool_use",
)


def chunks_of(parts: list[bytes], reader: MessagesReader | None = None) -> list[Chunk]:
    reader = reader or MessagesReader(lambda: 1.0)
    found = [reader.read(one) for part in parts for one in EventReader().feed(part)]
    assert all(chunk is not None and is_chunk(chunk.fields) for chunk in found)
    return [chunk for chunk in found if chunk is not None]


def relay(out: MessagesWriter, parts: list[bytes], model: str = "claude") -> list[bytes]:
    return [out.write(chunk, chunk.fields, model) for chunk in chunks_of(parts)]


def test_it_passes_but_for_the_name() -> None:
    out = writer()
    passed = relay(out, WHOLE)
    assert b"".join(passed) == b"".join(WHOLE).replace(b"claude-x", b"claude")
    assert out.end(SPENT, "claude") == b""
    assert out.end(SPENT, "claude") == b""


def test_odd_bytes_of_others_pass_too() -> None:
    start = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    message = start | {"model": "m", "metadata": {"model": "m"}}
    data = orjson.dumps({"message": message, "type": "message_start"})
    spaced = b"event:message_start\r\ndata: " + data + b"\r\n\r\n"
    delta = b'event:content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}\n\n'
    block = encoded_event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    out = writer()
    first, _, last = relay(out, [spaced, block, delta])
    assert read(first)[0]["message"] == message | {"model": "claude"}
    assert last == delta


@pytest.mark.anyio
@pytest.mark.parametrize("lacking", ["names", "usage", "output tokens", "usage at the end", "content", "index"])
async def test_a_native_stream_that_clients_cannot_read_is_written_anew(lacking: str) -> None:
    usage = {"input_tokens": 5, "output_tokens": 1}
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
    if lacking == "usage":
        del message["usage"]
    if lacking == "output tokens":
        message["usage"] = {"input_tokens": 5}
    if lacking == "content":
        del message["content"]
    at = {} if lacking == "index" else {"index": 0}
    end = {} if lacking == "usage at the end" else {"usage": {"output_tokens": 9}}
    parts = [
        encoded_event("message_start", message=message),
        encoded_event("content_block_start", **at, content_block={"type": "text", "text": ""}),
        encoded_event("content_block_delta", **at, delta={"type": "text_delta", "text": "Hel"}),
        encoded_event("content_block_delta", **at, delta={"type": "text_delta", "text": "lo"}),
        encoded_event("content_block_stop", **at),
        encoded_event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, **end),
        encoded_event("message_stop"),
    ]
    if lacking == "names":
        parts = [part[part.index(b"data:") :] for part in parts]
    out = writer()
    written = relay(out, parts)
    written.append(out.end({"prompt_tokens": 5, "completion_tokens": 9}, "claude"))
    check_order(read(b"".join(written)))
    got = await received(written)
    assert (got.content[0].text, got.stop_reason, got.model) == ("Hello", "end_turn", "claude")  # type: ignore[union-attr]
    assert got.usage.output_tokens == 9


@pytest.mark.anyio
async def test_reading_and_writing_it_gives_the_same_message() -> None:
    chunks = chunks_of(WHOLE)
    assert all(chunk.raw == part and chunk.api == "messages" for chunk, part in zip(chunks, WHOLE, strict=True))
    usage = [chunk.fields["usage"] for chunk in chunks if "usage" in chunk.fields][-1]
    out = writer()
    parts = write(out, *(chunk.fields for chunk in chunks), model="claude-x")
    parts.append(out.end(usage, "claude-x"))
    check_order(read(b"".join(parts)))
    assert (await received(parts)).to_dict() == (await received(WHOLE)).to_dict()


@pytest.mark.anyio
async def test_another_model_goes_on_in_the_block_that_is_open() -> None:
    cut = native(*block(0, THINKING, *THINKS), *block(1, TEXT, *words("one, ", "two, ")))[:-3]
    out = writer()
    parts = [*relay(out, cut), *write(out, delta(content="three"), delta("stop")), out.end(SPENT, "llama")]
    assert read(parts[-3])[0]["index"] == 1
    check_order(read(b"".join(parts)))
    message = await received(parts)
    assert message.content[1].text == "one, two, three"  # type: ignore[union-attr]
    assert (len(message.content), message.model, message.stop_reason) == (2, "claude", "end_turn")
    assert message.usage.input_tokens == 20  # of both, not of the first alone


@pytest.mark.anyio
@pytest.mark.parametrize(
    "cut", [native(*block(0, THINKING, THINKS[0]))[:-3], native(*block(0, THINKING, *THINKS))[:-2]]
)
async def test_another_model_goes_on_after_thinking(cut: list[bytes]) -> None:
    out = writer()
    parts = [*relay(out, cut), *write(out, delta(content="four"), delta("stop")), out.end(None, "llama")]
    check_order(read(b"".join(parts)))
    message = await received(parts)
    assert [block.type for block in message.content] == ["thinking", "text"]


@pytest.mark.anyio
async def test_another_provider_of_this_format_goes_on() -> None:
    out = writer()
    parts = write(out, delta(content="one, "))
    parts += relay(out, native(*block(0, TEXT, *words("two"))))
    parts.append(out.end(SPENT, "claude"))
    check_order(read(b"".join(parts)))
    message = await received(parts)
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "one, two"}]
    out = writer()
    parts = relay(out, native(*block(0, TEXT, *words("one, ")))[:-3])
    parts += relay(out, native(*block(0, TEXT, *words("two"))))
    parts.append(out.end(SPENT, "claude"))
    check_order(read(b"".join(parts)))


def test_only_what_is_missing_of_an_ending_is_written() -> None:
    whole = native(*block(0, TEXT, *words("one")))
    out = writer()
    relay(out, whole[:-1])
    assert out.end(SPENT, "claude") == encoded_event("message_stop")
    out = writer()
    relay(out, whole[:-2])
    assert [one["type"] for one in read(out.end(SPENT, "claude"))] == ["message_delta", "message_stop"]


# ---- read


def test_what_a_stream_means_in_chat() -> None:
    reader = MessagesReader(lambda: 1_700_000_000.5)
    chunks = chunks_of(WHOLE, reader)
    assert {(c.fields["id"], c.fields["model"], c.fields["created"]) for c in chunks} == {
        ("msg_9", "claude-x", 1_700_000_000)
    }
    deltas = [choice["delta"] for chunk in chunks for choice in chunk.fields["choices"]]
    assert "".join(one.get("content") or "" for one in deltas) == "Let me add."
    assert "".join(one.get("reasoning_content") or "" for one in deltas) == "hm"
    found = [call for one in deltas for call in one.get("tool_calls", ())]
    assert [(call["index"], call.get("id")) for call in found] == [(0, "toolu_1"), (0, None), (0, None), (1, "toolu_2")]
    last = chunks[-2].fields
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert last["usage"] == {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "total_tokens": 107,
        "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 15, "audio_tokens": 0},
    }
    assert reader.ended
    assert [chunk.has_content for chunk in chunks[:4]] == [False, False, False, True]


def test_the_end_is_not_there_before_it_is_read() -> None:
    reader = MessagesReader()
    chunks_of(WHOLE[:-1], reader)
    assert not reader.ended


def test_input_that_comes_with_the_start_of_a_call() -> None:
    for deltas in ([], gives('{"a":1}')):
        chunks = chunks_of(native(*block(0, use("toolu_1") | {"input": {"a": 1}}, *deltas)))
        found = [
            call for c in chunks for choice in c.fields["choices"] for call in choice["delta"].get("tool_calls", ())
        ]
        assert "".join(call["function"]["arguments"] for call in found) == '{"a":1}'


def test_a_block_that_chat_cannot_express_is_content_that_no_other_model_can_continue() -> None:
    searches = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    chunks = chunks_of(native(*block(0, searches, *gives('{"q":"x"}'))))
    assert [chunk.has_content for chunk in chunks[1:4]] == [True, True, False]
    assert chunks[1].fields["choices"][0]["delta"] == {"provider_block": "server_tool_use"}


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("overloaded_error", Cause.OVERLOADED),
        ("api_error", Cause.SERVER_ERROR),
        ("timeout_error", Cause.SERVER_ERROR),
        ("rate_limit_error", Cause.RATE_LIMITED),
        ("authentication_error", Cause.AUTH),
        ("invalid_request_error", Cause.REJECTED),
    ],
)
def test_an_error_in_the_stream(kind: str, cause: Cause) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        chunks_of([encoded_event("error", error={"type": kind, "message": "no"})])
    assert caught.value.cause is cause
    assert (cause in QUICK_RETRY) == (cause is Cause.SERVER_ERROR)


def test_what_is_no_event_is_skipped() -> None:
    reader = MessagesReader()
    for data in (b"[]", b"{}", b'{"type":5}', b'{"type":"message_start"}', b'{"type":"content_block_delta"}'):
        (one,) = EventReader().feed(b"data: " + data + b"\n\n")
        assert reader.read(one) is None
    (later,) = EventReader().feed(encoded_event("of_a_later_version"))
    chunk = reader.read(later)
    assert chunk is not None
    assert chunk.fields["choices"] == []


# ---- whatever comes

KEYS = """content refusal tool_calls index id function name arguments reasoning reasoning_content thinking_blocks type thinking text
signature redacted_thinking data delta partial_json stop_reason usage input_tokens message content_block""".split()  # noqa: SIM905
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([*KEYS, "", "{}", "tool_use", "text_delta"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
PIECE = st.one_of(
    st.sampled_from(["a", "b"]).map(lambda text: {"content": text}),
    st.sampled_from(["a", "b"]).map(lambda text: {"reasoning_content": text}),
    st.just({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]}),
    st.tuples(st.integers(0, 2), st.sampled_from(["{", '"a":1', "}", "", "x"]), st.booleans()).map(
        lambda t: calls(t[0], t[1], *((f"c{t[0]}", "f") if t[2] else ()))["choices"][0]["delta"]
    ),
    st.dictionaries(st.sampled_from(KEYS), ANY, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECE, max_size=12), st.integers(0, len(WHOLE) - 2), ANY)
def test_whatever_chunks_come_blocks_follow_each_other(pieces: list[dict[str, Any]], passed: int, finish: Any) -> None:
    """A provider's stream, cut anywhere, then anything."""
    out = writer()
    parts = relay(out, WHOLE[:passed])
    parts += write(out, *(delta(**piece) for piece in pieces), delta(finish))
    parts.append(out.end(None, "llama"))
    check_order(read(b"".join(parts)))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "message_start",
                    "content_block_start",
                    "content_block_delta",
                    "content_block_stop",
                    "message_delta",
                    "error",
                    "x",
                ]
            ),
            st.dictionaries(st.sampled_from(KEYS), ANY, max_size=4),
        ),
        max_size=6,
    )
)
def test_whatever_events_come_are_chunks_or_failures(events: list[tuple[str, dict[str, Any]]]) -> None:
    reader, out = MessagesReader(), writer()
    try:
        for kind, fields in events:
            data = orjson.dumps(fields | {"type": kind})
            for one in EventReader().feed(b"event: %b\ndata: %b\n\n" % (kind.encode(), data)):
                try:
                    chunk = reader.read(one)
                except ValueError:
                    return  # of which the stream breaks
                if chunk is not None:
                    assert is_chunk(chunk.fields)
                    out.write(chunk, chunk.fields, "m")
                    out.write(Chunk(b"", chunk.fields), chunk.fields, "m")
    except UpstreamFailure:
        return
