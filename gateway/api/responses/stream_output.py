"""The output items of a streamed response, with their events. Sequence numbers are added later.

The events are written from chat deltas. If a provider's own events are passed on instead, they are followed, so that another
model can continue the response with chat deltas after the stream of the first one broke.
"""

from collections.abc import Mapping

from gateway.api.answer_text import content_text, reasoning_text
from gateway.api.responses.answer_from_chat import call_item, logprobs, new_item, string_or_empty
from gateway.api.responses.stream_items import INPUT_KEYS, PART_FORMS, CallItem, OpenPart, ProviderItem, TextItem
from gateway.api.responses.tool_names import ToolNames
from gateway.api.responses.types import Event, Item, Logprob
from gateway.core.chat_types import ChatMessage, ToolCall

_TEXT_DELTAS = frozenset(f"{form.text_event}.delta" for form in PART_FORMS.values())
_LIST_KEYS = ("content", "summary")  # the lists of parts in an item
_PART_EVENTS = frozenset({"response.content_part", "response.reasoning_summary_part"})


class StreamOutput:
    """All items of a response.

    Args:
        names: the names of the request's tools.
    """

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._items: dict[int, TextItem | CallItem | ProviderItem] = {}
        self._next_index = 0
        self._text_item: TextItem | None = None  # the open message or reasoning
        self._calls: dict[object, CallItem] = {}  # by their index in chat
        self._pending_calls: dict[object, _PendingCall] = {}

    def items(self, status: str | None = None) -> list[Item]:
        """Return the items in order.

        Args:
            status: the status of items that are not done; None leaves it unchanged.
        """
        items = []
        for _, item in sorted(self._items.items()):
            items.append(item.snapshot() if item.done or status is None else item.snapshot() | {"status": status})
        return items

    def add_delta(self, delta: ChatMessage, given_logprobs: object) -> list[Event]:
        """Return the events for a chat delta."""
        events: list[Event] = []
        if reasoning := reasoning_text(delta):
            events += self._add_text("reasoning", "summary_text", reasoning, [])
        if text := content_text(delta.get("content")):
            events += self._add_text("message", "output_text", text, logprobs(given_logprobs) if given_logprobs else [])
        if isinstance(refusal := delta.get("refusal"), str) and refusal:
            events += self._add_text("message", "refusal", refusal, [])
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                events += self._add_call(call)
        return events

    def close(self, status: str) -> list[Event]:
        """Return the events at the end of the response.

        Args:
            status: the status of the last open item; the items before it are complete.
        """
        events: list[Event] = []
        for key in list(self._pending_calls):
            events += self._open_call(key)
        open_items = [item for _, item in sorted(self._items.items()) if not item.done]
        for item in open_items:
            events += item.close(status if item is open_items[-1] else "completed")
        self._text_item = None
        return events

    def follow(self, event: Event) -> None:
        """Note what a provider's own event opens, adds and closes."""
        kind, index = event.get("type"), event.get("output_index")
        if not isinstance(kind, str) or not isinstance(index, int):
            return
        prefix, _, action = kind.rpartition(".")
        if prefix == "response.output_item":
            self._follow_item(index, event.get("item"), action)
            return
        item = self._items.get(index)
        text = event.get("delta")
        if isinstance(item, CallItem) and action == "delta" and isinstance(text, str):
            item.pieces.append(text)
        if not isinstance(item, TextItem):
            return
        part = event.get("part")
        if (
            prefix in _PART_EVENTS
            and action == "added"
            and isinstance(part, dict)
            and _is_key(part.get("type"), PART_FORMS)
        ):
            form = PART_FORMS[part["type"]]
            at = event.get(form.index_key)
            part_index = at if isinstance(at, int) else len(item.fields.get(form.list_key) or [])
            item.part = OpenPart(part["type"], part_index)
        elif prefix in _PART_EVENTS and action == "done":
            item.note_part_done(part)
        elif kind in _TEXT_DELTAS and item.part is not None and isinstance(text, str):
            item.part.pieces.append(text)
            given = event.get("logprobs")
            item.part.logprobs += given if isinstance(given, list) else []
        elif kind == "response.output_text.annotation.added" and item.part is not None:
            item.part.annotations.append(event.get("annotation"))

    def _follow_item(self, index: int, fields: object, action: str) -> None:
        if not isinstance(fields, dict):
            return
        self._next_index = max(self._next_index, index + 1)
        if action == "added":
            kind = fields.get("type")
            if kind in ("message", "reasoning"):
                lists = {key: value for key in _LIST_KEYS if isinstance(value := fields.get(key), list)}
                self._text_item = TextItem(index, {k: v for k, v in fields.items() if k not in _LIST_KEYS} | lists)
                self._items[index] = self._text_item
            elif _is_key(kind, INPUT_KEYS):
                # chat deltas find a call by its position among the calls
                self._items[index] = self._calls[len(self._calls)] = CallItem(index, fields)
            else:
                self._items[index] = ProviderItem(fields)
            return
        item = self._items.setdefault(index, ProviderItem(fields))
        item.fields, item.done = fields, True
        if isinstance(item, TextItem):
            item.part = None
        if item is self._text_item:
            self._text_item = None

    def _add_text(self, item_type: str, part_type: str, text: str, with_logprobs: list[Logprob]) -> list[Event]:
        events = self._open_named_calls() if self._pending_calls else []
        if self._text_item is None or self._text_item.fields.get("type") != item_type:
            events += self._close_text_item()
            index = self._next_index
            empty: Item = {"summary": []} if item_type == "reasoning" else {"role": "assistant", "content": []}
            self._next_index += 1
            self._text_item = self._items[index] = TextItem(index, new_item(item_type, "in_progress", **empty))
            events.append(_item_added(index, self._text_item.fields))
        return events + self._text_item.add_text(part_type, text, with_logprobs)

    def _close_text_item(self) -> list[Event]:
        item, self._text_item = self._text_item, None
        return item.close("completed") if item is not None else []

    def _add_call(self, call: ToolCall) -> list[Event]:
        """Return the events for one entry of a chat delta's `tool_calls`.

        If another model continues the stream, it may use an index again: a new id at a known index is a new call.
        """
        function = call.get("function") or {}
        name, arguments = string_or_empty(function.get("name")), string_or_empty(function.get("arguments"))
        call_id, key = string_or_empty(call.get("id")), call.get("index") or 0
        known = self._calls.get(key)
        if known is not None and not (name and call_id and call_id != known.fields["call_id"]):
            return known.add_arguments(arguments)
        pending = self._pending_calls.get(key)
        is_new = pending is None or bool(name and call_id and pending.call_id not in ("", call_id))
        events = self._open_named_calls() if is_new else []
        pending = self._pending_calls.setdefault(key, _PendingCall())
        return events + (self._open_call(key) if pending.add(call_id, name, arguments) else [])

    def _open_named_calls(self) -> list[Event]:
        """Return the events for pending calls that have a name. The name is complete, because something else follows."""
        events: list[Event] = []
        for key in [key for key, pending in self._pending_calls.items() if pending.name]:
            events += self._open_call(key)
        return events

    def _open_call(self, key: object) -> list[Event]:
        pending = self._pending_calls.pop(key)
        events = self._close_text_item()
        tool = self._names.client_tool(pending.name)
        empty: object = {} if tool.kind == "tool_search_call" else ""
        fields = call_item(tool, "in_progress", pending.call_id, **{INPUT_KEYS[tool.kind]: empty})
        index = self._next_index
        call = CallItem(index, fields, tool)
        self._next_index += 1
        self._calls[key] = self._items[index] = call
        return [*events, _item_added(index, fields), *call.add_arguments(pending.arguments)]


class _PendingCall:
    """A call whose name may be incomplete."""

    def __init__(self) -> None:
        self.call_id = ""
        self.name = ""
        self.arguments = ""

    def add(self, call_id: str, name: str, arguments: str) -> bool:
        """Add the next piece; return True if the name is complete, that is, if arguments have come."""
        self.call_id = self.call_id or call_id
        if name != self.name:  # some servers repeat the whole name with each piece
            self.name += name
        self.arguments += arguments
        return bool(self.name and self.arguments)


def _item_added(index: int, fields: Item) -> Event:
    """Return the event of a new item. It copies the item's lists, which may change before the event is serialized."""
    item = {key: list(value) if isinstance(value, list) else value for key, value in fields.items()}
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _is_key(value: object, mapping: Mapping[str, object]) -> bool:
    return isinstance(value, str) and value in mapping
