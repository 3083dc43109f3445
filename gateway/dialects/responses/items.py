"""Input items of the Responses API -> chat messages.

    message, message, function_call, function_call, function_call_output, function_call_output
    -> user, assistant with two tool calls, tool, tool

What one turn of the model is in several items is one assistant message here, since chat knows it so.
"""

from typing import Any

import orjson

from gateway.dialects.responses.checks import invalid, text
from gateway.dialects.responses.content import Parts

CALLS = frozenset({"function_call", "custom_tool_call"})
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
ONLY_THERE = frozenset({"compaction", "compaction_summary"})  # without it the conversation is not the same
ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
SEE_BELOW = "The output follows in the next message."


class Messages:
    """Collects the messages of a conversation.

    The developer's messages are sent as the system's: OpenAI takes both, others know no developer. Those at the beginning
    become one message with the instructions, since the chat templates of many open models take no second one.

    Attributes:
        foreign: the field of the first thing that chat has nothing for and that may not be left out.
    """

    def __init__(self, instructions: str | None = None) -> None:
        self.foreign: str | None = None
        self._messages: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None  # the assistant's message, as long as its turn lasts
        self._attached: list[dict[str, Any]] = []  # images and files of tool outputs, which those have no room for
        self._calls: set[str] = set()
        self._left_out: set[str] = set()  # calls that are not translated
        if instructions:
            self._messages.append({"role": "system", "content": instructions})

    def finished(self) -> list[dict[str, Any]]:
        """The messages."""
        self._close()
        return self._messages

    def add(self, item: dict[str, Any], where: str) -> None:
        """Takes the next item.

        Raises:
            InvalidRequest: it is not what it must be; `param` is below `where`.
        """
        kind = text({"type": kind_of(item)}, "type", where, "a type of item")
        if kind == "message":
            self._message(item, where)
        elif kind in CALLS:
            self._call(item, kind, where)
        elif kind in OUTPUTS:
            self._output(item, where)
        else:  # reasoning, which no other model can read, and what only a provider's own tools do and have done
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
            return
        self._close()
        if role == "user":
            self._user(parts.parts, item["content"])
        elif len(self._messages) == 1 and self._messages[0]["role"] == "system":
            self._messages[0]["content"] += f"\n\n{parts.joined}"
        else:
            self._messages.append({"role": role, "content": parts.joined})

    def _user(self, parts: list[dict[str, Any]], content: Any) -> None:
        alone = isinstance(content, str) or (len(parts) == 1 and parts[0]["type"] == "text")
        self._messages.append({"role": "user", "content": parts[0]["text"] if alone else parts})

    def _assistant(self, said: str) -> None:
        """What it says after it has called tools belongs to the message with the calls: their outputs must follow that."""
        if self._open is not None and "tool_calls" in self._open:
            before = self._open["content"]
            self._open["content"] = f"{before}\n\n{said}" if before else said
            return
        self._close()
        self._open = {"role": "assistant", "content": said}
        self._messages.append(self._open)

    def _call(self, item: dict[str, Any], kind: str, where: str) -> None:
        call_id, name = text(item, "call_id", where), text(item, "name", where)
        if kind == "custom_tool_call":
            arguments = orjson.dumps({"input": text(item, "input", where)}).decode()
        else:
            arguments = text(item, "arguments", where) or "{}"
        if self._open is None:
            self._close()
            self._open = {"role": "assistant", "content": None}
            self._messages.append(self._open)
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._open.setdefault("tool_calls", []).append(call)
        self._calls.add(call_id)

    def _output(self, item: dict[str, Any], where: str) -> None:
        call_id = text(item, "call_id", where)
        parts = self._parts(item.get("output"), f"{where}.output")
        if call_id in self._left_out:
            return
        if call_id not in self._calls:
            invalid(f"`{where}` is the output of a call `{call_id[:80]}` that is not in the input.", f"{where}.call_id")
        self._open = None
        said = parts.joined if parts.texts or not parts.parts else SEE_BELOW
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": said})
        self._attached += parts.media

    def _close(self) -> None:
        """The turn is over. What was attached to its tool outputs is shown by the user, behind the last of them."""
        self._open = None
        if self._attached:
            self._messages.append({"role": "user", "content": self._attached})
            self._attached = []

    def _parts(self, content: Any, where: str) -> Parts:
        parts = Parts(content, where)
        if parts.foreign is not None:
            self._needs(parts.foreign)
        return parts

    def _needs(self, field: str) -> None:
        if self.foreign is None:
            self.foreign = field


def kind_of(item: dict[str, Any]) -> Any:
    """The type of an item; a message may leave it out, a reference to a stored item too."""
    if item.get("type") is not None:
        return item["type"]
    return "message" if "role" in item else "item_reference" if isinstance(item.get("id"), str) else None
