"""Usage and complete answers of Messages in the form of chat. Streams are read in test_stream_writer.py."""

from typing import Any

import pytest

from gateway.api.messages.stream_reader import billed_usage, chat_usage, events_of_answer
from gateway.core.answer import Usage


@pytest.mark.parametrize(
    ("usage", "chat"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
        ({"output_tokens": 4}, {"prompt_tokens": 0, "completion_tokens": 4, "total_tokens": 4}),
        (
            {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 8, "cache_creation_input_tokens": None},
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 11,
                "prompt_tokens_details": {"cached_tokens": 8, "cache_creation_tokens": 0},
            },
        ),
        (
            {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 1}},
            {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "total_tokens": 3,
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
        ),
        ({}, None),
        ({"cache_read_input_tokens": 8}, None),
        ({"input_tokens": "3", "output_tokens": 4}, None),
        ({"input_tokens": -3, "output_tokens": 4}, None),
        ({"input_tokens": 3, "output_tokens": 1 << 50}, None),
    ],
)
def test_usage(usage: dict[str, Any], chat: dict[str, Any] | None) -> None:
    assert chat_usage(usage) == chat


def test_billed_usage() -> None:
    assert billed_usage({"usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 8}}) == Usage(
        9, 2, 8
    )
    assert billed_usage({"usage": None}) is None
    assert billed_usage({}) is None


def test_the_events_of_a_complete_message() -> None:
    text, call = {"type": "text", "text": "4"}, {"type": "tool_use", "id": "a", "name": "add", "input": {"a": 1}}
    message = {"type": "message", "content": [text, call], "stop_reason": None, "stop_sequence": None}
    assert events_of_answer(message) == [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": call},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}},
        {"type": "message_stop"},
    ]
