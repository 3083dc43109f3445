"""The tool calls of one choice as OpenAI writes them, from what other providers write.

Each call has an index in the order in which the calls began, its id and name once, and arguments that are a string.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from gateway.bodies import lenient_json
from gateway.core.chat_types import FunctionCall, ToolCall
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure

MAX_CALLS = 1_024  # of one answer; far more than any model makes
_PLACED = frozenset({"index", "id", "type", "function", "name", "arguments"})


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    custom: bool = False  # a call of a freeform tool, whose input is not JSON
    begun: bool = False  # arguments have come

    def new_part_of_name(self, name: str) -> str:
        """Return the part of the name that is new. Providers send it in pieces, or again with each delta."""
        if not name or self.begun or name == self.name:
            return ""
        new = name[len(self.name) :] if name.startswith(self.name) else name
        self.name += new
        return new

    def function(self, given: JsonObject, name: str, *, first: bool) -> FunctionCall:
        """Return the `function` of the delta, with the new part of the name."""
        new: Any = {key: value for key, value in given.items() if key not in ("name", "arguments")}
        if name:
            new["name"] = name
        arguments = given.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = lenient_json.dumps(arguments).decode()
        if arguments is not None or first:
            new["arguments"] = arguments or ""
        self.begun = self.begun or bool(arguments and arguments.strip())
        function: FunctionCall = new
        return function


class ToolCalls:
    """Normalizes the `tool_calls` of one choice, delta by delta."""

    __slots__ = ("_by_id", "_calls", "_places")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._places: dict[int, int] = {}  # by the index that the provider gives
        self._by_id: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def are_further_arguments(self, value: object) -> bool:
        """Return True if the entries are normal and only add arguments to calls that have begun."""
        if value is None:
            return True
        if type(value) is not list:
            return False
        for call in value:
            function = call.get("function") if type(call) is dict and len(call) == 2 else None
            if type(function) is not dict or len(function) != 1:
                return False
            arguments, index = function.get("arguments"), call.get("index")
            if type(arguments) is not str or type(index) is not int or self._places.get(index) != index:
                return False
            if arguments and not self._calls[index].begun:
                self._calls[index].begun = bool(arguments.strip())
        return True

    def normalize(self, value: object) -> list[ToolCall]:
        """Return the entries of `tool_calls` as OpenAI would write them. Entries that are not objects are left out.

        Raises:
            UpstreamFailure: the answer has more than `MAX_CALLS` calls.
        """
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list):
            return []
        _check_count(len(value))
        return [self._call(call) for call in value if isinstance(call, dict)]

    def check(self) -> None:
        """Check the calls at the end of the choice.

        Raises:
            UpstreamFailure: a call has no tool name.
        """
        if any(not call.name and not call.custom for call in self._calls):
            raise UpstreamFailure(Cause.UNREADABLE, detail="a tool call without a name")

    def empty_arguments(self) -> list[ToolCall]:
        """Return entries with `{}` as arguments for the calls that got none, for the end of the choice.

        OpenAI writes `{}` for a tool without parameters, and clients parse it.
        """
        entries: list[ToolCall] = []
        for place, call in enumerate(self._calls):
            if call.name and not call.begun and not call.custom:
                call.begun = True
                entries.append({"index": place, "function": {"arguments": "{}"}})
        return entries

    def _call(self, given: JsonObject) -> ToolCall:
        function = given.get("function")
        if not isinstance(function, dict):  # a few servers write name and arguments beside the id
            function = {key: given[key] for key in ("name", "arguments") if key in given}
        call_id, name = _id(given.get("id")), function.get("name")
        name = name if isinstance(name, str) else ""
        known = len(self._calls)
        place = self._place(call_index(given.get("index")), call_id, name)
        first, call = place == known, self._calls[place]
        new: Any = {"index": place}
        call.custom = call.custom or "custom" in given
        if first or "type" in given:
            new["type"] = "custom" if call.custom else "function"
        new_part = call.new_part_of_name(name)
        if not call.id and (call_id or call.name):
            new["id"] = call.id = call_id or f"call_{uuid.uuid4().hex[:24]}"
        if not call.custom:
            new["function"] = call.function(function, new_part, first=first)
        entry: ToolCall = new | {key: value for key, value in given.items() if key not in _PLACED}
        return entry

    def _place(self, index: int | None, call_id: str, name: str) -> int:
        """Return the index of the call that the delta belongs to; a new one for a call that begins here."""
        if index is not None:
            place = self._places.get(index)
            if place is not None and not (name and call_id and self._calls[place].id not in ("", call_id)):
                return place
            if not name and not call_id and self._calls:  # more arguments, under another index than before
                self._places[index] = len(self._calls) - 1
                return len(self._calls) - 1
        elif call_id:
            if (place := self._by_id.get(call_id)) is not None:
                return place
        elif self._calls and not (name and self._calls[-1].name and self._calls[-1].begun):
            return len(self._calls) - 1
        place = len(self._calls)
        _check_count(place + 1)
        self._calls.append(_Call())
        if index is not None:
            self._places[index] = place
        if call_id:
            self._by_id[call_id] = place
        return place


def _check_count(calls: int) -> None:
    if calls > MAX_CALLS:
        raise UpstreamFailure(Cause.UNREADABLE, detail=f"an answer of more than {MAX_CALLS} tool calls")


def call_index(index: object) -> int | None:
    """Return an index that is an integer or a string of digits; None for other values."""
    if type(index) is int:
        return index
    return int(index) if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 9 else None


def _id(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""
