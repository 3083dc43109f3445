"""Chat completions as Messages, as Anthropic's own package reads them."""

from typing import Any

import anthropic.types
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.messages.answer_from_chat import message, message_id, stop_reason, tool_id
from gateway.api.messages.dialect import Messages
from gateway.api.messages.errors import error_body
from gateway.api.messages.request_to_chat import translate
from gateway.api.messages.stream_reader import checked_answer
from gateway.api.messages.tools_to_chat import long_names, short_name
from gateway.core.answer import Complete
from gateway.core.errors import (
    AuthenticationFailed,
    BodyTooLarge,
    GatewayError,
    NotFound,
    ProviderRejected,
    UpstreamsFailed,
)
from gateway.provider_errors.failures import UpstreamFailure
from gateway.request.chat_request import translated_request
from gateway.request.request import Native

REQUEST: dict[str, Any] = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def whole(said: dict[str, Any], finish: Any = "stop", request: dict[str, Any] | None = None, **more: Any) -> Any:
    """What the package makes of an answer."""
    asked = REQUEST | (request or {})
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant"} | said} | more.pop("choice", {})
    completion = {"id": "chatcmpl-1", "choices": [choice], "usage": None} | more
    sent = translated_request(translate(asked).fields, Native("messages", orjson.dumps(asked), asked))
    body = Messages().complete_answer(sent, Complete(orjson.dumps(completion), completion, None), "llama")
    return anthropic.types.Message.model_validate_json(body, strict=True)


def call(arguments: Any, call_id: Any = "call_1", name: str = "add") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_text() -> None:
    answer = whole({"content": "4"}, usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
    assert (answer.id, answer.model, answer.role, answer.type) == ("msg_1", "llama", "assistant", "message")
    assert [block.text for block in answer.content] == ["4"]
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 3)


def test_tool_calls_after_the_text() -> None:
    answer = whole({"content": "I add.", "tool_calls": [call('{"a":1}'), call("", "functions.add:1")]}, "tool_calls")
    assert [block.type for block in answer.content] == ["text", "tool_use", "tool_use"]
    assert [(block.id, block.name, block.input) for block in answer.content[1:]] == [
        ("call_1", "add", {"a": 1}),
        ("functions_add_1", "add", {}),
    ]
    assert answer.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"a": ', {"INVALID_JSON": '{"a": '}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ("null", {}),
        ("  ", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
        (5, {"INVALID_JSON": "5"}),
    ],
)
def test_arguments_that_are_no_object_are_kept_as_text(arguments: Any, given: dict[str, Any]) -> None:
    assert whole({"tool_calls": [call(arguments)]}).content[0].input == given


def test_a_cut_name_is_the_clients_again() -> None:
    name = "mcp__" + "server_" * 12 + "add"
    tools = {"tools": [{"name": name, "input_schema": {"type": "object"}}]}
    answer = whole({"tool_calls": [call("{}", name=short_name(name))]}, request=tools)
    assert answer.content[0].name == name
    assert list(long_names(REQUEST | tools).values()) == [name]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("eos", "end_turn"),
        (None, "end_turn"),
        (5, "end_turn"),
    ],
)
def test_stop_reasons(finish: Any, reason: str) -> None:
    assert whole({"content": "4"}, finish).stop_reason == reason


def test_a_stop_sequence_where_the_provider_tells_it() -> None:
    asked = {"stop_sequences": ["END"]}
    for key in ("stop_reason", "matched_stop"):
        answer = whole({"content": "4"}, request=asked, choice={key: "END"})
        assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "END")
    answer = whole({"content": "4"}, request=asked, choice={"stop_reason": "</s>"})
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)


def test_some_providers_say_stop_after_tool_calls() -> None:
    assert whole({"tool_calls": [call("{}")]}, "stop").stop_reason == "tool_use"


def test_a_refusal() -> None:
    answer = whole({"content": None, "refusal": "I will not."})
    assert ([block.text for block in answer.content], answer.stop_reason) == (["I will not."], "refusal")


def test_thinking_only_where_it_was_asked_for() -> None:
    said = {"content": "4", "reasoning_content": "two and two"}
    assert [block.type for block in whole(said).content] == ["text"]
    assert [block.type for block in whole(said, request={"thinking": {"type": "disabled"}}).content] == ["text"]
    thinking, text = whole(said, request=THINKING).content
    assert (thinking.type, thinking.thinking, thinking.signature, text.text) == ("thinking", "two and two", "", "4")


def test_signed_thinking_stays_as_it_is() -> None:
    blocks = [
        {"type": "thinking", "thinking": "two and two", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "Em8K"},
    ]
    said = {"content": "4", "reasoning_content": "two and two", "thinking_blocks": [*blocks, {"type": "new"}, 5]}
    assert [block.to_dict() for block in whole(said, request=THINKING).content[:2]] == blocks


def test_cached_tokens_are_not_among_the_input() -> None:
    details = {"cached_tokens": 80, "cache_creation_tokens": 15}
    spent = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}
    counts = whole({"content": "4"}, usage=spent | {"completion_tokens_details": {"reasoning_tokens": 2}}).usage
    assert (counts.input_tokens, counts.cache_read_input_tokens, counts.cache_creation_input_tokens) == (5, 80, 15)
    assert (counts.output_tokens, counts.output_tokens_details.thinking_tokens) == (5, 2)


def test_an_answer_of_the_same_format_passes_but_for_the_name() -> None:
    body = b'{"id": "msg_1", "type": "message",  "model": "claude-x", "content": [], "new": [1.0]}'
    asked = translated_request(translate(REQUEST).fields, Native("messages", b"", REQUEST))
    given = Messages().complete_answer(asked, Complete(body, orjson.loads(body), None, "messages"), "claude")
    assert given == body.replace(b'"claude-x"', b'"claude"')
    nested = body.replace(b'"content": []', b'"content": [{"type": "tool_use", "input": {"model": "x"}}]')
    given = Messages().complete_answer(asked, Complete(nested, orjson.loads(nested), None, "messages"), "claude")
    assert orjson.loads(given) == orjson.loads(nested) | {"model": "claude"}


@pytest.mark.parametrize(
    "fields",
    [None, [], {}, {"type": "error"}, {"type": "message", "content": "hi"}, {"type": "message", "content": [1]}],
)
def test_what_is_no_message_is_unreadable(fields: Any) -> None:
    with pytest.raises(UpstreamFailure, match="unreadable"):
        checked_answer(fields)


def test_a_message_is_one() -> None:
    fields = {"type": "message", "content": [{"type": "text", "text": "4"}]}
    whole = checked_answer(fields)
    assert whole | fields == whole
    assert (whole["role"], whole["stop_reason"], whole["usage"]) == (
        "assistant",
        "end_turn",
        {"input_tokens": 0, "output_tokens": 0},
    )
    assert checked_answer(whole) is whole


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AuthenticationFailed("no"), "authentication_error"),
        (BodyTooLarge("no"), "request_too_large"),
        (NotFound("no"), "not_found_error"),
        (UpstreamsFailed(402, "no"), "billing_error"),
        (UpstreamsFailed(429, "no"), "rate_limit_error"),
        (UpstreamsFailed(502, "no"), "api_error"),
        (UpstreamsFailed(503, "no"), "overloaded_error"),
        (UpstreamsFailed(504, "no"), "timeout_error"),
        (UpstreamsFailed(529, "no"), "overloaded_error"),
        (ProviderRejected(400, {"message": "no"}, "rejected"), "invalid_request_error"),
        (ProviderRejected(422, {"message": "no"}, "rejected"), "invalid_request_error"),
    ],
)
def test_errors(error: GatewayError, kind: str) -> None:
    told = {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req-1"}
    assert orjson.loads(error_body(error, "req-1")) == told


KEYS = """content refusal tool_calls reasoning reasoning_content thinking_blocks id function name arguments type text thinking
signature redacted_thinking data prompt_tokens completion_tokens prompt_tokens_details cached_tokens""".split()  # noqa: SIM905
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.sampled_from([*KEYS, "", "{}", "stop"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), ANY, max_size=6), ANY, ANY, ANY)
def test_whatever_a_provider_says_is_a_message(said: dict[str, Any], finish: Any, spent: Any, chat_id: Any) -> None:
    completion = {
        "id": chat_id,
        "choices": [{"finish_reason": finish, "stop_reason": finish, "message": said}],
        "usage": spent,
    }
    asked = REQUEST | THINKING | {"stop_sequences": ["stop"]}
    given = message(completion, "m", asked, {})
    anthropic.types.Message.model_validate_json(orjson.dumps(given), strict=True)


@pytest.mark.parametrize(
    ("choice", "has_tool_call", "expected"),
    [
        ({"finish_reason": "length"}, False, ("max_tokens", None)),
        ({"finish_reason": "length"}, True, ("max_tokens", None)),
        ({"finish_reason": "stop"}, True, ("tool_use", None)),
        ({"finish_reason": "stop", "matched_stop": "END"}, False, ("stop_sequence", "END")),
        ({"finish_reason": "stop", "stop_reason": 5}, False, ("end_turn", None)),
        ({}, False, ("end_turn", None)),
    ],
)
def test_the_reason_of_an_end(choice: dict[str, Any], has_tool_call: bool, expected: tuple[str, str | None]) -> None:
    assert stop_reason(choice, {"stop_sequences": ["END"]}, has_tool_call=has_tool_call) == expected


def test_ids_are_kept_in_a_form_that_the_api_accepts() -> None:
    assert message_id("chatcmpl-a.b/1") == "msg_ab1"
    assert message_id("msg_a.b") == "msg_a.b"
    assert message_id(None) != message_id(None)
    assert message_id("").startswith("msg_")
    assert tool_id("functions.add:1") == "functions_add_1"
    assert tool_id(5).startswith("toolu_")
