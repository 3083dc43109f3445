"""Response objects, items and events of providers that lack fields."""

from typing import Any

import pytest

from gateway.api.responses.repair import (
    is_valid_event,
    is_valid_item,
    is_valid_part,
    is_valid_response,
    repaired_item,
    repaired_response,
)
from gateway.provider_errors.failures import UpstreamFailure

PART = {"type": "output_text", "text": "4", "annotations": [], "logprobs": []}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 5,
    "status": "completed",
    "model": "up",
    "output": [MESSAGE],
    "parallel_tool_calls": True,
    "tools": [],
    "tool_choice": "auto",
    "metadata": {},
    "temperature": 1.0,
    "top_p": None,
    "instructions": None,
    "error": None,
    "incomplete_details": None,
    "usage": None,
}
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


@pytest.mark.parametrize(
    ("kind", "fields", "valid"),
    [
        ("response.new", {}, True),
        ("response.output_text.delta", PLACE | {"delta": "4"}, True),
        ("response.output_text.delta", PLACE | {"delta": "4", "logprobs": [{"token": "4"}]}, True),
        ("response.output_text.delta", PLACE | {"delta": "4", "logprobs": [{}]}, False),
        ("response.output_text.delta", {"item_id": "msg_1", "output_index": 0, "delta": "4"}, False),
        ("response.function_call_arguments.delta", {"item_id": "fc_1", "output_index": 0, "delta": "{}"}, True),
        ("response.content_part.added", PLACE | {"part": PART}, True),
        ("response.content_part.added", PLACE | {"part": {"type": "output_text"}}, False),
        ("response.output_item.done", {"output_index": 0, "item": CALL}, True),
        ("response.output_item.done", {"output_index": True, "item": CALL}, False),
        ("response.completed", {"response": {}}, True),
        ("response.completed", {}, False),
    ],
)
def test_events(kind: str, fields: dict[str, Any], valid: bool) -> None:
    assert is_valid_event(kind, fields) is valid


def test_parts_and_items() -> None:
    assert is_valid_part(PART)
    assert is_valid_part({"type": "new"})
    assert not is_valid_part(PART | {"annotations": [5]})
    assert is_valid_item(MESSAGE)
    assert is_valid_item(CALL)
    assert is_valid_item({"type": "web_search_call", "id": "ws_1", "status": "completed"})
    assert not is_valid_item(MESSAGE | {"status": "new"})
    assert not is_valid_item(CALL | {"name": ""})


def test_a_valid_item_is_not_copied_and_others_get_what_they_lack() -> None:
    assert repaired_item(MESSAGE) is MESSAGE
    bare = {"type": "message", "id": "msg_2", "content": [{"type": "output_text", "text": "4", "annotations": None}]}
    assert repaired_item(bare) == MESSAGE | {"id": "msg_2"}
    call = repaired_item({"type": "function_call", "name": "add", "arguments": "{}"})
    assert call["id"].startswith("fc_")
    assert call["call_id"] == call["id"]
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert repaired_item(thought) is thought
    unreadable = (
        *(None, {}, {"type": "function_call", "arguments": "{}"}, {"type": "message", "content": "4"}),
        *(thought | {"content": content} for content in (5, "x", [5])),
    )
    for item in unreadable:
        with pytest.raises(UpstreamFailure, match="unreadable"):
            repaired_item(item)


def test_a_response() -> None:
    assert is_valid_response(RESPONSE)
    assert repaired_response(RESPONSE, {}) is RESPONSE
    usage = {"input_tokens": 3, "output_tokens": 4}
    wrong = RESPONSE | {
        "tool_choice": {},
        "tools": [5],
        "created_at": -1,
        "metadata": {"a": "b", "c": 5},
        "usage": usage,
    }
    repaired = repaired_response(wrong, RESPONSE | {"created_at": 7, "tools": [{"type": "function"}]})
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    assert repaired == RESPONSE | {
        "created_at": 7,
        "tools": [{"type": "function"}],
        "metadata": {"a": "b"},
        "usage": usage | {"total_tokens": 7} | details,
    }
    assert is_valid_response(repaired)
    assert repaired_response(RESPONSE | {"output": [5]}, RESPONSE, [CALL])["output"] == [CALL]
