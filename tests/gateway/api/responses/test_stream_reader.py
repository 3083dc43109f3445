"""What native events and answers mean in chat, and which failures are in them."""

from contextlib import suppress
from typing import Any

import orjson
import pytest

from gateway.api.responses.stream_reader import (
    ResponsesReader,
    checked_answer,
    events_of_answer,
    response_finish_reason,
)
from gateway.bodies.sse import Event, EventReader
from gateway.core.answer import Chunk
from gateway.core.usage import Usage
from gateway.provider_errors.failures import Cause, UpstreamFailure
from tests.gateway.api.exchanges import is_chunk

COUNTS = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 12,
}
RESPONSE = {"id": "resp_1", "created_at": 5, "model": "up", "status": "completed", "output": [], "usage": COUNTS}


def event(**fields: Any) -> Event:
    data = orjson.dumps(fields)
    [found] = EventReader().feed(b"event: x\ndata: " + data + b"\n\n")
    return found


def read(reader: ResponsesReader, **fields: Any) -> Chunk:
    given = event(**fields)
    chunk = reader.read(given)
    assert chunk is not None
    assert chunk.api == "responses"
    assert chunk.raw in (given.raw, b"")  # what clients could not read is written anew
    assert is_chunk(chunk.fields)
    return chunk


def delta(**fields: Any) -> Any:
    """The delta that one event means; None where chat knows nothing of it."""
    choices = read(ResponsesReader(), **fields).fields["choices"]
    return choices[0]["delta"] if choices else None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("response.output_text.delta", {"content": "a"}),
        ("response.refusal.delta", {"refusal": "a"}),
        ("response.reasoning_summary_text.delta", {"reasoning_content": "a"}),
        ("response.reasoning_text.delta", {"reasoning_content": "a"}),
        ("response.output_text.done", None),
        ("response.brand_new.delta", None),
        ("keepalive", None),
    ],
)
def test_deltas(kind: str, expected: Any) -> None:
    assert delta(type=kind, output_index=0, delta="a") == expected


def test_what_is_created_names_all_that_follows() -> None:
    reader = ResponsesReader()
    first = read(reader, type="response.created", response=RESPONSE | {"status": "in_progress"})
    assert first.fields["choices"] == []
    assert not first.has_content
    second = read(reader, type="response.output_text.delta", delta="a", logprobs=[{"token": "a", "logprob": -1}])
    assert {key: second.fields[key] for key in ("id", "created", "model")} == {
        "id": "resp_1",
        "created": 5,
        "model": "up",
    }
    assert second.fields["choices"][0]["logprobs"] == {"content": [{"token": "a", "logprob": -1}]}
    assert not reader.ended


def test_calls_are_numbered_among_themselves() -> None:
    reader = ResponsesReader()
    read(reader, type="response.output_item.added", output_index=0, item={"type": "message"})
    for at, (kind, name) in enumerate([("function_call", "f"), ("custom_tool_call", "g")]):
        item = {"type": kind, "call_id": f"call_{name}", "name": name}
        chunk = read(reader, type="response.output_item.added", output_index=at + 1, item=item)
        function = {"name": name, "arguments": ""}
        call = {"index": at, "id": f"call_{name}", "type": "function", "function": function}
        assert chunk.fields["choices"][0]["delta"] == {"tool_calls": [call]}
        assert chunk.has_content
    for at, kind in ((1, "function_call_arguments"), (2, "custom_tool_call_input")):
        chunk = read(reader, type=f"response.{kind}.delta", output_index=at, delta="{")
        assert chunk.fields["choices"][0]["delta"] == {
            "tool_calls": [{"index": at - 1, "function": {"arguments": "{"}}]
        }


@pytest.mark.parametrize("kind", ["web_search_call", "mcp_call", "image_generation_call", "brand_new"])
def test_a_providers_own_tool_is_content_that_no_other_model_can_continue(kind: str) -> None:
    chunk = read(ResponsesReader(), type="response.output_item.added", output_index=0, item={"type": kind})
    assert chunk.has_content
    assert chunk.fields["choices"][0]["delta"] == {"provider_tool": kind}


@pytest.mark.parametrize(
    ("last", "finish"),
    [
        ({"type": "response.completed", "response": RESPONSE}, "stop"),
        ({"type": "response.completed", "response": RESPONSE | {"output": [{"type": "function_call"}]}}, "tool_calls"),
        (
            {
                "type": "response.incomplete",
                "response": RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            },
            "length",
        ),
        (
            {
                "type": "response.incomplete",
                "response": RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            },
            "content_filter",
        ),
    ],
)
def test_the_end(last: dict[str, Any], finish: str) -> None:
    reader = ResponsesReader()
    chunk = read(reader, **last)
    assert chunk.fields["choices"] == [{"index": 0, "delta": {}, "finish_reason": finish}]
    assert Usage.read(chunk.fields["usage"]) == Usage(7, 5, 3, reasoning_tokens=2)
    assert chunk.fields["usage"]["prompt_tokens_details"]["cached_tokens"] == 3
    assert reader.ended


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"code": "rate_limit_exceeded", "message": "Slow down."}, Cause.RATE_LIMITED),
        ({"code": "server_error", "message": "Sorry."}, Cause.SERVER_ERROR),
        ({"code": "insufficient_quota", "message": "You exceeded your current quota."}, Cause.QUOTA),
        (
            {"code": "context_length_exceeded", "message": "Your input exceeds the context window."},
            Cause.CONTEXT_LENGTH,
        ),
        ({"code": "invalid_prompt", "message": "No."}, Cause.REJECTED),
        ({"code": "image_too_large", "message": "No."}, Cause.REJECTED),
        ({"code": "empty_image_file", "message": "No."}, Cause.REJECTED),
        ({"code": "bio_policy", "message": "No."}, Cause.CONTENT_FILTER),
        ({"code": "server_is_overloaded", "message": "Our servers are overloaded."}, Cause.OVERLOADED),
        ({"code": "failed_to_download_image", "message": "Later."}, Cause.SERVER_ERROR),
        ({}, Cause.SERVER_ERROR),
    ],
)
def test_failures(error: dict[str, Any], cause: Cause) -> None:
    for fields in (
        {"type": "response.failed", "response": RESPONSE | {"status": "failed", "error": error}},
        {"type": "error"} | error,
        {"type": "error", "error": error or {"message": "x"}},
    ):
        reader = ResponsesReader()
        with pytest.raises(UpstreamFailure) as caught:
            reader.read(event(**fields))
        assert caught.value.cause is cause
        assert not reader.ended
    with pytest.raises(UpstreamFailure) as caught:
        checked_answer(RESPONSE | {"status": "failed", "error": error})
    assert caught.value.cause is cause


@pytest.mark.parametrize("data", [b"[]", b"5", b'{"choices": []}', b'{"type": 5}'])
def test_what_is_no_event_of_this_format_is_none(data: bytes) -> None:
    assert ResponsesReader().read(Event(b"x", data)) is None


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, {"type": 5}, {"type": ["x"]}])
def test_odd_values_inside_events_break_nothing(value: Any) -> None:
    reader = ResponsesReader()
    for kind in (
        "output_item.added",
        "output_text.delta",
        "function_call_arguments.delta",
        "created",
        "output_text.done",
    ):
        with suppress(ValueError):
            reader.read(event(type=f"response.{kind}", response=value, item=value, delta=value, output_index=value))
    odd = RESPONSE | {"output": value, "usage": value, "incomplete_details": value}
    assert read(reader, type="response.completed", response=odd).fields["choices"][0]["finish_reason"] == "stop"
    for status in ("completed", "incomplete"):
        read(reader, type="response.incomplete", response=odd | {"status": status})


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        {},
        {"output": 5},
        {"output": [5]},
        RESPONSE | {"status": "in_progress"},
        RESPONSE | {"status": "queued"},
    ],
)
def test_a_whole_answer_that_is_none(fields: Any) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        checked_answer(fields)
    assert caught.value.cause is Cause.UNREADABLE


def test_a_whole_answer() -> None:
    assert checked_answer(RESPONSE) == RESPONSE


def test_the_events_of_a_complete_response() -> None:
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}
    message = {"type": "message", "content": [{"type": "output_text", "text": "4"}, {"type": "new"}]}
    response = {"output": [reasoning, message]}
    assert events_of_answer(response) == [
        {"type": "response.output_item.added", "output_index": 0, "item": reasoning},
        {"type": "response.reasoning_summary_text.delta", "delta": "Hm"},
        {"type": "response.output_item.added", "output_index": 1, "item": message},
        {"type": "response.output_text.delta", "delta": "4"},
        {"type": "response.completed", "response": response},
    ]


def test_the_finish_reason_in_the_form_of_chat() -> None:
    assert response_finish_reason({"status": "completed", "output": [{"type": "custom_tool_call"}]}) == "tool_calls"
    assert response_finish_reason({"status": "completed", "output": None}) == "stop"
    assert (
        response_finish_reason({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}})
        == "content_filter"
    )
    assert response_finish_reason({"status": "incomplete"}) == "length"
