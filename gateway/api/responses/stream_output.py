"""The output of a streamed response, item by item, with the events that tell of it.

Written from chat deltas, or followed along with another model's native events, so that the one can go on where the other broke
off. Events have no sequence number yet.
"""

from collections.abc import Mapping
from typing import Any

from gateway.api.responses.answer_from_chat import Fields, call_item, item, logprobs, reasoning_text, text_of
from gateway.api.responses.stream_items import FORMS, INPUTS, Called, Foreign, Part, Spoken
from gateway.api.responses.tool_names import ToolNames
from gateway.core.chat_types import ChatMessage, ToolCall

_DELTAS = frozenset(f"{form.text}.delta" for form in FORMS.values())
_LISTS = ("content", "summary")  # of an item's parts
_PARTS = frozenset({"response.content_part", "response.reasoning_summary_part"})


class Output:
    """All items of a response.

    Args:
        names: of the request's tools.
    """

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._items: dict[int, Spoken | Called | Foreign] = {}
        self._next = 0  # the index of the next item
        self._speaking: Spoken | None = None
        self._calls: dict[Any, Called] = {}  # by the index that chat gives them
        self._waiting: dict[Any, _Waiting] = {}  # calls that have not begun

    def items(self, status: str | None = None) -> list[Fields]:
        """The items in order.

        Args:
            status: of those that are not done.
        """
        found = []
        for _, each in sorted(self._items.items()):
            found.append(each.now() if each.done or status is None else each.now() | {"status": status})
        return found

    def delta(self, delta: ChatMessage, given_logprobs: Any) -> list[Fields]:
        """The events for a chat delta."""
        events: list[Fields] = []
        if thought := reasoning_text(delta):
            events += self._say("reasoning", "summary_text", thought, [])
        if said := text_of(delta.get("content")):
            events += self._say("message", "output_text", said, logprobs(given_logprobs) if given_logprobs else [])
        if isinstance(refusal := delta.get("refusal"), str) and refusal:
            events += self._say("message", "refusal", refusal, [])
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                events += self._call(call)
        return events

    def close(self, status: str) -> list[Fields]:
        """The events at the end of everything.

        Args:
            status: of the last item that is open; whatever came before it is complete.
        """
        events: list[Fields] = []
        for key in list(self._waiting):
            events += self._begin_call(key)
        opened = [each for _, each in sorted(self._items.items()) if not each.done]
        for each in opened:
            events += each.close(status if each is opened[-1] else "completed")
        self._speaking = None
        return events

    def follow(self, event: Fields) -> None:
        """Notes what a native event opens, adds and closes."""
        kind, index = event.get("type"), event.get("output_index")
        if not isinstance(kind, str) or not isinstance(index, int):
            return
        noun, _, verb = kind.rpartition(".")
        if noun == "response.output_item":
            self._follow_item(index, event.get("item"), verb)
            return
        each = self._items.get(index)
        text = event.get("delta")
        if isinstance(each, Called) and verb == "delta" and isinstance(text, str):
            each.pieces.append(text)
        if not isinstance(each, Spoken):
            return
        part = event.get("part")
        if noun in _PARTS and verb == "added" and isinstance(part, dict) and _is_in(part.get("type"), FORMS):
            form = FORMS[part["type"]]
            at = event.get(form.at)
            each.part = Part(part["type"], at if isinstance(at, int) else len(each.fields.get(form.among) or []))
        elif noun in _PARTS and verb == "done":
            each.take(part)
        elif kind in _DELTAS and each.part is not None and isinstance(text, str):
            each.part.pieces.append(text)
            given = event.get("logprobs")
            each.part.logprobs += given if isinstance(given, list) else []
        elif kind == "response.output_text.annotation.added" and each.part is not None:
            each.part.annotations.append(event.get("annotation"))

    def _follow_item(self, index: int, fields: Any, verb: str) -> None:
        if not isinstance(fields, dict):
            return
        self._next = max(self._next, index + 1)
        if verb == "added":
            kind = fields.get("type")
            if kind in ("message", "reasoning"):
                lists = {key: value for key in _LISTS if isinstance(value := fields.get(key), list)}
                self._speaking = Spoken(index, {k: v for k, v in fields.items() if k not in _LISTS} | lists)
                self._items[index] = self._speaking
            elif _is_in(kind, INPUTS):
                # A chat delta finds it by its place among the calls.
                self._items[index] = self._calls[len(self._calls)] = Called(index, fields)
            else:
                self._items[index] = Foreign(fields)
            return
        each = self._items.setdefault(index, Foreign(fields))
        each.fields, each.done = fields, True
        if isinstance(each, Spoken):
            each.part = None
        if each is self._speaking:
            self._speaking = None

    def _say(self, kind: str, part: str, text: str, with_logprobs: list[Fields]) -> list[Fields]:
        events = self._begin_waiting() if self._waiting else []
        if self._speaking is None or self._speaking.fields.get("type") != kind:
            events += self._hush()
            index = self._next
            empty: Fields = {"summary": []} if kind == "reasoning" else {"role": "assistant", "content": []}
            self._next += 1
            self._speaking = self._items[index] = Spoken(index, item(kind, "in_progress", **empty))
            events.append(_added(index, self._speaking.fields))
        return events + self._speaking.say(part, text, with_logprobs)

    def _hush(self) -> list[Fields]:
        speaking, self._speaking = self._speaking, None
        return speaking.close("completed") if speaking is not None else []

    def _call(self, call: ToolCall) -> list[Fields]:
        """A chat call's delta. Where another model goes on, an index may come again: then a new id is a new call."""
        function = call.get("function") or {}
        name, arguments = _text(function.get("name")), _text(function.get("arguments"))
        call_id, key = _text(call.get("id")), call.get("index") or 0
        known = self._calls.get(key)
        if known is not None and not (name and call_id and call_id != known.fields["call_id"]):
            return known.write(arguments)
        waiting = self._waiting.get(key)
        other = waiting is None or bool(name and call_id and waiting.call_id not in ("", call_id))
        events = self._begin_waiting() if other else []
        waiting = self._waiting.setdefault(key, _Waiting())
        return events + (self._begin_call(key) if waiting.take(call_id, name, arguments) else [])

    def _begin_waiting(self) -> list[Fields]:
        """The events of the calls that wait for more of their names: something else comes, so no more will."""
        events: list[Fields] = []
        for key in [key for key, waiting in self._waiting.items() if waiting.name]:
            events += self._begin_call(key)
        return events

    def _begin_call(self, key: Any) -> list[Fields]:
        given = self._waiting.pop(key)
        events = self._hush()
        tool = self._names.client_tool(given.name)
        empty = {} if tool.kind == "tool_search_call" else ""
        fields = call_item(tool, "in_progress", given.call_id, **{INPUTS[tool.kind]: empty})
        index = self._next
        called = Called(index, fields, tool)
        self._next += 1
        self._calls[key] = self._items[index] = called
        return [*events, _added(index, fields), *called.write(given.arguments)]


class _Waiting:
    """A call whose name is still to come, or may go on."""

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.arguments = ""

    def take(self, call_id: str, name: str, arguments: str) -> bool:
        """Takes the next piece; tells whether the name is whole, which it is when arguments come."""
        self.call_id = self.call_id or call_id
        if name != self.name:  # some servers repeat the whole name with each piece
            self.name += name
        self.arguments += arguments
        return bool(self.name and self.arguments)


def _added(index: int, fields: Fields) -> Fields:
    """The event of a new item. The item's lists are filled later, perhaps before the event is written."""
    empty = {key: list(value) if isinstance(value, list) else value for key, value in fields.items()}
    return {"type": "response.output_item.added", "output_index": index, "item": empty}


def _is_in(kind: Any, among: Mapping[str, Any]) -> bool:
    return isinstance(kind, str) and kind in among


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
