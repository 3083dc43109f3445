"""Deltas and messages of providers -> OpenAI's."""

from typing import Any

import pytest

from gateway.api.chat.message_normalizer import MessageNormalizer


def normalized(*deltas: dict[str, Any]) -> list[Any]:
    normalizer = MessageNormalizer()
    return [normalizer.normalize(delta) for delta in deltas]


def test_only_the_first_delta_has_a_role_and_it_is_the_assistants() -> None:
    assert normalized({"role": "model"}, {"role": "assistant", "content": "a"}) == [
        {"role": "assistant"},
        {"content": "a"},
    ]
    assert normalized({"role": ""}, {"role": "assistant"}, {"role": 5}) == [{"role": ""}, {"role": "assistant"}, {}]


def test_reasoning_in_the_content_becomes_reasoning_content() -> None:
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "4"}]
    assert normalized({"content": parts}) == [{"content": "4", "reasoning_content": "hm"}]
    assert normalized({"reasoning_content": "so, ", "content": parts}) == [
        {"reasoning_content": "so, hm", "content": "4"}
    ]


@pytest.mark.parametrize(
    ("delta", "has_text"),
    [
        ({"content": "a"}, True),
        ({"reasoning": "a"}, True),
        ({"content": ""}, False),
        ({"content": None}, False),
        ({"tool_calls": [{"index": 0, "function": {"name": "add"}}]}, False),
    ],
)
def test_it_records_whether_text_has_come(delta: dict[str, Any], has_text: bool) -> None:
    normalizer = MessageNormalizer()
    normalizer.normalize(delta)
    assert normalizer.has_text is has_text


def test_tool_calls_that_are_not_calls_are_left_out() -> None:
    assert normalized({"tool_calls": []}, {"tool_calls": None}, {"tool_calls": "add"}, {"tool_calls": [5]}) == [
        {"tool_calls": []},
        {"tool_calls": None},
        {},
        {},
    ]


def test_the_function_of_the_older_api_is_named_once() -> None:
    assert normalized(
        {"function_call": {"name": "add", "arguments": {"a": 1}}},
        {"function_call": {"name": "add", "arguments": "}"}},
        {"function_call": "add"},
    ) == [{"function_call": {"name": "add", "arguments": '{"a":1}'}}, {"function_call": {"arguments": "}"}}, {}]


def test_fields_of_the_provider_are_kept() -> None:
    assert normalized({"annotations": [1], "audio": None}) == [{"annotations": [1], "audio": None}]
