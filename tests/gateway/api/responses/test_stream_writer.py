"""Streams in the format of the Responses API: every event is checked against the official document."""

from typing import Any

import orjson
import pytest

from gateway.api.chat.chunk_normalizer import ChunkNormalizer
from gateway.api.responses.stream_reader import ResponsesReader
from gateway.api.responses.stream_writer import ResponsesWriter
from gateway.bodies.sse import EventReader
from gateway.core.answer import Chunk
from gateway.core.errors import StreamBroken, UpstreamsFailed
from tests.conformance import validate_event
from tests.gateway.api.exchanges import FUNCTION, PATCH, call, chunk, dialect, events, parsed, proper, written

pytestmark = pytest.mark.anyio
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


async def writer(**fields: Any) -> ResponsesWriter:
    given = dialect()
    return given.writer(await parsed(given, **fields))


def mended(*chunks: Chunk) -> list[Chunk]:
    """The chunks as all writers get them."""
    normalizer = ChunkNormalizer()
    return [one._replace(fields=normalizer.normalize(one.fields)) for one in chunks]


def texts(response: dict[str, Any]) -> list[Any]:
    """What the items of a response say, each in a word."""
    said: list[Any] = []
    for item in response["output"]:
        if item["type"] == "message":
            said += [part.get("text", part.get("refusal")) for part in item["content"]]
        elif item["type"] == "reasoning":
            said += [part["text"] for part in item["summary"]]
        else:
            said.append((item["name"], item.get("arguments", item.get("input"))))
    return said


async def test_a_text_is_one_message() -> None:
    to = await writer()
    data = written(
        to, chunk({"role": "assistant", "content": ""}), chunk({"content": "Hello"}), chunk({"content": " you"})
    )
    data += written(to, chunk({}, "stop")) + to.end(USAGE, "m1")
    response = proper(events(data))
    kinds = [event["type"].removeprefix("response.") for event in events(data)]
    assert kinds[2:6] == ["output_item.added", "content_part.added", "output_text.delta", "output_text.delta"]
    assert kinds[6:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert texts(response) == ["Hello you"]
    assert response["model"] == "m1"
    assert response["status"] == "completed"
    assert response["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }
    assert to.response == response
    assert to.end(USAGE, "m1") == b""


async def test_large_fields_of_the_request_are_not_repeated() -> None:
    to = await writer(instructions="x" * (300 << 10), tools=[FUNCTION], metadata={"a": "b"})
    response = proper(events(written(to, chunk({"content": "a"})) + to.end(None, "m1")))
    assert response["instructions"] is None
    assert [tool["name"] for tool in response["tools"]] == [FUNCTION["name"]]
    assert response["metadata"] == {"a": "b"}


@pytest.mark.parametrize("part", [
    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
    {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}]},
    {"content": [{"type": "thinking", "thinking": "Hm"}]},
])  # fmt: skip
async def test_content_in_parts(part: dict[str, Any]) -> None:
    to = await writer()
    text = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    data = written(to, *mended(chunk(part), chunk({"content": text}), chunk({}, "stop"))) + to.end(None, "m1")
    assert texts(proper(events(data))) == ["Hm", "Hello"]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([call(0, "", "a", "weather")], [("weather", "{}")]),
        ([call(0, "", "a", "wea"), call(0, "", None, "ther"), call(0, "{}")], [("weather", "{}")]),
        ([call(0, "", "a", "weather"), call(0, "", "a", "weather"), call(0, '{"x":1}', "a", "weather")], [("weather", '{"x":1}')]),
        ([call(0, "", "a", "weather"), call(1, '{"x":1}', "b", "weather")], [("weather", "{}"), ("weather", '{"x":1}')]),
        ([call(0, "", "a", "weather"), call(0, '{"x":1}', "b", "weather")], [("weather", "{}"), ("weather", '{"x":1}')]),
        ([call(None, "", "a", "weather"), call(None, '{"x":'), call(None, "1}")], [("weather", '{"x":1}')]),
        ([call(0, "", "a", "weather"), {"content": "So."}], [("weather", "{}"), "So."]),
        ([call(0, {"x": 1}, "a", "weather")], [("weather", '{"x":1}')]),  # type: ignore[arg-type]
    ],
)  # fmt: skip
async def test_calls_in_odd_pieces(deltas: list[dict[str, Any]], expected: list[Any]) -> None:
    to = await writer(tools=[FUNCTION])
    data = written(to, *mended(*[chunk(delta) for delta in deltas], chunk({}, "tool_calls"))) + to.end(None, "m1")
    assert texts(proper(events(data))) == expected


async def test_the_head_of_a_stream_does_not_wait_for_its_end() -> None:
    to = await writer()
    first = events(written(to, chunk({"content": "a"})))
    assert first[-1]["type"] == "response.output_text.delta"
    assert first[2]["item"]["content"] == []
    assert first[0]["response"]["output"] == []
    assert to.response is None


async def test_reasoning_comes_before_the_text_even_in_one_chunk() -> None:
    to = await writer()
    data = written(to, chunk({"reasoning_content": "Hm, "}), chunk({"reasoning_content": "so", "content": "Yes"}))
    data += to.end(None, "m1")
    stream = events(data)
    assert texts(proper(stream)) == ["Hm, so", "Yes"]
    assert [event["item"]["type"] for event in stream if event["type"] == "response.output_item.added"] == [
        "reasoning",
        "message",
    ]
    assert stream[2]["item"]["summary"] == []
    assert "usage" not in stream[-1]["response"]


async def test_parallel_calls_may_be_written_in_turn() -> None:
    to = await writer(tools=[FUNCTION])
    data = written(to, chunk({"content": "Let me see."}), chunk(call(0, "", "call_a", "weather")))
    data += written(to, chunk(call(1, '{"b"', "call_b", "weather")), chunk(call(0, '{"a"')), chunk(call(1, ":2}")))
    data += written(to, chunk(call(0, ":1}")), chunk({}, "tool_calls")) + to.end(None, "m1")
    response = proper(events(data))
    assert texts(response) == ["Let me see.", ("weather", '{"a":1}'), ("weather", '{"b":2}')]
    assert [item.get("call_id") for item in response["output"]] == [None, "call_a", "call_b"]


async def test_what_is_said_after_a_call_is_a_message_of_its_own() -> None:
    to = await writer(tools=[FUNCTION])
    data = written(to, chunk({"content": "a"}), chunk(call(0, "{}", "call_a", "weather")), chunk({"content": "b"}))
    stream = events(data + to.end(None, "m1"))
    assert texts(proper(stream)) == ["a", ("weather", "{}"), "b"]
    kinds = [(event["type"].rpartition(".")[2], event["output_index"]) for event in stream if "item" in event]
    assert kinds[:3] == [("added", 0), ("done", 0), ("added", 1)]


@pytest.mark.parametrize("index", [None, 0])
async def test_calls_without_an_index_of_their_own_are_told_apart_by_their_ids(index: int | None) -> None:
    to = await writer(tools=[FUNCTION])
    data = written(
        to, chunk(call(index, '{"a":1}', "call_a", "weather")), chunk(call(index, '{"b":', "call_b", "weather"))
    )
    data += written(to, chunk(call(index, "2}")), chunk({}, "tool_calls")) + to.end(None, "m1")
    assert texts(proper(events(data))) == [("weather", '{"a":1}'), ("weather", '{"b":2}')]


async def test_a_call_waits_for_its_name_and_repeated_ids_change_nothing() -> None:
    to = await writer(tools=[FUNCTION])
    data = written(
        to,
        chunk(call(0, '{"a"', "call_a")),
        chunk(call(0, ":", "call_a", "weather")),
        chunk(call(0, "1}", "call_a", "weather")),
    )
    data += to.end(None, "m1")
    response = proper(events(data))
    assert texts(response) == [("weather", '{"a":1}')]
    assert response["output"][0]["call_id"] == "call_a"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "*** Begin\\n\\"a\\" \\u00e9 \\ud83d\\ude00 \\\\"}', '*** Begin\n"a" é 😀 \\'),
        ('{ "input" : "" }', ""),
        ('{"patch": "other name"}', "other name"),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"input": "cut', '{"input": "cut'),
        ('{"input": 5}', '{"input": 5}'),
        ("", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_a_freeform_tool_gets_its_text(arguments: str, text: str, size: int) -> None:
    to = await writer(tools=[FUNCTION, PATCH])
    data = written(to, chunk(call(0, "", "call_a", "apply_patch")))
    for start in range(0, len(arguments), size):
        data += written(to, chunk(call(0, arguments[start : start + size])))
    data += to.end(None, "m1")
    response = proper(events(data))
    if not text.startswith('{"input": "cut'):
        assert texts(response) == [("apply_patch", text)]
    assert response["output"][0]["type"] == "custom_tool_call"
    kinds = {event["type"] for event in events(data)}
    assert "response.custom_tool_call_input.done" in kinds
    assert "response.function_call_arguments.done" not in kinds


async def test_the_text_of_a_freeform_tool_comes_while_it_is_written() -> None:
    to = await writer(tools=[PATCH])
    early = events(written(to, chunk(call(0, '{"input": "*** Beg', "call_a", "apply_patch"))))
    assert early[-1]["delta"] == "*** Beg"


async def test_a_refusal_is_written_whole() -> None:
    to = await writer()
    data = written(to, chunk({"refusal": "I "}), chunk({"refusal": "won't."}), chunk({}, "stop")) + to.end(None, "m1")
    response = proper(events(data))
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "I won't."}]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_an_answer_that_was_cut_is_incomplete(finish: str, reason: str) -> None:
    to = await writer()
    data = written(to, chunk({"reasoning": "Hm"}), chunk({"content": "On"}), chunk({}, finish)) + to.end(None, "m1")
    stream = events(data)
    response = proper(stream)
    assert stream[-1]["type"] == "response.incomplete"
    assert response["incomplete_details"] == {"reason": reason}
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


async def test_logprobs_are_handed_on() -> None:
    to = await writer(include=["message.output_text.logprobs"])
    one = chunk({"content": "é"})
    one.fields["choices"][0]["logprobs"] = {
        "content": [{"token": "é", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "e", "logprob": -1}]}]
    }
    response = proper(events(written(to, one) + to.end(None, "m1")))
    assert response["output"][0]["content"][0]["logprobs"] == [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [195, 169],
            "top_logprobs": [{"token": "e", "logprob": -1, "bytes": [101]}],
        }
    ]


async def test_a_broken_stream_ends_as_failed() -> None:
    to = await writer()
    stream = events(written(to, chunk({"content": "Half a sen"})) + to.error(StreamBroken("It broke off.")))
    last = stream[-1]
    assert last["type"] == "response.failed"
    assert last["sequence_number"] == len(stream) - 1
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "It broke off."}
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert texts(last["response"]) == ["Half a sen"]
    assert to.response is None
    assert to.end(None, "m1") == b""
    assert to.error(StreamBroken("again")) == b""
    for event in stream:
        validate_event(event)


async def test_a_rate_limit_is_called_so() -> None:
    to = await writer()
    assert events(to.error(UpstreamsFailed(429, "later")))[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


async def test_several_models_write_one_stream() -> None:
    to = await writer()
    data = written(to, chunk({"reasoning_content": "Hm"}), chunk({"content": "One, "}), model="m1")
    data += written(to, chunk({"content": "two."}), chunk({}, "stop", locus={"models": ["m1", "m2"]}), model="m2")
    data += to.end(None, "m2")
    stream = events(data)
    response = proper(stream)
    assert texts(response) == ["Hm", "One, two."]
    assert stream[0]["response"]["model"] == "m1"
    assert response["model"] == "m2"
    assert response["locus"] == {"models": ["m1", "m2"]}


def native(*events: dict[str, Any], model: str = "up-1") -> list[Chunk]:
    """The chunks of a native stream; events are given without their sequence numbers."""
    response = {
        "id": "resp_n",
        "object": "response",
        "created_at": 5,
        "status": "in_progress",
        "model": model,
        "output": [],
    }
    response |= {"error": None, "incomplete_details": None, "instructions": None, "tools": [], "tool_choice": "auto"}
    response |= {"parallel_tool_calls": True, "metadata": {}, "temperature": 1, "top_p": 1}
    given = [{"type": "response.created"}, {"type": "response.in_progress"}, *events]
    data = []
    for number, event in enumerate(given):
        if event["type"].split(".")[1] in ("created", "in_progress", "completed", "incomplete"):
            event = {"response": response | event.get("response", {})} | {
                k: v for k, v in event.items() if k != "response"
            }
        data.append(
            b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event | {"sequence_number": number}))
        )
    reader = ResponsesReader()
    chunks = [reader.read(event) for one in data for event in EventReader().feed(one)]
    return [one for one in chunks if one is not None]


AT: dict[str, Any] = {"item_id": "msg_n", "output_index": 0, "content_index": 0}
PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
MESSAGE = {"id": "msg_n", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
TEXT = [
    {"type": "response.output_item.added", "output_index": 0, "item": MESSAGE},
    {"type": "response.content_part.added", **AT, "part": PART},
    {"type": "response.output_text.delta", **AT, "delta": "One, ", "logprobs": []},
]
DONE = MESSAGE | {"status": "completed", "content": [PART | {"text": "One, "}]}
END = [
    {"type": "response.output_text.done", **AT, "text": "One, ", "logprobs": []},
    {"type": "response.content_part.done", **AT, "part": PART | {"text": "One, "}},
    {"type": "response.output_item.done", "output_index": 0, "item": DONE},
    {"type": "response.completed", "response": {"status": "completed", "output": [DONE]}},
]


async def test_a_native_stream_passes_byte_for_byte_but_for_the_model() -> None:
    to = await writer()
    chunks = native(*TEXT, *END)
    data = written(to, *chunks)
    assert to.response is not None, "it can be stored before the client has the end"
    assert to.response["output"] == [DONE]
    data += to.end({"prompt_tokens": 1, "completion_tokens": 1}, "m1")
    assert data == b"".join(one.raw for one in chunks).replace(b'"up-1"', b'"m1"')
    assert proper(events(data))["model"] == "m1"
    assert to.end(None, "m1") == b""


@pytest.mark.parametrize("upto", [2, 3])
async def test_another_model_goes_on_with_a_native_stream(upto: int) -> None:
    to = await writer()
    data = written(to, *native(*TEXT[:upto]), model="m1")
    data += written(to, chunk({"content": "two."}), chunk({}, "stop"), model="m2") + to.end(None, "m2")
    response = proper(events(data))
    assert response["id"] == "resp_n"
    assert response["model"] == "m2"
    assert texts(response) == ["One, two." if upto == 3 else "two."]
    assert [item["id"] for item in response["output"]] == ["msg_n"]


async def test_after_a_native_message_that_was_done_another_one_follows() -> None:
    to = await writer()
    data = written(to, *native(*TEXT, END[2]), model="m1")
    data += written(to, chunk({"content": "two."}), model="m2") + to.end(None, "m2")
    stream = events(data)
    assert texts(stream[-1]["response"]) == ["One, ", "two."]
    assert [event["output_index"] for event in stream if event["type"] == "response.output_item.done"] == [0, 1]


async def test_reasoning_that_broke_off_is_closed_before_another_model_goes_on() -> None:
    to = await writer()
    reasoning = {"id": "rs_n", "type": "reasoning", "summary": [], "encrypted_content": "gAAA", "status": "in_progress"}
    at = {"item_id": "rs_n", "output_index": 0, "summary_index": 0}
    data = written(
        to,
        *native(
            {"type": "response.output_item.added", "output_index": 0, "item": reasoning},
            {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}},
            {"type": "response.reasoning_summary_text.delta", **at, "delta": "Hm"},
        ),
    )
    data += written(to, chunk({"content": "Yes"}), model="m2") + to.end(None, "m2")
    assert texts(proper(events(data))) == ["Hm", "Yes"]


async def test_a_native_stream_that_breaks_for_good_is_failed() -> None:
    to = await writer()
    stream = events(written(to, *native(*TEXT)) + to.error(StreamBroken("It broke off.")))
    assert stream[-1]["response"]["id"] == "resp_n"
    assert stream[-1]["sequence_number"] == 5
    assert texts(stream[-1]["response"]) == ["One, "]
    validate_event(stream[-1])


async def test_a_second_native_stream_is_translated() -> None:
    to = await writer()
    first = native(*TEXT)
    data = written(to, *first, model="m1")
    data += written(to, *list(native(*TEXT, *END, model="up-2")), model="m2") + to.end(None, "m2")
    response = proper(events(data))
    assert texts(response) == ["One, One, "]
    assert response["id"] == "resp_n"


async def test_what_no_document_knows_passes_too() -> None:
    to = await writer()
    strange = native(
        *TEXT[:2], {"type": "response.brand_new", "output_index": "x", "delta": 5}, {"type": "keepalive.x"}, *END
    )
    data = written(to, *strange) + to.end(None, "m1")
    assert data == b"".join(one.raw for one in strange).replace(b'"up-1"', b'"m1"')


async def test_the_answer_echoes_the_request() -> None:
    to = await writer(
        instructions="Be brief.", temperature=0.5, max_output_tokens=99, metadata={"a": "b"}, tools=[FUNCTION, PATCH],
        reasoning={"effort": "low", "summary": "auto"}, text={"verbosity": "low"}, store=False, user="u", truncation="auto",
        tool_choice={"type": "function", "name": "weather"}, parallel_tool_calls=False, safety_identifier="s",
    )  # fmt: skip
    response = proper(events(written(to, chunk({"content": "x"})) + to.end(None, "m1")))
    expected = {
        "instructions": "Be brief.", "temperature": 0.5, "max_output_tokens": 99, "metadata": {"a": "b"}, "top_p": 1.0,
        "tools": [FUNCTION, PATCH], "reasoning": {"effort": "low", "summary": "auto"}, "store": False, "user": "u",
        "text": {"format": {"type": "text"}, "verbosity": "low"}, "parallel_tool_calls": False, "truncation": "auto",
        "tool_choice": {"type": "function", "name": "weather"}, "created_at": 1_800_000_000, "safety_identifier": "s",
    }  # fmt: skip
    assert {key: response[key] for key in expected} == expected
