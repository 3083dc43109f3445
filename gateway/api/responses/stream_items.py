"""Output items that are being written, and the events that tell of it. Events have no sequence number yet."""

from typing import Any, NamedTuple

from gateway.api.responses.answer_from_chat import Fields, arguments_object
from gateway.api.responses.freeform_tools import FreeformInputReader
from gateway.api.responses.tool_names import ClientTool


class Form(NamedTuple):
    """How the events of a kind of part are called."""

    text: str  # the events with its text
    key: str  # the text in the part
    part: str  # the events of the part itself
    at: str
    among: str  # the list of the item that it is in


FORMS = {
    "output_text": Form("response.output_text", "text", "response.content_part", "content_index", "content"),
    "refusal": Form("response.refusal", "refusal", "response.content_part", "content_index", "content"),
    "reasoning_text": Form("response.reasoning_text", "text", "response.content_part", "content_index", "content"),
    "summary_text": Form(
        "response.reasoning_summary_text", "text", "response.reasoning_summary_part", "summary_index", "summary"
    ),
}
INPUTS = {"function_call": "arguments", "custom_tool_call": "input", "tool_search_call": "arguments"}
_INPUT_EVENTS = {  # a search for tools has none: its arguments are an object
    "function_call": "response.function_call_arguments",
    "custom_tool_call": "response.custom_tool_call_input",
}


class Part:
    """A part of an item whose text is being written."""

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.form = FORMS[kind]
        self.pieces: list[str] = []
        self.logprobs: list[Fields] = []
        self.annotations: list[Any] = []

    def fields(self) -> Fields:
        """The part as it is now."""
        part: Fields = {"type": self.kind, self.form.key: "".join(self.pieces)}
        if self.kind == "output_text":
            part |= {"annotations": list(self.annotations), "logprobs": list(self.logprobs)}
        return part


class Spoken:
    """A message or reasoning: at most one part of it is open."""

    def __init__(self, output_index: int, fields: Fields) -> None:
        self.fields = fields
        self.part: Part | None = None
        self.done = False
        self._at = {"item_id": fields.get("id"), "output_index": output_index}

    def say(self, kind: str, text: str, with_logprobs: list[Fields]) -> list[Fields]:
        """The events for more text of this kind of part."""
        events: list[Fields] = []
        if self.part is None or self.part.kind != kind:
            events += self._end_part()
            form = FORMS[kind]
            self.part = Part(kind, len(self.fields.setdefault(form.among, [])))
            events.append({"type": f"{form.part}.added", **self._where(), "part": self.part.fields()})
        self.part.pieces.append(text)
        delta = {"type": f"{self.part.form.text}.delta", **self._where(), "delta": text}
        if kind == "output_text":
            self.part.logprobs += with_logprobs
            delta["logprobs"] = with_logprobs
        return [*events, delta]

    def close(self, status: str) -> list[Fields]:
        events = self._end_part()
        self.done = True
        self.fields["status"] = status
        return [
            *events,
            {"type": "response.output_item.done", "output_index": self._at["output_index"], "item": self.fields},
        ]

    def now(self) -> Fields:
        """The item as it is now."""
        if self.part is None:
            return self.fields
        among = self.part.form.among
        return self.fields | {among: [*self.fields.get(among, []), self.part.fields()]}

    def take(self, part: Any) -> None:
        """The part that was open is as a native event says."""
        open_part, self.part = self.part, None
        if open_part is not None and isinstance(part, dict):
            self.fields.setdefault(open_part.form.among, []).append(part)

    def _end_part(self) -> list[Fields]:
        if self.part is None:
            return []
        where, part, form = self._where(), self.part.fields(), self.part.form
        end = {"type": f"{form.text}.done", **where, form.key: part[form.key]}
        if self.part.kind == "output_text":
            end["logprobs"] = part["logprobs"]
        self.fields.setdefault(form.among, []).append(part)
        self.part = None
        return [end, {"type": f"{form.part}.done", **where, "part": part}]

    def _where(self) -> Fields:
        assert self.part is not None
        return self._at | {self.part.form.at: self.part.index}


class Called:
    """A call of a function, a freeform tool or the client's search for tools.

    Args:
        tool: what is called, where it is written from chat; None where native events are followed.
    """

    def __init__(self, output_index: int, fields: Fields, tool: ClientTool | None = None) -> None:
        self.fields = fields
        self.done = False
        self.pieces: list[str] = []
        self._tool = tool
        self._reader = FreeformInputReader() if tool is not None and tool.kind == "custom_tool_call" else None
        self._key = INPUTS[fields["type"]]
        self._event = _INPUT_EVENTS.get(fields["type"])
        self._at = {"item_id": fields.get("id"), "output_index": output_index}

    def write(self, arguments: str) -> list[Fields]:
        """The events for more of the arguments."""
        piece = arguments if self._reader is None else self._reader.feed(arguments)
        return self._delta(piece)

    def close(self, status: str) -> list[Fields]:
        events: list[Fields] = []
        if self._reader is not None:
            rest, _ = self._reader.close()
            events += self._delta(rest)
        elif self._tool is not None and not self.pieces:
            events += self._delta("{}")
        self.fields = self.now() | {"status": status}
        self.done = True
        if self._event is not None:
            end = {"type": f"{self._event}.done", **self._at, self._key: self.fields[self._key]}
            if self._key == "arguments":
                end["name"] = self.fields.get("name", "")
            events.append(end)
        events.append(
            {"type": "response.output_item.done", "output_index": self._at["output_index"], "item": self.fields}
        )
        return events

    def now(self) -> Fields:
        """The item as it is now."""
        if self.done:
            return self.fields
        written = "".join(self.pieces)
        if self._event is None:
            return self.fields | {self._key: arguments_object(written)}
        return self.fields | {self._key: written}

    def _delta(self, piece: str) -> list[Fields]:
        if not piece:
            return []
        self.pieces.append(piece)
        if self._event is None:
            return []
        return [{"type": f"{self._event}.delta", **self._at, "delta": piece}]


class Foreign:
    """What a provider's own tool does; only ever followed."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.done = False

    def close(self, status: str) -> list[Fields]:
        self.done = True
        return []

    def now(self) -> Fields:
        return self.fields
