"""Output items that are being streamed, and their events. Sequence numbers are added later."""

from typing import NamedTuple

from gateway.api.responses.answer_from_chat import search_arguments
from gateway.api.responses.freeform_tools import FreeformInputReader
from gateway.api.responses.tool_names import ClientTool
from gateway.api.responses.types import Event, Item, Logprob
from gateway.core.json_types import JsonObject


class PartForm(NamedTuple):
    """The names of a type of content part.

    Attributes:
        text_event: the prefix of the events with its text.
        text_key: the key of the text in the part.
        part_event: the prefix of the events with the part itself.
        index_key: the key of the part's index in events.
        list_key: the key of the list of parts in the item.
    """

    text_event: str
    text_key: str
    part_event: str
    index_key: str
    list_key: str


PART_FORMS = {
    "output_text": PartForm("response.output_text", "text", "response.content_part", "content_index", "content"),
    "refusal": PartForm("response.refusal", "refusal", "response.content_part", "content_index", "content"),
    "reasoning_text": PartForm("response.reasoning_text", "text", "response.content_part", "content_index", "content"),
    "summary_text": PartForm(
        "response.reasoning_summary_text", "text", "response.reasoning_summary_part", "summary_index", "summary"
    ),
}
INPUT_KEYS = {"function_call": "arguments", "custom_tool_call": "input", "tool_search_call": "arguments"}
INPUT_EVENTS = {  # tool search has none: its arguments are an object
    "function_call": "response.function_call_arguments",
    "custom_tool_call": "response.custom_tool_call_input",
}


class OpenPart:
    """A content part whose text is being streamed."""

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.form = PART_FORMS[kind]
        self.pieces: list[str] = []
        self.logprobs: list[Logprob] = []
        self.annotations: list[object] = []

    def snapshot(self) -> JsonObject:
        """Return the part with its text so far."""
        part: JsonObject = {"type": self.kind, self.form.text_key: "".join(self.pieces)}
        if self.kind == "output_text":
            part |= {"annotations": list(self.annotations), "logprobs": list(self.logprobs)}
        return part


class TextItem:
    """A message or reasoning item. At most one of its parts is open."""

    def __init__(self, output_index: int, fields: Item) -> None:
        self.fields = fields
        self.part: OpenPart | None = None
        self.done = False
        self._location = {"item_id": fields.get("id"), "output_index": output_index}

    def add_text(self, part_type: str, text: str, logprobs: list[Logprob]) -> list[Event]:
        """Return the events for more text in a part of this type."""
        events: list[Event] = []
        if self.part is None or self.part.kind != part_type:
            events += self._close_part()
            form = PART_FORMS[part_type]
            self.part = OpenPart(part_type, len(self.fields.setdefault(form.list_key, [])))
            events.append({"type": f"{form.part_event}.added", **self._part_location(), "part": self.part.snapshot()})
        self.part.pieces.append(text)
        delta: Event = {"type": f"{self.part.form.text_event}.delta", **self._part_location(), "delta": text}
        if part_type == "output_text":
            self.part.logprobs += logprobs
            delta["logprobs"] = logprobs
        return [*events, delta]

    def close(self, status: str) -> list[Event]:
        events = self._close_part()
        self.done = True
        self.fields["status"] = status
        return [
            *events,
            {"type": "response.output_item.done", "output_index": self._location["output_index"], "item": self.fields},
        ]

    def snapshot(self) -> Item:
        """Return the item with its text so far."""
        if self.part is None:
            return self.fields
        list_key = self.part.form.list_key
        return self.fields | {list_key: [*self.fields.get(list_key, []), self.part.snapshot()]}

    def note_part_done(self, part: object) -> None:
        """Note that a provider's own event has closed the open part, with the content `part`."""
        open_part, self.part = self.part, None
        if open_part is not None and isinstance(part, dict):
            self.fields.setdefault(open_part.form.list_key, []).append(part)

    def _close_part(self) -> list[Event]:
        if self.part is None:
            return []
        location, part, form = self._part_location(), self.part.snapshot(), self.part.form
        done: Event = {"type": f"{form.text_event}.done", **location, form.text_key: part[form.text_key]}
        if self.part.kind == "output_text":
            done["logprobs"] = part["logprobs"]
        self.fields.setdefault(form.list_key, []).append(part)
        self.part = None
        return [done, {"type": f"{form.part_event}.done", **location, "part": part}]

    def _part_location(self) -> JsonObject:
        assert self.part is not None
        return self._location | {self.part.form.index_key: self.part.index}


class CallItem:
    """A call of a function, a freeform tool or tool search that the client runs.

    Args:
        tool: the called tool if the events are written from chat deltas; None if a provider's own events are followed.
    """

    def __init__(self, output_index: int, fields: Item, tool: ClientTool | None = None) -> None:
        self.fields = fields
        self.done = False
        self.pieces: list[str] = []
        self._tool = tool
        self._reader = FreeformInputReader() if tool is not None and tool.kind == "custom_tool_call" else None
        self._input_key = INPUT_KEYS[fields["type"]]
        self._event_prefix = INPUT_EVENTS.get(fields["type"])
        self._location = {"item_id": fields.get("id"), "output_index": output_index}

    def add_arguments(self, arguments: str) -> list[Event]:
        """Return the events for more of the arguments."""
        piece = arguments if self._reader is None else self._reader.feed(arguments)
        return self._delta(piece)

    def close(self, status: str) -> list[Event]:
        events: list[Event] = []
        if self._reader is not None:
            rest, _ = self._reader.close()
            events += self._delta(rest)
        elif self._tool is not None and not self.pieces:
            events += self._delta("{}")
        self.fields = self.snapshot() | {"status": status}
        self.done = True
        if self._event_prefix is not None:
            done: Event = {
                "type": f"{self._event_prefix}.done",
                **self._location,
                self._input_key: self.fields[self._input_key],
            }
            if self._input_key == "arguments":
                done["name"] = self.fields.get("name", "")
            events.append(done)
        events.append(
            {"type": "response.output_item.done", "output_index": self._location["output_index"], "item": self.fields}
        )
        return events

    def snapshot(self) -> Item:
        """Return the item with its arguments so far."""
        if self.done:
            return self.fields
        arguments = "".join(self.pieces)
        if self._event_prefix is None:
            return self.fields | {self._input_key: search_arguments(arguments)}
        return self.fields | {self._input_key: arguments}

    def _delta(self, piece: str) -> list[Event]:
        if not piece:
            return []
        self.pieces.append(piece)
        if self._event_prefix is None:
            return []
        return [{"type": f"{self._event_prefix}.delta", **self._location, "delta": piece}]


class ProviderItem:
    """A call of a tool that the provider runs itself. Its events are only followed, never written."""

    def __init__(self, fields: Item) -> None:
        self.fields = fields
        self.done = False

    def close(self, status: str) -> list[Event]:
        self.done = True
        return []

    def snapshot(self) -> Item:
        return self.fields
