"""Orders of messages that chat templates accept."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.request.chat_templates import (
    strict_order,
    system_first,
    tool_result,
    with_reasoning,
    with_text_content,
    without_system,
)
from gateway.request.requirements import read_requirements

Message = dict[str, Any]


def said(role: str, content: Any, **more: Any) -> Message:
    return {"role": role, "content": content} | more


def call(name: str = "a") -> Message:
    return said("assistant", None, tool_calls=[{"id": name, "type": "function", "function": {"name": "f"}}])


def result(name: str = "a", content: Any = "7") -> Message:
    return said("tool", content, tool_call_id=name)


SYSTEM, HI, HELLO, LATER = (
    said("system", "Be brief."),
    said("user", "hi"),
    said("assistant", "hello"),
    said("system", "L"),
)
MARKED = "<system-reminder>\nL\n</system-reminder>"


@pytest.mark.parametrize("messages", [[HI], [SYSTEM, HI], [said("developer", "d"), HI, HELLO, HI], [SYSTEM]])
def test_messages_in_order_stay_the_same_list(messages: list[Message]) -> None:
    assert system_first(messages) is messages


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([SYSTEM, LATER, HI], [said("system", "Be brief.\n\nL"), HI]),
        ([SYSTEM, HI, LATER], [SYSTEM, said("user", f"hi\n\n{MARKED}")]),
        ([SYSTEM, HI, LATER, HI, HELLO], [SYSTEM, said("user", f"hi\n\n{MARKED}\n\nhi"), HELLO]),
        ([HI, HELLO, LATER, HI], [HI, HELLO, said("user", f"{MARKED}\n\nhi")]),
        ([HI, HELLO, LATER], [HI, HELLO, said("user", MARKED)]),
        ([HI, HELLO, LATER, HELLO], [HI, HELLO, said("user", MARKED), HELLO]),
        ([HI, call(), result(), LATER], [HI, call(), result(content=f"7\n\n{MARKED}")]),
        ([HI, call(), LATER, result(), HELLO], [HI, call(), result(content=f"7\n\n{MARKED}"), HELLO]),
        ([HI, said("developer", "L"), HELLO], [said("user", f"hi\n\n{MARKED}"), HELLO]),
        (
            [said("user", [{"type": "text", "text": "hi"}]), LATER],
            [said("user", [{"type": "text", "text": "hi"}, {"type": "text", "text": MARKED}])],
        ),
        (
            [SYSTEM, said("system", [{"type": "text", "text": "L"}]), HI],
            [said("system", [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "L"}]), HI],
        ),
    ],
)
def test_later_system_messages_go_into_the_turns(messages: list[Message], expected: list[Message]) -> None:
    before = [dict(message) for message in messages]
    assert system_first(messages) == expected
    assert messages == before, "the client's own messages stay as they are"


PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "x"])}, optional={"text": st.sampled_from(["a", "", None, 5])}
)
ODD = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "", "x"])},
    optional={
        "content": st.none() | st.just("a") | st.lists(PART, max_size=2),
        "tool_calls": st.sampled_from([None, [], [1]]),
    },
)
TURNS = st.lists(st.sampled_from([SYSTEM, HI, HELLO, LATER, said("developer", "d"), call(), result()]), max_size=12)


@given(TURNS)
def test_the_system_message_is_first_and_no_text_is_lost(messages: list[Message]) -> None:
    ordered = system_first(messages)
    assert all(message["role"] not in ("system", "developer") for message in ordered[1:])
    words = "".join(str(message["content"]) for message in ordered)
    for word in ("Be brief.", "hi", "hello", "7"):
        assert words.count(word) == sum(message["content"] == word for message in messages)


@given(TURNS, TURNS)
def test_new_messages_do_not_change_earlier_ones(before: list[Message], after: list[Message]) -> None:
    sent = system_first([SYSTEM, HI, *before])
    again = system_first([SYSTEM, HI, *before, HELLO, *after])
    assert again[: len(sent)] == sent


@given(TURNS)
def test_strict_order_has_no_repeated_roles_and_no_user_after_a_tool(messages: list[Message]) -> None:
    ordered = strict_order(messages)
    for one, other in pairwise(ordered):
        pair = (one["role"], other["role"])
        assert pair not in (("user", "user"), ("tool", "user"))
        assert pair != ("assistant", "assistant") or "tool_calls" in one or "tool_calls" in other
    assert strict_order(ordered) == ordered


def test_without_system_puts_the_system_prompt_into_the_user_turn() -> None:
    assert without_system([SYSTEM, HI, LATER]) == [said("user", f"Be brief.\n\nhi\n\n{MARKED}")]
    assert without_system([SYSTEM, HELLO]) == [said("user", "Be brief."), HELLO]
    assert without_system([HI, HELLO]) == [HI, HELLO]


def test_calls_without_reasoning_get_a_placeholder() -> None:
    thought = call() | {"reasoning_content": "hm"}
    filled = with_reasoning([HI, call(), result(), thought, HELLO])
    assert filled[1]["reasoning_content"]
    assert filled[2:] == [result(), thought, HELLO]
    assert with_reasoning([call() | {"reasoning": "hm"}])[0]["reasoning_content"] == "hm"


def test_content_of_text_parts_becomes_a_string() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x"}}
    words = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    given = [said("user", words), said("user", [*words, image]), HI, call()]
    assert with_text_content(given) == [said("user", "a\n\nb"), *given[1:]]


@pytest.mark.parametrize("form", [system_first, strict_order, without_system, with_reasoning, with_text_content])
@given(messages=st.lists(ODD, min_size=1, max_size=5))
def test_no_message_that_chat_lets_pass_is_too_odd(
    form: Callable[[list[Message]], list[Message]], messages: list[Message]
) -> None:
    changed = form(messages)
    assert all(isinstance(message["role"], str) for message in changed)
    read_requirements({"messages": changed})


def test_a_result_without_media_is_only_its_text() -> None:
    assert tool_result("a", "7", []) == (result(), [])


def test_media_of_a_result_follow_in_a_user_message() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    message, parts = tool_result("a", "", [image])
    assert message["role"] == "tool"
    assert message["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]
    assert "a" in parts[0]["text"]
