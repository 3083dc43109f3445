"""The message of a choice, and the text and reasoning in its content, in the forms in which providers write them."""

from typing import Any

import pytest

from gateway.api.chat.message_content import message_of, text_and_reasoning

MESSAGE = {"role": "assistant", "content": "hi"}


@pytest.mark.parametrize(
    ("choice", "begun", "message"),
    [
        ({"delta": {"content": "a"}}, False, {"content": "a"}),
        ({"delta": "a"}, False, {"content": "a"}),
        ({"delta": {"content": "a"}, "message": MESSAGE}, False, {"content": "a"}),
        ({"delta": None, "message": MESSAGE}, False, MESSAGE),
        ({"message": MESSAGE}, True, {}),
        ({"text": "a"}, True, {"content": "a"}),
        ({"text": None}, False, {}),
        ({}, False, {}),
    ],
)
def test_the_message_is_found_under_each_key(choice: dict[str, Any], begun: bool, message: dict[str, Any]) -> None:
    assert message_of(choice, begun=begun) == message


def nested(depth: int) -> Any:
    return {"type": "thinking", "thinking": "deep" if depth == 0 else [nested(depth - 1)]}


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ({"type": "text", "text": "a"}, "a", ""),
        ({"city": "Rome"}, '{"city":"Rome"}', ""),
        (7, "7", ""),
        (["a", {"type": "text", "text": "b"}, 5], "ab", ""),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}], "b", "hm"),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}, " it is"]}], "", "so it is"),
        ([nested(2)], "", "deep"),
        ([nested(20)], "", ""),
        ([], "", ""),
    ],
)
def test_text_and_reasoning_of_content_that_is_not_a_string(content: Any, text: str, reasoning: str) -> None:
    assert text_and_reasoning(content) == (text, reasoning)


def test_content_with_pictures_keeps_its_objects() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,x"}}
    parts = [{"type": "thinking", "thinking": "hm"}, "text", picture]
    assert text_and_reasoning(parts) == ([parts[0], picture], "")
