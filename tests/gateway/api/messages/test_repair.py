"""Messages and events of providers that lack fields."""

from typing import Any

import pytest

from gateway.api.messages.repair import is_valid_event, repaired_message
from gateway.provider_errors.failures import UpstreamFailure

USAGE = {"input_tokens": 3, "output_tokens": 1}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "4"}, {"type": "new_block"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}


@pytest.mark.parametrize(
    ("kind", "fields", "valid"),
    [
        ("ping", {}, True),
        ("message_start", {"message": MESSAGE}, True),
        ("message_start", {"message": MESSAGE | {"usage": {"input_tokens": 3}}}, False),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}, True),
        ("content_block_start", {"index": 0, "content_block": {"type": "thinking", "thinking": ""}}, False),
        ("content_block_start", {"index": True, "content_block": {"type": "text", "text": ""}}, False),
        ("content_block_start", {"index": 0, "content_block": {"type": "tool_use", "id": "a", "name": "", "input": {}}}, False),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "4"}}, True),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta"}}, False),
        ("content_block_delta", {"index": 0, "delta": {"type": "new_delta"}}, True),
        ("content_block_stop", {}, False),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}, True),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}}, False),
    ],
)  # fmt: skip
def test_events(kind: str, fields: dict[str, Any], valid: bool) -> None:
    assert is_valid_event(kind, fields) is valid


def test_a_valid_message_is_not_copied() -> None:
    assert repaired_message(MESSAGE) is MESSAGE


def test_missing_fields_are_added_and_unknown_ones_kept() -> None:
    content = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "a", "name": "add", "input": '{"a": 1}'},
    ]
    repaired = repaired_message(
        {"type": "message", "id": "msg_2", "content": content, "usage": {"input_tokens": -1}, "new": 1}
    )
    assert repaired == {
        "id": "msg_2",
        "type": "message",
        "role": "assistant",
        "content": [content[0] | {"signature": ""}, content[1] | {"input": {"a": 1}}],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "new": 1,
    }


@pytest.mark.parametrize("block", [{"type": "text", "text": 5}, {"type": "tool_use", "name": ""}, {"type": "thinking"}])
def test_a_block_without_its_content_is_unreadable(block: dict[str, Any]) -> None:
    with pytest.raises(UpstreamFailure, match="unreadable"):
        repaired_message(MESSAGE | {"content": [block]})
