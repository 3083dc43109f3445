"""The Responses stream of an upstream -> chunks with the original bytes and their meaning in chat. Also complete responses."""

from typing import Any

from gateway.api.responses.conversation_to_chat import CALLS
from gateway.api.responses.repair import PART_EVENTS, TEXT_EVENTS, is_valid_event, repaired_item
from gateway.api.responses.types import Event as ResponseEvent
from gateway.api.responses.types import Response
from gateway.api.responses.usage import billed_usage
from gateway.bodies.lenient_json import loads
from gateway.bodies.sse import Event
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatMessage, ChunkChoice, FunctionCall
from gateway.core.extras import extras_of, with_extras
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event

_ADDED = "response.output_item.added"
_CONTENT_KEYS = frozenset({"delta", "item", "part", "response"})
_REASONING_DELTAS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_INPUT_DELTAS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_PART_DELTAS = {  # type of a part -> the event that adds its text, and the key of the text in the part
    "output_text": ("response.output_text.delta", "text"),
    "refusal": ("response.refusal.delta", "refusal"),
    "summary_text": ("response.reasoning_summary_text.delta", "text"),
    "reasoning_text": ("response.reasoning_text.delta", "text"),
}
_FINISH_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesReader:
    """Reads one stream."""

    def __init__(self) -> None:
        self._ended = False
        self._base: Any = {"id": None, "object": "chat.completion.chunk", "created": None, "model": None}
        self._calls: dict[int, int] = {}  # output index -> index among the tool calls
        self._open: set[int] = set()  # output indexes of open items
        self._parts: set[tuple[int, int]] = set()  # output and part index of each open part

    @property
    def ended(self) -> bool:
        return self._ended

    def read(self, event: Event) -> Chunk | None:
        """Return the chunk for an event; see `gateway.api.dialect.Reader`."""
        value, strict = loads(event.data or b"")
        if isinstance(value, list | str) and value:
            raise ValueError("neither an event nor a keep-alive")
        fields: ResponseEvent = value if isinstance(value, dict) else {}
        kind = fields.get("type")
        if not isinstance(kind, str):
            if fields.get("error"):
                raise classify_event(fields["error"])
            if fields.keys() & _CONTENT_KEYS:
                raise ValueError("an event without a type")
            return None
        index = fields.get("output_index")
        if kind == _ADDED and type(index) is int and index in self._open:
            return None  # a repeated event
        if not (strict and is_valid_event(kind, fields) and self._is_in_order(kind, fields)):
            event = event._replace(raw=b"")  # clients could not read it
        if kind == "error":
            raise classify_event(fields.get("error") or {key: fields.get(key) for key in ("code", "message", "param")})
        response = fields.get("response")
        if kind == "response.failed":
            raise classify_event((response.get("error") if isinstance(response, dict) else None) or {})
        if kind.startswith("response.") and isinstance(response, dict):
            self._base |= {
                "id": response.get("id"),
                "created": response.get("created_at"),
                "model": response.get("model"),
            }
            if kind in ("response.completed", "response.incomplete"):
                return self._last(event, response)
        choice = self._choice(kind, fields)
        return Chunk(event.raw, self._chunk([choice] if choice is not None else []), "responses")

    def _chunk(self, choices: list[ChunkChoice]) -> ChatChunk:
        chunk: ChatChunk = self._base | {"choices": choices}
        return chunk

    def _is_in_order(self, kind: str, fields: ResponseEvent) -> bool:
        """Return True if an event of this type is allowed at this point of the stream. Notes what it opens and closes."""
        index = fields.get("output_index")
        if kind == _ADDED:
            self._open.add(fields["output_index"])
        elif kind == "response.output_item.done":
            if index not in self._open:
                return False
            self._open.discard(index)
        elif kind in PART_EVENTS:
            part = (fields["output_index"], fields[PART_EVENTS[kind][0]])
            if index not in self._open or (part in self._parts) == kind.endswith(".added"):
                return False
            self._parts ^= {part}
        elif kind in TEXT_EVENTS:
            return index in self._open and all((index, fields[key]) in self._parts for key in TEXT_EVENTS[kind][1])
        return True

    def _last(self, event: Event, response: Response) -> Chunk:
        self._ended = True
        chunk = self._chunk([{"index": 0, "delta": {}, "finish_reason": response_finish_reason(response)}])
        if (usage := billed_usage(response)) is not None:
            chunk["usage"] = with_extras(usage.in_chat(), extras_of(response))
        return Chunk(event.raw, chunk, "responses")

    def _choice(self, kind: str, fields: ResponseEvent) -> ChunkChoice | None:
        delta = self._delta(kind, fields)
        if delta is None:
            return None
        choice: ChunkChoice = {"index": 0, "delta": delta, "finish_reason": None}
        if kind == "response.output_text.delta" and isinstance(fields.get("logprobs"), list) and fields["logprobs"]:
            choice["logprobs"] = {"content": fields["logprobs"]}
        return choice

    def _delta(self, kind: str, fields: ResponseEvent) -> ChatMessage | None:
        if kind == "response.output_item.added":
            return self._item_added(fields.get("output_index"), fields.get("item"))
        text = fields.get("delta")
        if not isinstance(text, str):
            if text is not None and kind in TEXT_EVENTS:
                raise ValueError("text of another type than a string")
            return None
        if kind == "response.output_text.delta":
            return {"content": text}
        if kind == "response.refusal.delta":
            return {"refusal": text}
        if kind in _REASONING_DELTAS:
            return {"reasoning_content": text}
        if kind in _INPUT_DELTAS:
            index = fields.get("output_index")
            if not self._calls or (type(index) is int and index not in self._calls):
                raise ValueError("a delta without its call")
            call_index = self._calls[index] if type(index) is int else len(self._calls) - 1
            return {"tool_calls": [{"index": call_index, "function": {"arguments": text}}]}
        return None

    def _item_added(self, index: object, item: object) -> ChatMessage | None:
        kind = item.get("type") if isinstance(item, dict) else None
        if not isinstance(item, dict) or kind is None or kind in ("message", "reasoning"):
            return None
        if not isinstance(kind, str) or kind not in CALLS:
            return {"provider_tool": str(kind)}
        call_index = len(self._calls)
        self._calls[index if isinstance(index, int) else -1 - call_index] = call_index
        name: Any = item.get("name")  # not checked here
        call_id: Any = item.get("call_id")
        function: FunctionCall = {"name": name, "arguments": item.get("arguments") or item.get("input") or ""}
        return {"tool_calls": [{"index": call_index, "id": call_id, "type": "function", "function": function}]}


def events_of_answer(response: Response) -> list[ResponseEvent]:
    """Return the stream events for a complete Response object, as far as they have a meaning in chat."""
    events: list[ResponseEvent] = []
    for index, item in enumerate(response["output"]):
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        for part in [*(item.get("summary") or ()), *(item.get("content") or ())]:
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and (form := _PART_DELTAS.get(kind)) is not None:
                events.append({"type": form[0], "delta": part.get(form[1])})
    return [*events, {"type": "response.completed", "response": response}]


def checked_answer(fields: object) -> Response:
    """Return a finished Response object, with repaired items if needed.

    Raises:
        UpstreamFailure: unreadable, because there is no output or it is not finished; or the response failed.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("output"), list):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no output in the answer")
    output = list(map(repaired_item, fields["output"]))
    if fields.get("error") or fields.get("status") == "failed":
        raise classify_event(fields.get("error") or {})
    if fields.get("status") in ("in_progress", "queued", "cancelled"):
        raise UpstreamFailure(Cause.UNREADABLE, detail="an unfinished response")
    return fields if output == fields["output"] else fields | {"output": output}


def response_finish_reason(response: Response) -> str:
    """Return the finish reason of chat for a finished Response object."""
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return _FINISH_REASONS.get(reason, "length") if isinstance(reason, str) else "length"
    output = response.get("output")
    items = output if isinstance(output, list) else []
    called = any(isinstance(item, dict) and item.get("type") in ("function_call", "custom_tool_call") for item in items)
    return "tool_calls" if called else "stop"
