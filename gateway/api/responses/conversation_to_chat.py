"""The input items of a Responses request -> chat messages.

    message, message, function_call, function_call, function_call_output, function_call_output
    -> user, assistant with two tool calls, tool, tool

Several items of one model turn become one assistant message, as chat requires.
"""

import orjson

from gateway.api.responses import freeform_tools
from gateway.api.responses.content_to_chat import ChatContent
from gateway.api.responses.encrypted_reasoning import plain_reasoning
from gateway.api.responses.tool_names import ToolNames
from gateway.api.responses.types import Item
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject, objects_in
from gateway.core.validation import optional, string

CALLS = frozenset({"function_call", "custom_tool_call"})
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
COMPACTED = frozenset({"compaction", "compaction_summary"})  # encrypted parts of the conversation: never left out
ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_CALL_SUFFIX, _OUTPUT_SUFFIXES = "_call", ("_call_output", "tool_search_output")
_COMMON_CALL_FIELDS = frozenset({"id", "type", "call_id", "status", "execution", "created_by"})


class ChatConversation:
    """Collects the chat messages of a conversation, in the order of its items. A tool message may have parts of any type.

    Developer messages are sent as system messages, because only OpenAI accepts the role `developer`. Those at the beginning are
    merged with the instructions, because the chat templates of many open models accept only one system message.

    Args:
        names: the names of the tools in chat.

    Attributes:
        native_only: the first field that chat cannot express and that must not be left out, if any.
    """

    def __init__(self, names: ToolNames, instructions: str | None = None) -> None:
        self.native_only: str | None = None
        self._names = names
        self._system_texts = [instructions] if instructions else []  # of the system message at the beginning
        self._messages: list[JsonObject] = []
        self._open: JsonObject | None = None  # the assistant message of the current turn
        self._texts: list[str] = []  # of the open message
        self._reasoning: list[str] = []  # for the open message, or the next one
        self._calls: set[str] = set()  # ids
        self._left_out: set[str] = set()  # ids of calls that are not translated
        self._outputs: list[tuple[str, str]] = []  # the call id and the path of each output

    def messages(self) -> list[JsonObject]:
        """Return all messages, after the last item was added.

        Raises:
            InvalidRequest: an output belongs to no call.
        """
        self._close()
        for call_id, where in self._outputs:
            if call_id not in self._calls:
                short_id = call_id[:80]
                raise InvalidRequest(
                    f"`{where}` is the output of a call `{short_id}` that is not in the input.",
                    param=f"{where}.call_id",
                )
        system = [{"role": "system", "content": "\n\n".join(self._system_texts)}] if self._system_texts else []
        return system + self._messages

    def add(self, item: Item, where: str) -> None:
        """Add the next item.

        Raises:
            InvalidRequest: a field is missing or has the wrong type; `param` is a path that starts with `where`.
        """
        kind = string({"type": item_type(item)}, "type", where, "a type of item")
        if kind == "message":
            self._message(item, where)
        elif kind in CALLS:
            self._call(item, kind, where)
        elif kind in OUTPUTS:
            self._output(item, where)
        elif kind.endswith(_OUTPUT_SUFFIXES):
            self._other_output(item, kind, where)
        elif kind.endswith(_CALL_SUFFIX) and isinstance(item.get("call_id"), str):
            self._other_call(item, kind)
        elif kind == "reasoning":
            if reasoning := plain_reasoning(item):
                self._reasoning.append(reasoning)
        else:  # calls and results of a provider's own tools
            if isinstance(call_id := item.get("call_id"), str):
                self._left_out.add(call_id)
            if kind in COMPACTED:
                self._require_native(f"{where}.type")

    def _message(self, item: JsonObject, where: str) -> None:
        role = string(item, "role", where, "a role")
        if role not in ROLES:
            raise InvalidRequest(
                f"`{where}.role` must be user, assistant, system or developer, not `{role[:40]}`.",
                param=f"{where}.role",
            )
        content = self._content(item.get("content"), f"{where}.content")
        role = ROLES[role]
        if role == "assistant":
            self._assistant(content.joined_text)
        elif role == "user":
            self._user(content, item["content"])
        elif not self._messages:
            self._system_texts.append(content.joined_text)
        else:
            self._close()
            self._messages.append({"role": role, "content": content.joined_text})

    def _user(self, content: ChatContent, given: object) -> None:
        self._close()
        self._reasoning = []
        parts = content.parts
        only_text = isinstance(given, str) or (len(parts) == 1 and parts[0]["type"] == "text")
        self._messages.append({"role": "user", "content": parts[0]["text"] if only_text else parts})

    def _assistant(self, text: str) -> None:
        """Add a text. Text after tool calls belongs to the message with the calls, because their outputs must follow it."""
        if self._open is None or "tool_calls" not in self._open:
            self._begin()
        self._texts.append(text)

    def _call(self, item: JsonObject, kind: str, where: str) -> None:
        call_id, name = string(item, "call_id", where), string(item, "name", where)
        namespace = optional(item, "namespace", str, "a string", where)
        if kind == "custom_tool_call":
            arguments = freeform_tools.wrapped_input(string(item, "input", where))
        else:
            arguments = string(item, "arguments", where).strip() or "{}"
        self._add_call(call_id, self._names.chat_name(name, namespace), arguments)

    def _other_call(self, item: JsonObject, kind: str) -> None:
        """Add a call of another kind of tool that the client runs, such as a shell, so that the conversation stays complete."""
        given = {key: value for key, value in item.items() if key not in _COMMON_CALL_FIELDS and value is not None}
        inner = given.get("arguments")
        arguments = inner if isinstance(inner, dict) and len(given) == 1 else given
        self._add_call(item["call_id"], kind.removesuffix(_CALL_SUFFIX), orjson.dumps(arguments).decode())

    def _add_call(self, call_id: str, name: str, arguments: str) -> None:
        if self._open is None:
            self._begin()
        assert self._open is not None
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._open.setdefault("tool_calls", []).append(call)
        self._calls.add(call_id)

    def _output(self, item: JsonObject, where: str) -> None:
        call_id = optional(item, "call_id", str, "a string", where)
        content = self._content(item.get("output"), f"{where}.output")
        if call_id is None:  # an output that no model asked for, such as a timer of the client
            self._user(content, item["output"])
        else:
            is_text = len(content.texts) == len(content.parts)
            self._add_output(call_id, content.joined_text if is_text else content.parts, where)

    def _other_output(self, item: JsonObject, kind: str, where: str) -> None:
        call_id = item.get("call_id") or item.get("id")
        if isinstance(call_id, str) and call_id in self._calls:
            self._add_output(call_id, _output_parts(item, kind), where)

    def _add_output(self, call_id: str, content: str | list[JsonObject], where: str) -> None:
        if call_id in self._left_out:
            return
        self._close()
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        self._outputs.append((call_id, where))

    def _begin(self) -> None:
        """Start the next assistant message."""
        self._close()
        self._open = {"role": "assistant", "content": None}
        self._messages.append(self._open)

    def _close(self) -> None:
        """End the assistant's turn."""
        if self._open is not None:
            if self._texts:
                has_calls = "tool_calls" in self._open
                self._open["content"] = "\n\n".join(text for text in self._texts if text or not has_calls)
            if self._reasoning:
                self._open["reasoning_content"] = "\n\n".join(self._reasoning)
            self._reasoning = []
        self._open, self._texts = None, []

    def _content(self, given: object, where: str) -> ChatContent:
        content = ChatContent(given, where)
        if content.native_only is not None:
            self._require_native(content.native_only)
        return content

    def _require_native(self, field: str) -> None:
        if self.native_only is None:
            self.native_only = field


def item_type(item: Item) -> object:
    """Return the type of an item. Messages and references to stored items may omit it."""
    if item.get("type") is not None:
        return item["type"]
    return "message" if "role" in item else "item_reference" if isinstance(item.get("id"), str) else None


def _output_parts(item: Item, kind: str) -> list[JsonObject]:
    """Return the output of another kind of tool as chat parts."""
    if kind == "tool_search_output":
        return [{"type": "text", "text": _search_result(item.get("tools"))}]
    output = item.get("output")
    if isinstance(output, dict) and isinstance(url := output.get("image_url"), str):
        return [{"type": "image_url", "image_url": {"url": url}}]
    text = output if isinstance(output, str) else orjson.dumps(output).decode() if output is not None else ""
    return [{"type": "text", "text": text}]


def _search_result(tools: object) -> str:
    """Return the result of a tool search as text. The tools are among the functions from now on."""
    names = [tool["name"] for tool in objects_in(tools) if isinstance(tool.get("name"), str)]
    return f"Found: {', '.join(names)}." if names else "No tools were found."
