"""Messages and deltas of one choice as OpenAI writes them, from what other providers write."""

from collections.abc import Mapping
from typing import Any

from gateway.api.chat.message_content import text_and_reasoning
from gateway.api.chat.tool_calls import ToolCalls
from gateway.bodies import lenient_json
from gateway.core.chat_types import ChatMessage
from gateway.core.json_types import JsonObject

TEXT_FIELDS = frozenset({"reasoning", "reasoning_content", "refusal"})
TOOL_CALL_ENDS = frozenset({None, "stop", "function_call"})  # finish reasons that providers write after tool calls


class MessageNormalizer:
    """Normalizes the message of one choice: all of it at once, or delta by delta.

    Attributes:
        calls: the tool calls so far.
        has_text: text or reasoning has come.
    """

    __slots__ = ("_name", "_role", "calls", "has_text")

    def __init__(self) -> None:
        self.calls = ToolCalls()
        self.has_text = False
        self._role = False
        self._name = ""  # of the one function of the older API

    def normalize(self, given: Mapping[str, object]) -> ChatMessage:
        """Return the delta or message as OpenAI would write it."""
        new: Any = {}
        for key, value in given.items():
            if value is None:
                new[key] = value
            elif key == "role":  # clients join the strings of all deltas: only the first may have it
                if isinstance(value, str) and not self._role:
                    self._role = bool(value)
                    new[key] = "assistant" if value else value
            elif key == "content" or key in TEXT_FIELDS:
                self._text(new, key, value)
            elif key == "tool_calls":
                if calls := self.calls.normalize(value):
                    new[key] = calls
                elif value == []:
                    new[key] = value
            elif key == "function_call":
                if isinstance(value, dict):
                    new[key] = self._function_call(value)
            else:
                new[key] = value
        message: ChatMessage = new
        return message

    def _text(self, new: JsonObject, key: str, value: object) -> None:
        text, reasoning = (value, "") if isinstance(value, str) else text_and_reasoning(value)
        self.has_text = self.has_text or bool(text or reasoning)
        new[key] = (new.get(key) or "") + text if isinstance(text, str) else text
        if reasoning:
            new["reasoning_content"] = (new.get("reasoning_content") or "") + reasoning

    def _function_call(self, value: JsonObject) -> JsonObject:
        arguments, name = value.get("arguments"), value.get("name")
        new = dict(value)
        if arguments is not None and not isinstance(arguments, str):
            new["arguments"] = lenient_json.dumps(arguments).decode()
        if "name" in value and (not isinstance(name, str) or name == self._name):
            del new["name"]
        elif isinstance(name, str):
            self._name += name
        return new
