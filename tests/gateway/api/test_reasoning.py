"""The removal of reasoning from a request's earlier turns."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.api.reasoning import is_reasoning_error, without_reasoning
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest, Native, parse_chat

ASK = {"role": "user", "content": "2+2?"}
PLAIN = {"role": "assistant", "content": "4", "reasoning_content": "2 and 2"}
SIGNED = {"role": "assistant", "content": "4", "thinking_blocks": [{"type": "thinking", "signature": "s"}]}
BARE = {"role": "assistant", "content": "4"}
CALL = {"role": "assistant", "content": None, "tool_calls": [], "reasoning_content": "call it"}


def request(*messages: dict[str, Any]) -> ChatRequest:
    return parse_chat(orjson.dumps({"model": "m", "messages": messages}))


def messages_without(given: ChatRequest, **options: bool) -> list[Any] | None:
    changed = without_reasoning(given, **options)
    if changed is None:
        return None
    assert orjson.loads(changed.body) == changed.fields
    messages: list[Any] = changed.fields["messages"]
    return messages


def test_all_reasoning_is_removed() -> None:
    assert messages_without(request(ASK, PLAIN, ASK, SIGNED, ASK)) == [ASK, BARE, ASK, BARE, ASK]
    assert messages_without(request(ASK, BARE, ASK)) is None


def test_plain_text_may_stay() -> None:
    assert messages_without(request(ASK, PLAIN, ASK, SIGNED, ASK), plain_text=False) == [ASK, PLAIN, ASK, BARE, ASK]
    assert messages_without(request(ASK, PLAIN, ASK), plain_text=False) is None


def test_the_turn_in_progress_may_keep_its_reasoning() -> None:
    given = request(ASK, PLAIN, ASK, CALL, {"role": "tool", "tool_call_id": "c", "content": "5"})
    changed = messages_without(given, finished_turns_only=True)
    assert changed == [ASK, BARE, *given.fields["messages"][2:]]
    assert messages_without(request(ASK, CALL), finished_turns_only=True) is None


@pytest.mark.parametrize("result", [{"type": "tool_result", "tool_use_id": "c"}])
def test_results_of_tools_belong_to_the_turn_in_progress(result: dict[str, Any]) -> None:
    thinking = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text"}],
    }
    turns = [ASK, thinking, {"role": "user", "content": [result]}]
    native = Native("messages", b"", {"messages": turns})
    assert without_reasoning(replace(request(ASK), native=native), finished_turns_only=True) is None
    changed = without_reasoning(replace(request(ASK), native=native))
    assert changed is not None
    assert changed.native is not None
    assert changed.native.fields["messages"] == [ASK, thinking | {"content": [{"type": "text"}]}, turns[2]]
    assert orjson.loads(changed.native.body) == changed.native.fields


@pytest.mark.parametrize("api", ["completions", "embeddings"])
def test_a_format_without_reasoning_stays(api: Api) -> None:
    native = Native(api, b"{}", {"prompt": "x"})
    changed = without_reasoning(replace(request(ASK, PLAIN), native=native))
    assert changed is not None
    assert changed.native is native


def test_reasoning_items_of_responses_are_removed() -> None:
    items = [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "x"},
        {"type": "message", "id": "m", "content": "a"},
    ]
    native = Native("responses", b"", {"input": items})
    changed = without_reasoning(replace(request(ASK), native=native))
    assert changed is not None
    assert changed.native is not None
    assert changed.native.fields == {"input": [{"type": "message", "content": "a"}]}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "messages.1.content.0: Invalid `signature` in `thinking` block"}, True),
        ({"code": "invalid_encrypted_content"}, True),
        ({"message": "The encrypted content could not be verified."}, True),
        ({"message": "max_tokens is too large"}, False),
        ({}, False),
    ],
)
def test_errors_that_reject_reasoning(error: dict[str, Any], expected: bool) -> None:
    assert is_reasoning_error(error) is expected
