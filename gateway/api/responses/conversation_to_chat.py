"""Input items of the Responses API -> chat messages.

    message, message, function_call, function_call, function_call_output, function_call_output
    -> user, assistant with two tool calls, tool, tool

What one turn of the model is in several items is one assistant message here, since chat knows it so.
"""

from typing import Any

import orjson

from gateway.api.responses import freeform_tools
from gateway.api.responses.checks import invalid, optional, text
from gateway.api.responses.content_to_chat import Parts
from gateway.api.responses.encrypted_reasoning import plain_reasoning
from gateway.api.responses.tool_names import ToolNames

CALLS = frozenset({"function_call", "custom_tool_call"})
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
ONLY_THERE = frozenset({"compaction", "compaction_summary"})  # without it the conversation is not the same
ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_CALL, _OUTPUTS_END = "_call", ("_call_output", "tool_search_output")
_OF_EVERY_CALL = frozenset({"id", "type", "call_id", "status", "execution", "created_by"})


class ChatConversation:
    """Collects the messages of a conversation, in the order of its items. A tool's message has parts, of which any may be no text.

    The developer's messages are sent as the system's: OpenAI takes both, others know no developer. Those at the beginning
    become one message with the instructions, since the chat templates of many open models take no second one.

    Args:
        names: of the tools, those that chat has for them.

    Attributes:
        foreign: the field of the first thing that chat has nothing for and that may not be left out.
    """

    def __init__(self, names: ToolNames, instructions: str | None = None) -> None:
        self.foreign: str | None = None
        self._names = names
        self._head = [instructions] if instructions else []  # what the system says before all others
        self._messages: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None  # the assistant's message, as long as its turn lasts
        self._said: list[str] = []  # in that message
        self._thoughts: list[str] = []  # for that message, or the next one
        self._calls: set[str] = set()
        self._left_out: set[str] = set()  # calls that are not translated
        self._outputs: list[tuple[str, str]] = []  # the id of each output's call, and the output's place in the request

    def finished(self) -> list[dict[str, Any]]:
        """The messages.

        Raises:
            InvalidRequest: an output belongs to no call.
        """
        self._close()
        for call_id, where in self._outputs:
            if call_id not in self._calls:
                named = call_id[:80]
                invalid(f"`{where}` is the output of a call `{named}` that is not in the input.", f"{where}.call_id")
        head = [{"role": "system", "content": "\n\n".join(self._head)}] if self._head else []
        return head + self._messages

    def add(self, item: dict[str, Any], where: str) -> None:
        """Takes the next item.

        Raises:
            InvalidRequest: it is not what it must be; `param` is below `where`.
        """
        kind = text({"type": item_type(item)}, "type", where, "a type of item")
        if kind == "message":
            self._message(item, where)
        elif kind in CALLS:
            self._call(item, kind, where)
        elif kind in OUTPUTS:
            self._output(item, where)
        elif kind.endswith(_OUTPUTS_END):
            self._other_output(item, kind, where)
        elif kind.endswith(_CALL) and isinstance(item.get("call_id"), str):
            self._other_call(item, kind)
        elif kind == "reasoning":
            if thought := plain_reasoning(item):
                self._thoughts.append(thought)
        else:  # what only a provider's own tools do and have done
            if isinstance(call_id := item.get("call_id"), str):
                self._left_out.add(call_id)
            if kind in ONLY_THERE:
                self._needs(f"{where}.type")

    def _message(self, item: dict[str, Any], where: str) -> None:
        role = text(item, "role", where, "a role")
        if role not in ROLES:
            invalid(f"`{where}.role` must be user, assistant, system or developer, not `{role[:40]}`.", f"{where}.role")
        parts = self._parts(item.get("content"), f"{where}.content")
        role = ROLES[role]
        if role == "assistant":
            self._assistant(parts.joined)
        elif role == "user":
            self._user(parts, item["content"])
        elif not self._messages:
            self._head.append(parts.joined)
        else:
            self._close()
            self._messages.append({"role": role, "content": parts.joined})

    def _user(self, parts: Parts, content: Any) -> None:
        self._close()
        self._thoughts = []
        said = parts.parts
        alone = isinstance(content, str) or (len(said) == 1 and said[0]["type"] == "text")
        self._messages.append({"role": "user", "content": said[0]["text"] if alone else said})

    def _assistant(self, said: str) -> None:
        """What it says after it has called tools belongs to the message with the calls: their outputs must follow that."""
        if self._open is None or "tool_calls" not in self._open:
            self._begin()
        self._said.append(said)

    def _call(self, item: dict[str, Any], kind: str, where: str) -> None:
        call_id, name = text(item, "call_id", where), text(item, "name", where)
        namespace = optional(item, "namespace", str, "a string", where)
        if kind == "custom_tool_call":
            arguments = freeform_tools.arguments(text(item, "input", where))
        else:
            arguments = text(item, "arguments", where).strip() or "{}"
        self._add_call(call_id, self._names.chat_name(name, namespace), arguments)

    def _other_call(self, item: dict[str, Any], kind: str) -> None:
        """A call of a tool of another kind that the client runs, as a shell: what the model did stays in the conversation."""
        given = {key: value for key, value in item.items() if key not in _OF_EVERY_CALL and value is not None}
        inner = given.get("arguments")
        arguments = inner if isinstance(inner, dict) and len(given) == 1 else given
        self._add_call(item["call_id"], kind.removesuffix(_CALL), orjson.dumps(arguments).decode())

    def _add_call(self, call_id: str, name: str, arguments: str) -> None:
        if self._open is None:
            self._begin()
        assert self._open is not None
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._open.setdefault("tool_calls", []).append(call)
        self._calls.add(call_id)

    def _output(self, item: dict[str, Any], where: str) -> None:
        call_id = optional(item, "call_id", str, "a string", where)
        parts = self._parts(item.get("output"), f"{where}.output")
        if call_id is None:  # of what no model called, as a timer of the client
            self._user(parts, item["output"])
        else:
            self._add_output(call_id, parts.joined if len(parts.texts) == len(parts.parts) else parts.parts, where)

    def _other_output(self, item: dict[str, Any], kind: str, where: str) -> None:
        call_id = item.get("call_id") or item.get("id")
        if isinstance(call_id, str) and call_id in self._calls:
            self._add_output(call_id, _shown(item, kind), where)

    def _add_output(self, call_id: str, content: str | list[dict[str, Any]], where: str) -> None:
        if call_id in self._left_out:
            return
        self._close()
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        self._outputs.append((call_id, where))

    def _begin(self) -> None:
        """The next message of the assistant."""
        self._close()
        self._open = {"role": "assistant", "content": None}
        self._messages.append(self._open)

    def _close(self) -> None:
        """The assistant's turn is over."""
        if self._open is not None:
            if self._said:
                called = "tool_calls" in self._open
                self._open["content"] = "\n\n".join(said for said in self._said if said or not called)
            if self._thoughts:
                self._open["reasoning_content"] = "\n\n".join(self._thoughts)
            self._thoughts = []
        self._open, self._said = None, []

    def _parts(self, content: Any, where: str) -> Parts:
        parts = Parts(content, where)
        if parts.foreign is not None:
            self._needs(parts.foreign)
        return parts

    def _needs(self, field: str) -> None:
        if self.foreign is None:
            self.foreign = field


def item_type(item: dict[str, Any]) -> Any:
    """The type of an item; a message may leave it out, a reference to a stored item too."""
    if item.get("type") is not None:
        return item["type"]
    return "message" if "role" in item else "item_reference" if isinstance(item.get("id"), str) else None


def _shown(item: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The output of a tool of another kind, as parts of chat."""
    if kind == "tool_search_output":
        return [{"type": "text", "text": _found(item.get("tools"))}]
    output = item.get("output")
    if isinstance(output, dict) and isinstance(url := output.get("image_url"), str):
        return [{"type": "image_url", "image_url": {"url": url}}]
    said = output if isinstance(output, str) else orjson.dumps(output).decode() if output is not None else ""
    return [{"type": "text", "text": said}]


def _found(tools: Any) -> str:
    """What a search for tools found, for a model that has them among its functions from now on."""
    names = [tool["name"] for tool in tools or () if isinstance(tool, dict) and isinstance(tool.get("name"), str)]
    return f"Found: {', '.join(names)}." if names else "No tools were found."
