"""Native Responses streams with any one value wrong: read, refused as the provider's failure, or gone on with; never a defect."""

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.api.responses.dialect import Responses
from gateway.api.responses.store_rows import response_row
from gateway.api.responses.stream_reader import ResponsesReader
from gateway.bodies.sse import EventReader
from gateway.core.errors import StreamBroken
from gateway.provider_errors.failures import UpstreamFailure
from gateway.request.chat_request import ChatRequest
from tests.gateway.api.exchanges import FUNCTION, call, chunk, dialect, parsed

RESPONSE = {"id": "resp_n", "object": "response", "created_at": 5, "status": "in_progress", "model": "up", "output": []}
REASONING = {"id": "rs_n", "type": "reasoning", "summary": []}
MESSAGE = {"id": "msg_n", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
CALL = {"id": "fc_n", "type": "function_call", "call_id": "c", "name": "weather", "arguments": ""}
PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
THOUGHT = {"item_id": "rs_n", "output_index": 0, "summary_index": 0}
TEXT = {"item_id": "msg_n", "output_index": 1, "content_index": 0}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.output_item.added", "output_index": 0, "item": REASONING},
    {"type": "response.reasoning_summary_part.added", **THOUGHT, "part": {"type": "summary_text", "text": ""}},
    {"type": "response.reasoning_summary_text.delta", **THOUGHT, "delta": "Hm"},
    {"type": "response.output_item.done", "output_index": 0, "item": REASONING},
    {"type": "response.output_item.added", "output_index": 1, "item": MESSAGE},
    {"type": "response.content_part.added", **TEXT, "part": PART},
    {"type": "response.output_text.delta", **TEXT, "delta": "One", "logprobs": [{"token": "One", "logprob": -1}]},
    {"type": "response.content_part.done", **TEXT, "part": PART | {"text": "One"}},
    {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
    {"type": "response.output_item.added", "output_index": 2, "item": CALL},
    {"type": "response.function_call_arguments.delta", "item_id": "fc_n", "output_index": 2, "delta": "{}"},
    {"type": "response.output_item.done", "output_index": 2, "item": CALL | {"arguments": "{}"}},
    {
        "type": "response.completed",
        "response": RESPONSE | {"status": "completed", "output": [MESSAGE], "usage": {"input_tokens": 1, "output_tokens": 2}},
    },
]  # fmt: skip
WRONG: list[Any] = [None, 5, True, "", [], {}, [5], [[]], {"a": 1}]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values within a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*way, key)
        yield from places(inner, (*way, key))


def mutated(way: tuple[Any, ...], wrong: Any) -> list[dict[str, Any]]:
    events = copy.deepcopy(EVENTS)
    holder: Any = events
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = wrong
    return events


def relayed(given: Responses, request: ChatRequest, events: list[Any], *, goes_on: bool) -> bytes:
    """The stream that the client gets; at its end what another model adds, where one goes on."""
    reader, writer, data = ResponsesReader(), given.writer(request), b""
    try:
        for value in events:
            for event in EventReader().feed(b"data: %s\n\n" % orjson.dumps(value)):
                if (one := reader.read(event)) is not None:
                    data += writer.write(one, one.fields, "m1")
        if goes_on:
            one = chunk({"content": "two"} | call(0, "{}", "d", "weather"))
            data += writer.write(one, one.fields, "m2")
        data += writer.end(None, "m2")
    except (UpstreamFailure, ValueError):
        data += writer.error(StreamBroken("It broke off."))
    if writer.response is not None:
        response_row(writer.response, [])
    return data


@pytest.mark.parametrize("goes_on", [False, True])
def test_one_wrong_value_is_no_defect(goes_on: bool) -> None:
    given = dialect()
    request = asyncio.run(parsed(given, tools=[FUNCTION]))
    for way in places(EVENTS):
        for wrong in WRONG:
            events = mutated(way, wrong)
            assert relayed(given, request, events[:-1] if goes_on else events, goes_on=goes_on), (way, wrong)


def test_output_that_the_strict_writer_refuses_is_kept() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    row = response_row({"id": "r", "output": [{"id": "i", "content": deep}, {"id": "half", "text": "\ud83d"}]}, [])
    assert len(orjson.loads(row.output)) == 2
