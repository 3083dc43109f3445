"""What is stored of an answer in each API format, and how it is written again."""

from typing import Any

import orjson
import pytest

from gateway.api.chat.stream_to_completion import completion_of_stream
from gateway.bodies.sse import EventReader
from gateway.cache import chat_form, messages_form, responses_form
from gateway.cache.entry import CREATED, ID, NotStored, rendered
from tests.gateway.api.exchanges import proper

VALUES = {ID: b'"new"', CREATED: b"99"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
NUL_TEXT = 'he said "chatcmpl-1", \\u0000i and \x00c'  # looks like an id and like markers


def completion(finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."} | message, "finish_reason": finish}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }  # fmt: skip


def message(stop: str = "end_turn", *content: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": list(content or [{"type": "text", "text": NUL_TEXT}]), "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }  # fmt: skip


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": NUL_TEXT, "annotations": [], "logprobs": []}
    said = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "completed_at": 2, "status": "completed", "model": "m",
        "output": list(output or [said]), "error": None, "incomplete_details": None, "instructions": None,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "temperature": 0, "top_p": 1.0, "metadata": {"a": "1"},
        "store": True, "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 3,
                                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10},
    } | more  # fmt: skip


REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "status": "completed",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "xyz",
}
FUNCTION = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "add",
    "arguments": '{"a": 1}',
}
CUSTOM = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_2",
    "name": "sh",
    "input": "ls",
}


def datas(stream: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(event.data) for event in EventReader().feed(stream) if event.data]


@pytest.mark.parametrize(
    "asked",
    [
        completion(content=NUL_TEXT),
        completion("tool_calls", content=None, tool_calls=[CALL, CALL | {"id": "call_2"}]),
        completion(reasoning_content="Hm."),
    ],
)
def test_a_completion_as_a_stream_is_the_same_answer(asked: dict[str, Any]) -> None:
    stored = chat_form.stored_body(orjson.dumps(asked))
    body = rendered(stored.body, VALUES)
    assert orjson.loads(body) == asked | {"id": "new", "created": 99}
    stream, usage_event = chat_form.events(orjson.loads(body))
    added = completion_of_stream(stream)
    (choice,), (expected,) = added["choices"], asked["choices"]
    calls = choice["message"].get("tool_calls")
    assert calls == expected["message"].get("tool_calls")
    assert choice["message"].get("content") == expected["message"]["content"]
    assert (added["id"], added["created"], choice["finish_reason"]) == ("new", 99, expected["finish_reason"])
    assert datas(usage_event)[0]["usage"] == asked["usage"]
    again = chat_form.stored_stream(stream, asked["usage"])
    assert (
        orjson.loads(rendered(again.body, VALUES))["choices"][0]["message"].get("content")
        == expected["message"]["content"]
    )
    assert datas(rendered(again.stream, VALUES)) == datas(stream)


def test_several_choices_as_a_stream() -> None:
    two = completion()
    two["choices"].append(two["choices"][0] | {"index": 1, "message": {"role": "assistant", "content": "Ho."}})
    stream, _ = chat_form.events(two)
    assert [c["message"]["content"] for c in completion_of_stream(stream)["choices"]] == ["Hi.", "Ho."]


@pytest.mark.parametrize(
    "asked",
    [
        message(),
        message("tool_use", {"type": "text", "text": "a"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1]}}),
        message("end_turn", {"type": "thinking", "thinking": "Hm.", "signature": "s="}, {"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "b"}),
        message("stop_sequence", {"type": "text", "text": "b", "citations": [{"type": "char_location", "cited_text": "c"}]}),
        message("tool_use", {"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
    ],
)  # fmt: skip
def test_a_message_as_a_stream_and_back(asked: dict[str, Any]) -> None:
    body = rendered(messages_form.stored_body(orjson.dumps(asked)).body, VALUES)
    assert orjson.loads(body) == asked | {"id": "new"}
    stream, _ = messages_form.events(orjson.loads(body))
    stored = messages_form.stored_stream(stream, None)
    assert orjson.loads(rendered(stored.body, VALUES)) == asked | {"id": "new"}
    assert datas(rendered(stored.stream, VALUES)) == datas(stream)


@pytest.mark.parametrize("asked", [response(), response(REASONING, FUNCTION), response(CUSTOM)])
def test_a_response_as_a_stream_and_back(asked: dict[str, Any]) -> None:
    values = VALUES | {
        b"\x00m": b'{"b":"2"}',
        b"\x00s": b"false",
        b"\x00U": b',"user":"u"',
        b"\x00K": b"",
        b"\x00P": b"",
    }
    expected = asked | {
        "id": "new",
        "created_at": 99,
        "completed_at": 99,
        "metadata": {"b": "2"},
        "store": False,
        "user": "u",
    }
    body = rendered(responses_form.stored_body(orjson.dumps(asked)).body, values)
    assert orjson.loads(body) == expected
    stream, _ = responses_form.events(orjson.loads(body))
    assert proper(datas(stream)) == expected
    stored = responses_form.stored_stream(stream, None)
    values |= {b"\x00u": b'"u"'}
    assert orjson.loads(rendered(stored.body, values)) == expected
    assert datas(rendered(stored.stream, values)) == datas(stream)


@pytest.mark.parametrize(
    "asked",
    [
        completion("length"),
        completion("content_filter"),
        completion(refusal="No."),
        completion(content=""),
        completion(content="x", audio={"id": "a", "expires_at": 5}),
        completion(annotations=[{"type": "url_citation"}]),
        completion() | {"choices": []},
    ],
)
def test_completions_that_are_not_stored(asked: dict[str, Any]) -> None:
    with pytest.raises(NotStored):
        chat_form.stored_body(orjson.dumps(asked))


@pytest.mark.parametrize(
    "asked",
    [
        message("max_tokens"),
        message("refusal"),
        message("pause_turn"),
        message() | {"content": []},
        message("end_turn", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
    ],
)
def test_messages_that_are_not_stored(asked: dict[str, Any]) -> None:
    with pytest.raises(NotStored):
        messages_form.stored_body(orjson.dumps(asked))


@pytest.mark.parametrize(
    "asked",
    [
        response(status="incomplete"),
        response(status="failed"),
        response({"id": "w", "type": "web_search_call", "status": "completed"}),
        response(FUNCTION | {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}),
        response(FUNCTION | {"type": "message", "content": [{"type": "output_text", "text": "x", "annotations": [{"type": "url_citation"}]}]}),
        response() | {"output": []},
    ],
)  # fmt: skip
def test_responses_that_are_not_stored(asked: dict[str, Any]) -> None:
    with pytest.raises(NotStored):
        responses_form.stored_body(orjson.dumps(asked))


def test_streams_that_are_cut_off_are_not_stored() -> None:
    stream, _ = messages_form.events(message())
    with pytest.raises(NotStored):
        messages_form.stored_stream(stream[: stream.rindex(b"event: message_stop")], None)
    stream, _ = responses_form.events(response())
    with pytest.raises(NotStored):
        responses_form.stored_stream(stream[: stream.rindex(b"event: response.completed")], None)


def test_the_gateways_own_field_is_not_stored() -> None:
    own = {"locus": {"overhead_ms": 1.0}}
    assert b"locus" not in chat_form.stored_body(orjson.dumps(completion() | own)).body
    assert b"locus" not in messages_form.stored_body(orjson.dumps(message() | own)).body
    assert b"locus" not in responses_form.stored_body(orjson.dumps(response(**own))).body
    chunk = {
        "id": "c",
        "created": 1,
        "model": "m",
        **own,
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}],
    }
    assert b"locus" not in chat_form.stored_stream(b"data: " + orjson.dumps(chunk) + b"\n\n", None).stream
