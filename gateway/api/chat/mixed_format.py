"""Requests to chat completions that use parts of the Responses API, such as Cursor's. Their answers are chat completions.

Such a request may have `input` items instead of `messages`, and freeform tools in the form of the Responses API, whose input is
any text. A freeform tool becomes a function with one string; in the answer, the client gets that string as the call's arguments.
"""

from dataclasses import replace

import orjson

from gateway.api.chat.stream_writer import ChatWriter, with_model_name
from gateway.api.dialect import Headers
from gateway.api.responses import freeform_tools
from gateway.api.responses.answer_from_chat import native_request, tool_names_of
from gateway.api.responses.dialect import Responses
from gateway.api.responses.tools_to_chat import ChatTools
from gateway.core.answer import Chunk, Complete
from gateway.core.chat_types import ChatChunk, ChunkChoice, ToolCall
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.request.chat_request import ChatRequest, checked_chat_request


def is_mixed(fields: JsonObject) -> bool:
    """Return True if the request uses parts of the Responses API."""
    return ("input" in fields and "messages" not in fields) or bool(_responses_tools(fields))


async def parse(fields: JsonObject, body: bytes, headers: Headers, responses: Responses) -> ChatRequest:
    """Return the chat request.

    Raises:
        InvalidRequest: `param` names the field as the client wrote it.
    """
    if "messages" in fields:
        return _with_chat_tools(fields)
    request = await responses.parse(body, headers)
    if request.requirements.api is not None:
        raise InvalidRequest(
            f"Chat completions cannot express `{request.requirements.api_field}`; use `/v1/responses`.", param="input"
        )
    options = fields.get("stream_options")
    usage_requested = isinstance(options, dict) and bool(options.get("include_usage"))
    return replace(
        request,
        native=None,
        usage_requested=usage_requested,
        freeform=tool_names_of(native_request(request)).freeform_functions,
    )


def response_body(request: ChatRequest, complete: Complete, model: str) -> bytes:
    """Return the body of a complete answer, with the plain input of freeform tools."""
    choices = [_unwrapped(choice, request.freeform) for choice in complete.fields["choices"]]
    return with_model_name(replace(complete, body=b"{}", fields=complete.fields | {"choices": choices}), model)


class MixedWriter(ChatWriter):
    """Writes a stream with the plain input of freeform tools.

    Args:
        names: of the functions that stand for freeform tools.
    """

    def __init__(self, names: frozenset[str], *, usage_requested: bool) -> None:
        super().__init__(usage_requested=usage_requested)
        self._names = names
        self._readers: dict[tuple[int, int], freeform_tools.FreeformInputReader] = {}

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        changed = fields | {"choices": [self._choice(choice) for choice in fields["choices"]]}
        return super().write(Chunk(b"", changed), changed, model)

    def _choice(self, choice: ChunkChoice) -> ChunkChoice:
        delta = choice.get("delta") or {}
        index = choice.get("index") or 0
        calls = [self._call(index, call) for call in delta.get("tool_calls") or ()]
        if choice.get("finish_reason") is not None:  # input that could not be decoded before is written now
            for (choice_index, call_index), reader in self._readers.items():
                if choice_index == index and (rest := reader.close()[0]):
                    calls.append({"index": call_index, "function": {"arguments": rest}})
            self._readers = {key: reader for key, reader in self._readers.items() if key[0] != index}
        return choice | {"delta": delta | {"tool_calls": calls}} if calls else choice

    def _call(self, choice: int, call: ToolCall) -> ToolCall:
        function = call.get("function") or {}
        key = (choice, call.get("index") or 0)
        if _is_one_of(function.get("name"), self._names):
            self._readers[key] = freeform_tools.FreeformInputReader()
        reader = self._readers.get(key)
        if reader is None:
            return call
        return call | {"function": function | {"arguments": reader.feed(function.get("arguments") or "")}}


def _responses_tools(fields: JsonObject) -> list[JsonObject]:
    """Return the freeform tools that are in the form of the Responses API."""
    tools = fields.get("tools")
    if not isinstance(tools, list):
        return []
    return [tool for tool in tools if _is_responses_tool(tool)]


def _is_responses_tool(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type") == "custom" and isinstance(tool.get("name"), str)


def _with_chat_tools(fields: JsonObject) -> ChatRequest:
    """Return the chat request for one whose tools are partly in the form of the Responses API."""
    chat_tools = ChatTools({"tools": _responses_tools(fields)})
    functions = {function["function"]["name"]: function for function in chat_tools.fields["tools"]}
    names = chat_tools.names.freeform_functions
    tools = [
        functions[chat_tools.names.chat_name(tool["name"])] if _is_responses_tool(tool) else tool
        for tool in fields["tools"]
    ]
    messages = fields.get("messages")
    if isinstance(messages, list):
        messages = [_message(message, names) for message in messages]
    changed = fields | {"tools": tools, "messages": messages}
    return replace(checked_chat_request(orjson.dumps(changed), changed), freeform=names)


def _message(message: object, names: frozenset[str]) -> object:
    """Return a message in the form of chat: missing content is null, and the arguments of freeform calls are JSON again."""
    if not isinstance(message, dict) or not isinstance(calls := message.get("tool_calls"), list):
        return message
    wrapped = [_wrapped(call, names) for call in calls]
    return message | {"content": message.get("content") or None, "tool_calls": wrapped}


def _wrapped(call: object, names: frozenset[str]) -> object:
    if not isinstance(call, dict):
        return call
    function = call.get("function")
    if not isinstance(function, dict) or not _is_one_of(function.get("name"), names):
        return call
    return call | {
        "function": function | {"arguments": freeform_tools.wrapped_input(str(function.get("arguments") or ""))}
    }


def _is_one_of(name: object, names: frozenset[str]) -> bool:
    """Return True if a name, which may be any JSON value, is a text among `names`."""
    return isinstance(name, str) and name in names


def _unwrapped(choice: JsonObject, names: frozenset[str]) -> JsonObject:
    message = choice["message"]
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return choice
    unwrapped = []
    for call in calls:
        function = (call.get("function") or {}) if isinstance(call, dict) else {}
        if _is_one_of(function.get("name"), names):
            call = call | {
                "function": function | {"arguments": freeform_tools.unwrapped_input(function.get("arguments") or "")}
            }
        unwrapped.append(call)
    return choice | {"message": message | {"tool_calls": unwrapped}}
