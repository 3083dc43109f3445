"""The text and the tool calls by which an answer is identified."""

from typing import Any

import pytest

from gateway.core.answer import Complete
from gateway.core.vocabulary import Api
from gateway.request.last_answer import (
    MAX_CALLS,
    TEXT_CHARS,
    LastAnswer,
    answer_in_messages,
    answer_in_response,
    last_answer,
)


@pytest.mark.parametrize(
    ("fields", "api", "expected"),
    [
        ({"choices": [{"message": {"content": "<think>hm</think>\n Yes. "}}]}, "chat", LastAnswer("Yes.")),
        ({"choices": [{"message": {"tool_calls": [{"id": "call-1"}, {}]}}]}, "chat", LastAnswer("", ("call1",))),
        (
            {"content": [{"type": "text", "text": "A"}, {"type": "tool_use", "id": "toolu_1"}]},
            "messages",
            LastAnswer("A", ("toolu1",)),
        ),
        (
            {"output": [{"type": "message", "content": [{"text": "A"}]}, {"type": "function_call", "call_id": "c_1"}]},
            "responses",
            LastAnswer("A", ("c1",)),
        ),
        ({"choices": [{"text": "A "}]}, "completions", LastAnswer("A")),
        ({"choices": []}, "chat", LastAnswer("")),
    ],
)
def test_the_last_answer_is_read_from_every_format(fields: dict[str, Any], api: Api, expected: LastAnswer) -> None:
    assert answer_in_response(Complete(b"", fields, None, api)) == expected


def test_the_last_answer_of_a_request_has_its_question() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Sort this."},
        {"role": "assistant", "content": " done ", "tool_calls": [{"id": "call_b-1"}, {"id": "a"}]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
        {"role": "user", "content": "Thanks."},
    ]
    assert answer_in_messages(messages) == (LastAnswer("done", ("a", "callb1")), "Sort this.")
    assert answer_in_messages(messages[1:]) == (LastAnswer("done", ("a", "callb1")), "")
    assert answer_in_messages(messages[:1]) is None


def test_reasoning_and_what_is_beyond_the_bounds_do_not_identify_an_answer() -> None:
    assert last_answer("<think>why</think>\n so", ()) == LastAnswer("so")
    assert last_answer("<think>never closed", ()) == LastAnswer("<think>never closed")
    assert last_answer("x" * TEXT_CHARS + "y", ()) == last_answer("x" * TEXT_CHARS + "z", ())
    assert len(last_answer("", [f"id{i}" for i in range(2 * MAX_CALLS)]).calls) == MAX_CALLS


def test_an_answer_without_text_and_calls_identifies_nothing() -> None:
    assert not LastAnswer("").is_identifiable
    assert LastAnswer("a").is_identifiable
    assert LastAnswer("", ("a",)).is_identifiable
