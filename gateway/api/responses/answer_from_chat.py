"""A chat completion -> a Response object, and the pieces that streamed answers are made of too."""

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api.responses.encrypted_reasoning import GATEWAY_REASONING_PREFIX
from gateway.api.responses.freeform_tools import unwrapped_input
from gateway.api.responses.request_to_chat import NativeResponses
from gateway.api.responses.tool_names import ClientTool, ToolNames
from gateway.request.chat_request import ChatRequest
from gateway.request.request import Native

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_PREFIXES = {
    "message": "msg_",
    "reasoning": GATEWAY_REASONING_PREFIX,
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "tool_search_call": "tsc_",
}
_ECHOED = ("max_output_tokens", "max_tool_calls", "prompt_cache_key", "safety_identifier")
Fields = dict[str, Any]


def new_id(kind: str) -> str:
    """An id for an item of this type, or for a response."""
    return f"{_PREFIXES.get(kind, 'resp_')}{uuid.uuid4().hex}"


def native_request(request: ChatRequest) -> Native:
    assert request.native is not None
    assert request.native.api == "responses"
    return request.native


def response_in_progress(request: ChatRequest, model: str, created_at: int) -> Fields:
    """A Response object in progress: what the request asked for, with the API's defaults, and no output yet."""
    native = native_request(request)
    asked = native.echoed if isinstance(native, NativeResponses) else native.fields
    reasoning, text = asked.get("reasoning") or {}, asked.get("text") or {}
    response: Fields = {
        "id": new_id("response"),
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "model": model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "previous_response_id": previous_response_id_of(native),
        "reasoning": {"effort": None, "summary": None} | reasoning,
        "service_tier": tier(asked.get("service_tier"), "auto"),
        "store": asked.get("store") is not False,
        "temperature": _or(asked.get("temperature"), 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": _or(asked.get("tool_choice"), "auto"),
        "tools": [_tool(tool) for tool in asked.get("tools") or ()],
        "top_logprobs": asked.get("top_logprobs") or 0,
        "top_p": _or(asked.get("top_p"), 1.0),
        "truncation": asked.get("truncation") or "disabled",
        "metadata": asked.get("metadata") or {},
    }
    response |= {key: asked.get(key) for key in _ECHOED}
    if asked.get("user") is not None:
        response["user"] = asked["user"]
    return response


def completed(
    response: Fields, output: list[Fields], finish: Any, usage: Any, completed_at: int, model: str, service_tier: Any
) -> Fields:
    """The Response object at the end of an answer.

    Args:
        finish: the finish reason of chat.
        usage: that of chat.
    """
    reason = INCOMPLETE.get(finish) if isinstance(finish, str) else None
    response = response | {"output": output, "model": model, "status": "completed", "completed_at": completed_at}
    response["service_tier"] = tier(service_tier, response.get("service_tier"))
    if reason is not None:
        response |= {"status": "incomplete", "incomplete_details": {"reason": reason}, "completed_at": None}
    if (counts := usage_from_chat(usage)) is not None:
        response["usage"] = counts
    return response


def response_from_completion(request: ChatRequest, completion: Fields, model: str, now: int) -> Fields:
    """The Response object of a whole chat completion."""
    choice = next((c for c in completion["choices"] if not c.get("index")), completion["choices"][0])
    finish = choice.get("finish_reason")
    status = "incomplete" if finish in INCOMPLETE else "completed"
    output = output_items(choice["message"], choice.get("logprobs"), tool_names_of(native_request(request)))
    for item in output[-1:]:  # an answer is cut in its last part
        item["status"] = status
    response = response_in_progress(request, model, now)
    return completed(response, output, finish, completion.get("usage"), now, model, completion.get("service_tier"))


def output_items(message: Fields, given_logprobs: Any, names: ToolNames) -> list[Fields]:
    """The output items of a chat message: reasoning, what it says, what it calls."""
    output: list[Fields] = []
    if thought := reasoning_text(message):
        output.append(item("reasoning", summary=[{"type": "summary_text", "text": thought}]))
    parts: list[Fields] = []
    if said := text_of(message.get("content")):
        parts.append(output_text(said, logprobs(given_logprobs)))
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    calls = [call for call in _list(message.get("tool_calls")) if isinstance(call, dict)]
    if parts or not calls:
        parts = parts or [output_text("", [])]
        output.append(item("message", role="assistant", content=parts))
    for call in calls:
        called = call.get("function")
        called = called if isinstance(called, dict) else {}
        tool, written = names.client_tool(_text(called.get("name"))), _text(called.get("arguments"))
        output.append(call_item(tool, "completed", _text(call.get("id")), **inputs(tool, written)))
    return output


def item(kind: str, status: str = "completed", **fields: Any) -> Fields:
    return {"id": new_id(kind), "type": kind, "status": status, **fields}


def call_item(tool: ClientTool, status: str, call_id: str, **given: Any) -> Fields:
    """The item of a call.

    Args:
        call_id: empty where the model gave none.
        given: what the tool is given, under its name in this kind of item.
    """
    call_id = call_id or new_call_id()
    if tool.kind == "tool_search_call":
        return item(tool.kind, status, call_id=call_id, execution="client", **given)
    space = {} if tool.namespace is None else {"namespace": tool.namespace}
    return item(tool.kind, status, call_id=call_id, **space, name=tool.name, **given)


def inputs(tool: ClientTool, arguments: str) -> Fields:
    """What a tool is given, under its name in the item of a call.

    Args:
        arguments: all that the model wrote. Without any, a function gets an empty object: clients parse it as JSON.
    """
    if tool.kind == "custom_tool_call":
        return {"input": unwrapped_input(arguments)}
    if tool.kind == "tool_search_call":
        return {"arguments": arguments_object(arguments)}
    return {"arguments": arguments or "{}"}


def new_call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def output_text(text: str, with_logprobs: list[Fields]) -> Fields:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": with_logprobs}


def reasoning_text(delta: Mapping[str, Any]) -> str:
    """The reasoning of a chat message or delta, under either name that providers have for it."""
    for key in ("reasoning_content", "reasoning"):
        if isinstance(value := delta.get(key), str) and value:
            return value
    return ""


def text_of(content: Any) -> str:
    """The text of a chat message's content; of parts where pictures or sound are among them."""
    if not isinstance(content, list):
        return _text(content)
    return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))


def arguments_object(arguments: str) -> Fields:
    """The arguments of a search for tools, which are an object; what is no JSON is the query."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {"query": arguments} if arguments else {}
    return value if isinstance(value, dict) else {"query": arguments}


def logprobs(given: Any) -> list[Fields]:
    """The tokens' probabilities as this API has them, out of a chat choice's `logprobs`."""
    content = given.get("content") if isinstance(given, dict) else None
    return [
        _logprob(token)
        | {"top_logprobs": [_logprob(top) for top in _list(token.get("top_logprobs")) if _is_token(top)]}
        for token in _list(content)
        if _is_token(token)
    ]


def usage_from_chat(usage: Any) -> Fields | None:
    """Chat's `usage` in the form of this API; None where it counts nothing."""
    if not isinstance(usage, dict):
        return None
    read, written = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    before, after = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    return {
        "input_tokens": read,
        "input_tokens_details": {key: _count(before.get(key)) for key in ("cached_tokens", "cache_write_tokens")},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": _count(after.get("reasoning_tokens"))},
        "total_tokens": read + written,
    }


def tier(given: Any, default: Any) -> Any:
    """A service tier that this API knows; providers have others."""
    return given if isinstance(given, str) and given in _TIERS else default


def tool_names_of(native: Native) -> ToolNames:
    """The names of a request's tools."""
    return native.names if isinstance(native, NativeResponses) else ToolNames()


def previous_response_id_of(native: Native) -> str | None:
    return native.previous if isinstance(native, NativeResponses) else None


def _tool(tool: Fields) -> Fields:
    if tool.get("type") != "function":
        return tool
    return tool | {"parameters": tool.get("parameters"), "strict": tool.get("strict")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _details(usage: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    details = usage.get(key)
    return details if isinstance(details, dict) else {}


def _is_token(value: Any) -> bool:
    number = value.get("logprob") if isinstance(value, dict) else None
    return isinstance(number, int | float) and isinstance(value.get("token"), str)


def _logprob(token: Fields) -> Fields:
    given = token.get("bytes")
    data = given if isinstance(given, list) else list(token["token"].encode("utf-8", "replace"))
    return {"token": token["token"], "logprob": token["logprob"], "bytes": data}
