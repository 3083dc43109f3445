"""Results of tool calls are moved directly after their calls."""

from typing import Any

import pytest

from gateway.request.chat_templates import MEDIA_NOTE
from gateway.request.tool_results import NO_RESULT, results_after_calls

USER = {"role": "user", "content": "hi"}
NOTE = {"role": "system", "content": "note"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


def calls(*names: str) -> dict[str, Any]:
    called = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in names]
    return {"role": "assistant", "content": None, "tool_calls": called}


def result(name: str, content: Any = "out") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": content}


ORDERS: list[tuple[list[Any], list[Any]]] = [
    ([USER], [USER]),
    ([USER, calls("a", "b"), result("b"), result("a")], [USER, calls("a", "b"), result("b"), result("a")]),
    ([calls("a", "b"), USER, result("b", "2"), result("a", "1")], [calls("a", "b"), result("a", "1"), result("b", "2"), USER]),
    ([calls("a"), result("a", [{"type": "text", "text": "x"}])], [calls("a"), result("a", "x")]),
    ([calls("a"), USER, NOTE, result("a")], [calls("a"), result("a"), USER, NOTE]),
    ([calls("a", "b"), result("a"), calls("c"), result("c"), result("b")],
     [calls("a", "b"), result("a"), result("b"), calls("c"), result("c")]),
    ([calls("a"), USER], [calls("a"), result("a", NO_RESULT), USER]),
    ([calls("a")], [calls("a"), result("a", NO_RESULT)]),
    ([result("a"), USER, calls("a")], [USER, calls("a"), result("a")]),
    ([USER, result("x", "tick")], [USER, {"role": "user", "content": "tick"}]),
    ([calls("a"), result("a", "1"), result("a", "2")], [calls("a"), result("a", "1\n2")]),
    ([calls("a"), result("a", "1"), calls("a"), result("a", "2")], [calls("a"), result("a", "1"), calls("a"), result("a", "2")]),
    ([calls("a"), USER, calls("a"), result("a", "2")], [calls("a"), result("a", NO_RESULT), USER, calls("a"), result("a", "2")]),
    ([calls("a", "a"), result("a", "1"), result("a", "2")], [calls("a", "a"), result("a", "1"), result("a", "2")]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "wanted"), ORDERS)
def test_results_follow_their_calls(given: list[Any], wanted: list[Any]) -> None:
    assert results_after_calls(given) == wanted


@pytest.mark.parametrize(
    "after", [[], [NOTE], [USER], [{"role": "user", "content": [IMAGE]}], [calls("c"), result("c")]]
)
def test_images_of_results_follow_the_last_result(after: list[Any]) -> None:
    text = {"type": "text", "text": "x"}
    ordered = results_after_calls([calls("a", "b"), result("a", [text, IMAGE]), NOTE, result("b"), *after])
    label = {"type": "text", "text": "(Of the result of the tool call a:)"}
    assert ordered[:4] == [
        calls("a", "b"),
        result("a", f"x\n{MEDIA_NOTE}"),
        result("b"),
        {"role": "user", "content": [label, IMAGE]},
    ]
    assert ordered[4:] == [NOTE, *after]


@pytest.mark.parametrize(("said", "parts"), [("hi", [{"type": "text", "text": "hi"}]), ([IMAGE], [IMAGE])])
def test_images_of_results_are_added_to_the_next_user_message(said: Any, parts: list[Any]) -> None:
    ordered = results_after_calls([calls("a"), result("a", [IMAGE]), {"role": "user", "content": said}])
    roles = [message["role"] for message in ordered]
    assert roles == ["assistant", "tool", "user"]
    assert ordered[-1]["content"][1:] == [IMAGE, *parts]


def test_an_empty_result_without_a_call_gets_a_placeholder() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "tool", "tool_call_id": "lost", "content": []}]
    assert results_after_calls(messages)[-1] == {"role": "user", "content": NO_RESULT}
