"""Tool calls of one choice as OpenAI writes them, out of what lesser servers write.

Each call has its place in the order of their beginning, its id and name once, and arguments that are text.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from gateway.bodies import lenient_json
from gateway.provider_errors.failures import Cause, UpstreamFailure

Fields = dict[str, Any]
MAX_CALLS = 1_024  # of one answer; no model makes so many
_PLACED = frozenset({"index", "id", "type", "function", "name", "arguments"})


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    custom: bool = False  # a call of a freeform tool, whose input is no JSON
    begun: bool = False  # some of its arguments have come

    def further(self, name: str) -> str:
        """What is new of a name, which may come in pieces, or again with each delta."""
        if not name or self.begun or name == self.name:
            return ""
        new = name[len(self.name) :] if name.startswith(self.name) else name
        self.name += new
        return new

    def function(self, given: Fields, name: str, *, first: bool) -> Fields:
        """Its `function`, with what is new of the name."""
        told = {key: value for key, value in given.items() if key not in ("name", "arguments")}
        if name:
            told["name"] = name
        arguments = given.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = lenient_json.dumps(arguments).decode()
        if arguments is not None or first:
            told["arguments"] = arguments or ""
        self.begun = self.begun or bool(arguments and arguments.strip())
        return told


class ToolCalls:
    """Puts the deltas of one choice's calls right."""

    __slots__ = ("_by_id", "_calls", "_places")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._places: dict[int, int] = {}  # by the index that the provider gives
        self._by_id: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def right(self, value: Any) -> bool:
        """Whether these are only further arguments of calls that have begun, in the form that they must have."""
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

    def mended(self, value: Any) -> list[Fields]:
        """The entries of `tool_calls` as they must be; what is no call is left out.

        Raises:
            UpstreamFailure: more calls than any answer has.
        """
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list):
            return []
        _check_number(len(value))
        return [self._call(call) for call in value if isinstance(call, dict)]

    def check(self) -> None:
        """Whether the calls can be made, now that no more of them comes.

        Raises:
            UpstreamFailure: one lacks the name of its tool, which must have been lost.
        """
        if any(not call.name and not call.custom for call in self._calls):
            raise UpstreamFailure(Cause.UNREADABLE, detail="a tool call without a name")

    def without_arguments(self) -> list[Fields]:
        """Entries that give an empty object to the calls without any arguments, at the end of the answer.

        OpenAI writes `{}` for a tool without parameters, and clients parse it.
        """
        told = []
        for place, call in enumerate(self._calls):
            if call.name and not call.begun and not call.custom:
                call.begun = True
                told.append({"index": place, "function": {"arguments": "{}"}})
        return told

    def _call(self, given: Fields) -> Fields:
        function = given.get("function")
        if not isinstance(function, dict):  # a few servers write name and arguments beside the id
            function = {key: given[key] for key in ("name", "arguments") if key in given}
        call_id, name = _id(given.get("id")), function.get("name")
        name = name if isinstance(name, str) else ""
        known = len(self._calls)
        place = self._place(number(given.get("index")), call_id, name)
        first, call = place == known, self._calls[place]
        told: Fields = {"index": place}
        call.custom = call.custom or "custom" in given
        if first or "type" in given:
            told["type"] = "custom" if call.custom else "function"
        further = call.further(name)
        if not call.id and (call_id or call.name):
            told["id"] = call.id = call_id or f"call_{uuid.uuid4().hex[:24]}"
        if not call.custom:
            told["function"] = call.function(function, further, first=first)
        return told | {key: value for key, value in given.items() if key not in _PLACED}

    def _place(self, index: int | None, call_id: str, name: str) -> int:
        """Where the call is among all; a new place for one that begins here."""
        if index is not None:
            place = self._places.get(index)
            if place is not None and not (name and call_id and self._calls[place].id not in ("", call_id)):
                return place
            if not name and not call_id and self._calls:  # it goes on with one whose index came otherwise
                self._places[index] = len(self._calls) - 1
                return len(self._calls) - 1
        elif call_id:
            if (place := self._by_id.get(call_id)) is not None:
                return place
        elif self._calls and not (name and self._calls[-1].name and self._calls[-1].begun):
            return len(self._calls) - 1
        place = len(self._calls)
        _check_number(place + 1)
        self._calls.append(_Call())
        if index is not None:
            self._places[index] = place
        if call_id:
            self._by_id[call_id] = place
        return place


def _check_number(calls: int) -> None:
    if calls > MAX_CALLS:
        raise UpstreamFailure(Cause.UNREADABLE, detail=f"an answer of more than {MAX_CALLS} tool calls")


def number(index: Any) -> int | None:
    if type(index) is int:
        return index
    return int(index) if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 9 else None


def _id(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int else ""
