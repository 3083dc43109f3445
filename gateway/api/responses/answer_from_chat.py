"""A chat completion -> a Response object, and the functions that streamed responses share."""

import uuid
from typing import TypedDict

import orjson

from gateway.api.answer_text import content_text, reasoning_text
from gateway.api.responses.encrypted_reasoning import GATEWAY_REASONING_PREFIX
from gateway.api.responses.freeform_tools import unwrapped_input
from gateway.api.responses.request_to_chat import NativeResponses
from gateway.api.responses.tool_names import ClientTool, ToolNames
from gateway.api.responses.types import Item, Logprob, OutputText, Response
from gateway.api.responses.usage import usage_from_chat
from gateway.core.json_types import JsonObject, objects_in
from gateway.request.chat_request import ChatRequest
from gateway.request.request import Native

INCOMPLETE_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
_SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_ID_PREFIXES = {
    "message": "msg_",
    "reasoning": GATEWAY_REASONING_PREFIX,
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "tool_search_call": "tsc_",
}
_ECHOED_FIELDS = ("max_output_tokens", "max_tool_calls", "prompt_cache_key", "safety_identifier")


def new_id(kind: str) -> str:
    """Return a new id for an item of this type, or for a response."""
    return f"{_ID_PREFIXES.get(kind, 'resp_')}{uuid.uuid4().hex}"


def native_request(request: ChatRequest) -> Native:
    """Return the client's own Responses request."""
    assert request.native is not None
    assert request.native.api == "responses"
    return request.native


def response_in_progress(request: ChatRequest, model: str, created_at: int) -> Response:
    """Return a Response object without output: the request's fields, with the API's defaults."""
    native = native_request(request)
    fields = native.echoed if isinstance(native, NativeResponses) else native.fields
    reasoning, text = fields.get("reasoning") or {}, fields.get("text") or {}
    response: Response = {
        "id": new_id("response"),
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": fields.get("instructions"),
        "model": model,
        "output": [],
        "parallel_tool_calls": fields.get("parallel_tool_calls") is not False,
        "previous_response_id": previous_response_id_of(native),
        "reasoning": {"effort": None, "summary": None} | reasoning,
        "service_tier": known_service_tier(fields.get("service_tier"), "auto"),
        "store": fields.get("store") is not False,
        "temperature": _or_default(fields.get("temperature"), 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": _or_default(fields.get("tool_choice"), "auto"),
        "tools": [_echoed_tool(tool) for tool in fields.get("tools") or ()],
        "top_logprobs": fields.get("top_logprobs") or 0,
        "top_p": _or_default(fields.get("top_p"), 1.0),
        "truncation": fields.get("truncation") or "disabled",
        "metadata": fields.get("metadata") or {},
    }
    response |= {key: fields.get(key) for key in _ECHOED_FIELDS}
    if fields.get("user") is not None:
        response["user"] = fields["user"]
    return response


class ChatEnding(TypedDict):
    """The fields at the end of a chat completion, or of a stream of chunks, as the provider wrote them."""

    finish_reason: object
    usage: object
    service_tier: object


def finished_response(
    response: Response, output: list[Item], ending: ChatEnding, completed_at: int, model: str
) -> Response:
    """Return the Response object `response` with its output and ending."""
    finish, service_tier = ending["finish_reason"], ending["service_tier"]
    reason = INCOMPLETE_REASONS.get(finish) if isinstance(finish, str) else None
    response = response | {"output": output, "model": model, "status": "completed", "completed_at": completed_at}
    response["service_tier"] = known_service_tier(service_tier, response.get("service_tier"))
    if reason is not None:
        response |= {"status": "incomplete", "incomplete_details": {"reason": reason}, "completed_at": None}
    if (counts := usage_from_chat(ending["usage"])) is not None:
        response["usage"] = counts
    return response


def response_from_completion(request: ChatRequest, completion: JsonObject, model: str, now: int) -> Response:
    """Return the Response object for a complete chat completion."""
    choice = next((c for c in completion["choices"] if not c.get("index")), completion["choices"][0])
    finish = choice.get("finish_reason")
    status = "incomplete" if finish in INCOMPLETE_REASONS else "completed"
    output = output_items(choice["message"], choice.get("logprobs"), tool_names_of(native_request(request)))
    for item in output[-1:]:  # only the last item can be truncated
        item["status"] = status
    response = response_in_progress(request, model, now)
    ending: ChatEnding = {
        "finish_reason": finish,
        "usage": completion.get("usage"),
        "service_tier": completion.get("service_tier"),
    }
    return finished_response(response, output, ending, now, model)


def output_items(message: JsonObject, given_logprobs: object, names: ToolNames) -> list[Item]:
    """Return the output items for a chat message: reasoning, a message, tool calls."""
    output: list[Item] = []
    if reasoning := reasoning_text(message):
        output.append(new_item("reasoning", summary=[{"type": "summary_text", "text": reasoning}]))
    parts: list[object] = []
    if text := content_text(message.get("content")):
        parts.append(output_text(text, logprobs(given_logprobs)))
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    calls = objects_in(message.get("tool_calls"))
    if parts or not calls:
        parts = parts or [output_text("", [])]
        output.append(new_item("message", role="assistant", content=parts))
    for call in calls:
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        tool = names.client_tool(string_or_empty(function.get("name")))
        arguments = string_or_empty(function.get("arguments"))
        output.append(call_item(tool, "completed", string_or_empty(call.get("id")), **call_input(tool, arguments)))
    return output


def new_item(kind: str, status: str = "completed", **fields: object) -> Item:
    return {"id": new_id(kind), "type": kind, "status": status, **fields}


def call_item(tool: ClientTool, status: str, call_id: str, **call_input: object) -> Item:
    """Return the item of a tool call.

    Args:
        call_id: empty if the model gave none.
        call_input: the tool's input, under its key in this type of item.
    """
    call_id = call_id or new_call_id()
    if tool.kind == "tool_search_call":
        return new_item(tool.kind, status, call_id=call_id, execution="client", **call_input)
    namespace = {} if tool.namespace is None else {"namespace": tool.namespace}
    return new_item(tool.kind, status, call_id=call_id, **namespace, name=tool.name, **call_input)


def call_input(tool: ClientTool, arguments: str) -> JsonObject:
    """Return a tool's input, under its key in the item of the call.

    Args:
        arguments: the complete arguments. If they are empty, a function gets an empty object, because clients parse them.
    """
    if tool.kind == "custom_tool_call":
        return {"input": unwrapped_input(arguments)}
    if tool.kind == "tool_search_call":
        return {"arguments": search_arguments(arguments)}
    return {"arguments": arguments or "{}"}


def new_call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def output_text(text: str, with_logprobs: list[Logprob]) -> OutputText:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": with_logprobs}


def search_arguments(arguments: str) -> JsonObject:
    """Return the arguments of a tool search as an object; text that is not a JSON object becomes the query."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {"query": arguments} if arguments else {}
    return value if isinstance(value, dict) else {"query": arguments}


def logprobs(given: object) -> list[Logprob]:
    """Return a chat choice's `logprobs` in the form of this API, without entries that are not valid."""
    content = given.get("content") if isinstance(given, dict) else None
    return [
        {
            "token": token["token"],
            "logprob": token["logprob"],
            "bytes": _token_bytes(token),
            "top_logprobs": [
                {"token": top["token"], "logprob": top["logprob"], "bytes": _token_bytes(top)}
                for top in objects_in(token.get("top_logprobs"))
                if _is_logprob(top)
            ],
        }
        for token in objects_in(content)
        if _is_logprob(token)
    ]


def known_service_tier(given: object, default: object) -> object:
    """Return the service tier if this API knows it, else the default. Some providers use other tiers."""
    return given if isinstance(given, str) and given in _SERVICE_TIERS else default


def tool_names_of(native: Native) -> ToolNames:
    """Return the names of a request's tools."""
    return native.names if isinstance(native, NativeResponses) else ToolNames()


def previous_response_id_of(native: Native) -> str | None:
    """Return the id of the response that the request continues."""
    return native.previous_id if isinstance(native, NativeResponses) else None


def _echoed_tool(tool: JsonObject) -> JsonObject:
    if tool.get("type") != "function":
        return tool
    return tool | {"parameters": tool.get("parameters"), "strict": tool.get("strict")}


def string_or_empty(value: object) -> str:
    return value if isinstance(value, str) else ""


def _or_default(value: object, default: object) -> object:
    return default if value is None else value


def _is_logprob(token: JsonObject) -> bool:
    return isinstance(token.get("logprob"), int | float) and isinstance(token.get("token"), str)


def _token_bytes(token: JsonObject) -> list[int]:
    given = token.get("bytes")
    return given if isinstance(given, list) else list(token["token"].encode("utf-8", "replace"))
