"""Whole answers: chat completions as Response objects, native ones with the model's public name."""

from typing import Any

import orjson
import pytest

from gateway.api.responses.answer_from_chat import (
    call_input,
    call_item,
    known_service_tier,
    logprobs,
    search_arguments,
)
from gateway.api.responses.tool_names import ClientTool
from gateway.core.answer import Complete
from tests.conformance import validate
from tests.gateway.api.exchanges import FUNCTION, NOW, PATCH, complete, dialect, parsed

pytestmark = pytest.mark.anyio


async def answered(answer: Complete, **fields: Any) -> dict[str, Any]:
    """The Response object, checked against the official document."""
    given = dialect()
    response: dict[str, Any] = orjson.loads(given.complete_answer(await parsed(given, **fields), answer, "m1"))
    validate(response, "Response")
    return response


async def test_a_text() -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    response = await answered(complete({"content": "Hello"}, usage=usage, service_tier="priority"))
    assert response["id"].startswith("resp_")
    assert response["created_at"] == response["completed_at"] == int(NOW)
    assert (response["model"], response["status"], response["service_tier"]) == ("m1", "completed", "priority")
    assert response["usage"]["input_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 0}
    [message] = response["output"]
    assert message["id"].startswith("msg_")
    assert message["content"] == [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]


async def test_reasoning_calls_and_text() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "apply_patch", "arguments": '{"input":"*** Begin"}'}},
    ]
    message = {"content": "See:", "reasoning_content": "Hm", "tool_calls": calls}
    response = await answered(complete(message, "tool_calls"), tools=[FUNCTION, PATCH])
    reasoning, text, function, custom = response["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert text["content"][0]["text"] == "See:"
    assert {key: function[key] for key in ("type", "call_id", "name", "arguments")} == {
        "type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"x":1}',
    }  # fmt: skip
    assert {key: custom[key] for key in ("type", "call_id", "name", "input")} == {
        "type": "custom_tool_call", "call_id": "b", "name": "apply_patch", "input": "*** Begin",
    }  # fmt: skip
    assert response["status"] == "completed"


async def test_calls_alone_are_without_a_message() -> None:
    calls = [{"type": "function", "function": {"name": "weather", "arguments": "{}"}}]
    response = await answered(complete({"content": None, "tool_calls": calls}, "tool_calls"), tools=[FUNCTION])
    [function] = response["output"]
    assert function["call_id"].startswith("call_")


async def test_a_refusal() -> None:
    response = await answered(complete({"content": None, "refusal": "No."}))
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_an_answer_that_was_cut(finish: str, reason: str) -> None:
    response = await answered(complete({"content": "He", "reasoning": "Hm"}, finish))
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": reason}
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["completed_at"] is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"content": 5},
        {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, 5]},
        {"content": "x", "tool_calls": 5, "refusal": 5, "reasoning": 5},
        {"tool_calls": [5, {"function": 5}, {"id": 5, "function": {"name": 5, "arguments": {}}}]},
    ],
)
async def test_odd_messages_make_valid_responses(message: dict[str, Any]) -> None:
    odd = complete(message, usage={"prompt_tokens": "x", "completion_tokens": -1}, service_tier=5)
    odd.fields["choices"][0]["logprobs"] = {
        "content": [5, {"token": 5}, {"token": "a", "logprob": 0, "top_logprobs": 5}]
    }
    await answered(odd)


NATIVE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 5,
    "model": "up",
    "output": [],
    "previous_response_id": None,
}
NATIVE |= {"status": "completed", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "new": 1.50}


async def test_a_native_answer_passes_but_for_the_model() -> None:
    body = orjson.dumps(NATIVE).replace(b"{", b"{  ", 1)
    given = dialect()
    answer = Complete(body, orjson.loads(body), None, "responses")
    assert given.complete_answer(await parsed(given), answer, "m1") == body.replace(b"up", b"m1")
    lacking = {"id": "resp_1", "model": "up", "output": [], "created_at": "now", "tools": None, "usage": []}
    answer = Complete(orjson.dumps(lacking), lacking, None, "responses")
    told = orjson.loads(given.complete_answer(await parsed(given, tools=[FUNCTION]), answer, "m1"))
    assert (told["id"], told["model"], told["usage"], told["tools"][0]["name"]) == ("resp_1", "m1", None, "weather")
    assert type(told["created_at"]) is int


async def test_a_model_field_in_a_tool_does_not_confuse() -> None:
    fields = NATIVE | {"tools": [{"type": "image_generation", "model": "gpt-image"}]}
    given = dialect()
    answer = Complete(orjson.dumps(fields), fields, None, "responses")
    assert orjson.loads(given.complete_answer(await parsed(given), answer, "m1")) == fields | {"model": "m1"}


def test_log_probabilities_get_their_bytes_and_wrong_ones_are_left_out() -> None:
    top = {"token": "\u00e9", "logprob": -1, "bytes": [195, 169], "new": 1}
    given = {"content": [{"token": "ab", "logprob": -0.5, "top_logprobs": [top, {"token": "x"}]}, {"logprob": 1}, 5]}
    assert logprobs(given) == [
        {
            "token": "ab",
            "logprob": -0.5,
            "bytes": [97, 98],
            "top_logprobs": [{"token": "\u00e9", "logprob": -1, "bytes": [195, 169]}],
        }
    ]
    assert logprobs(None) == logprobs({"content": None}) == []


def test_the_input_of_each_kind_of_tool() -> None:
    function, custom = ClientTool("function_call", "add", "math"), ClientTool("custom_tool_call", "apply_patch")
    search = ClientTool("tool_search_call", "tool_search")
    assert call_input(function, "") == {"arguments": "{}"}
    assert call_input(custom, '{"input":"a"}') == {"input": "a"}
    assert call_input(search, '{"query":"files"}') == {"arguments": {"query": "files"}}
    item = call_item(function, "completed", "", arguments="{}")
    assert (item["name"], item["namespace"], item["arguments"]) == ("add", "math", "{}")
    assert item["call_id"].startswith("call_")
    assert call_item(search, "completed", "c", arguments={})["execution"] == "client"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"query":"a"}', {"query": "a"}), ("files", {"query": "files"}), ("[1]", {"query": "[1]"}), ("", {})],
)
def test_arguments_of_a_tool_search(arguments: str, expected: dict[str, Any]) -> None:
    assert search_arguments(arguments) == expected


def test_service_tiers_of_other_providers_are_replaced() -> None:
    assert known_service_tier("flex", "auto") == "flex"
    assert known_service_tier("on_demand", "auto") == known_service_tier(None, "auto") == "auto"
