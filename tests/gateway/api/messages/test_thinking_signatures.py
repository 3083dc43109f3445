"""Signed thinking taken out of a Messages request."""

from typing import Any

import pytest

from gateway.api.messages.request_to_chat import translate
from gateway.api.messages.thinking_signatures import is_signature_error, without_signatures

ASK: dict[str, Any] = {"role": "user", "content": "What is 2 + 2?"}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
REDACTED = {"type": "redacted_thinking", "data": "Em8K"}
TEXT = {"type": "text", "text": "4"}
ENABLED = {"type": "enabled", "budget_tokens": 1024}
USE = {"type": "tool_use", "id": "t1", "name": "add", "input": {}}
RESULT: dict[str, Any] = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "4"}]}


def assistant(*content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def request(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    fields = {"model": "auto", "max_tokens": 9, "messages": list(messages)} | more
    translate(fields)  # as each request that comes so far
    return fields


def test_finished_turns_lose_it_and_the_model_thinks_on() -> None:
    fields = request(ASK, assistant(SIGNED, REDACTED, TEXT), ASK, thinking=ENABLED, new=1)
    assert without_signatures(fields) == fields | {"messages": [ASK, assistant(TEXT), ASK]}
    assert fields["messages"][1] == assistant(SIGNED, REDACTED, TEXT)  # the client's own stay as they are


def test_nothing_to_take_out() -> None:
    assert without_signatures(request(ASK)) is None
    assert without_signatures(request(ASK, {"role": "assistant", "content": "4"}, ASK, thinking=ENABLED)) is None


def test_a_turn_of_thinking_alone_is_left_out() -> None:
    changed = without_signatures(request(ASK, assistant(SIGNED), ASK))
    assert changed is not None
    assert changed["messages"] == [ASK, ASK]


@pytest.mark.parametrize("more", [[], [{"role": "system", "content": "9 tokens left"}]])
def test_in_a_tool_loop_thinking_is_switched_off(more: list[dict[str, Any]]) -> None:
    fields = request(ASK, assistant(SIGNED, USE), RESULT, *more, thinking=ENABLED)
    changed = without_signatures(fields)
    assert changed == {
        "model": "auto",
        "max_tokens": 9,
        "messages": [ASK, assistant(USE), RESULT, *more],
    }


def test_edits_of_thinking_go_with_it() -> None:
    clears, uses = {"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}
    loop = (ASK, assistant(SIGNED, USE), RESULT)
    changed = without_signatures(request(*loop, thinking=ENABLED, context_management={"edits": [clears, uses]}))
    assert changed is not None
    assert changed["context_management"] == {"edits": [uses]}
    changed = without_signatures(request(*loop, thinking=ENABLED, context_management={"edits": [clears]}))
    assert changed is not None
    assert "context_management" not in changed


def test_a_loop_that_another_model_began_without_thinking() -> None:
    fields = request(ASK, assistant(USE), RESULT, thinking=ENABLED)
    changed = without_signatures(fields)
    assert changed is not None
    assert "thinking" not in changed
    assert changed["messages"] == fields["messages"]


def test_later_steps_of_a_loop_need_no_thinking_of_their_own() -> None:
    fields = request(ASK, assistant(SIGNED, USE), RESULT, assistant(USE), RESULT, thinking=ENABLED)
    changed = without_signatures(fields)
    assert changed is not None
    assert "thinking" not in changed  # since what began the loop is taken out


def test_adaptive_thinking_demands_nothing() -> None:
    adaptive = {"type": "adaptive"}
    changed = without_signatures(request(ASK, assistant(SIGNED, USE), RESULT, thinking=adaptive))
    assert changed is not None
    assert changed["thinking"] == adaptive
    assert without_signatures(request(ASK, assistant(USE), RESULT, thinking=adaptive)) is None


def test_no_turns_at_all() -> None:
    assert without_signatures({"messages": [], "thinking": ENABLED}) is None
    assert without_signatures({"messages": [assistant(SIGNED)]}) is None  # what remained would be no request


@pytest.mark.parametrize(
    "text",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.1.content.0: Invalid signature in thinking block",
        'The model returned the following errors: messages.1.content.0: Invalid "signature" in "thinking" block',
        "messages.3.content.1: Invalid `data` in `redacted_thinking` block",
        "messages.1.content.0.thinking.signature: Field required",
        "messages.5.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
        "These blocks must remain as they were in the original response.",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is "
        "enabled, a final `assistant` message must start with a thinking block",
    ],
)
def test_what_providers_say_of_signatures(text: str) -> None:
    assert is_signature_error({"type": "invalid_request_error", "message": text})


def test_other_errors() -> None:
    for text in (
        "max_tokens: must be greater than thinking.budget_tokens",
        "`clear_thinking_20251015` strategy requires `thinking` to be enabled",
        "The request signature we calculated does not match the signature you provided.",
        "messages: text content blocks must be non-empty",
    ):
        assert not is_signature_error({"type": "invalid_request_error", "message": text})
    assert not is_signature_error({})
