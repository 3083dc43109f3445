"""Reads streams and answers of upstreams that speak the Responses API: what they mean in chat."""

from typing import Any

from gateway.api.responses.repair import PARTS, TEXTS, is_valid_event, repaired_item
from gateway.bodies.lenient_json import loads
from gateway.bodies.sse import Event
from gateway.core.answer import Chunk, Usage
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event

Fields = dict[str, Any]
_ADDED = "response.output_item.added"
_HOLDERS = frozenset({"delta", "item", "part", "response"})
FOREIGN = "provider_tool"  # the delta of what only the provider can go on with
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_INPUTS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_PARTS = {  # of a whole item: the event that adds them, and where they have their text
    "output_text": ("response.output_text.delta", "text"),
    "refusal": ("response.refusal.delta", "refusal"),
    "summary_text": ("response.reasoning_summary_text.delta", "text"),
    "reasoning_text": ("response.reasoning_text.delta", "text"),
}
_CALLS = frozenset({"function_call", "custom_tool_call"})
_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesReader:
    """Reads one stream."""

    def __init__(self) -> None:
        self._ended = False
        self._same: Any = {"id": None, "object": "chat.completion.chunk", "created": None, "model": None}
        self._calls: dict[Any, int] = {}  # output index -> index of the call in chat
        self._open: set[int] = set()  # items
        self._parts: set[tuple[int, Any]] = set()  # of items, that are open

    @property
    def ended(self) -> bool:
        return self._ended

    def read(self, event: Event) -> Chunk | None:
        value, strict = loads(event.data or b"")
        if isinstance(value, list | str) and value:
            raise ValueError("neither an event nor a sign of life")
        fields: Fields = value if isinstance(value, dict) else {}
        kind = fields.get("type")
        if not isinstance(kind, str):
            if fields.get("error"):
                raise classify_event(fields["error"])
            if fields.keys() & _HOLDERS:
                raise ValueError("an event without a type")
            return None
        index = fields.get("output_index")
        if kind == _ADDED and type(index) is int and index in self._open:
            return None  # told twice
        if not (strict and is_valid_event(kind, fields) and self._is_in_place(kind, fields)):
            event = event._replace(raw=b"")  # clients could not read it, or another parser than theirs has to
        if kind == "error":
            raise classify_event(fields.get("error") or {key: fields.get(key) for key in ("code", "message", "param")})
        response = fields.get("response")
        if kind == "response.failed":
            raise classify_event((response.get("error") if isinstance(response, dict) else None) or {})
        if kind.startswith("response.") and isinstance(response, dict):
            self._same |= {
                "id": response.get("id"),
                "created": response.get("created_at"),
                "model": response.get("model"),
            }
            if kind in ("response.completed", "response.incomplete"):
                return self._last(event, response)
        choice: Fields | None = self._choice(kind, fields)
        return Chunk(event.raw, self._same | {"choices": [choice] if choice is not None else []}, "responses")

    def _is_in_place(self, kind: str, fields: Fields) -> bool:
        """Whether an event of this type may come here. Notes what it opens and closes."""
        index = fields.get("output_index")
        if kind == _ADDED:
            self._open.add(fields["output_index"])
        elif kind == "response.output_item.done":
            if index not in self._open:
                return False
            self._open.discard(index)
        elif kind in PARTS:
            part = (fields["output_index"], fields[PARTS[kind][0]])
            if index not in self._open or (part in self._parts) == kind.endswith(".added"):
                return False
            self._parts ^= {part}
        elif kind in TEXTS:
            return index in self._open and all((index, fields[key]) in self._parts for key in TEXTS[kind][1])
        return True

    def _last(self, event: Event, response: Fields) -> Chunk:
        self._ended = True
        choice = {"index": 0, "delta": {}, "finish_reason": finish_reason(response)}
        chunk: ChatChunk = self._same | {"choices": [choice]}
        if (counts := chat_usage(response)) is not None:
            chunk["usage"] = counts
        return Chunk(event.raw, chunk, "responses")

    def _choice(self, kind: str, fields: Fields) -> Fields | None:
        delta = self._delta(kind, fields)
        if delta is None:
            return None
        choice: Fields = {"index": 0, "delta": delta, "finish_reason": None}
        if kind == "response.output_text.delta" and isinstance(fields.get("logprobs"), list) and fields["logprobs"]:
            choice["logprobs"] = {"content": fields["logprobs"]}
        return choice

    def _delta(self, kind: str, fields: Fields) -> Fields | None:
        if kind == "response.output_item.added":
            return self._added(fields.get("output_index"), fields.get("item"))
        text = fields.get("delta")
        if not isinstance(text, str):
            if text is not None and kind in TEXTS:
                raise ValueError("text that is none")
            return None
        if kind == "response.output_text.delta":
            return {"content": text}
        if kind == "response.refusal.delta":
            return {"refusal": text}
        if kind in _THOUGHTS:
            return {"reasoning_content": text}
        if kind in _INPUTS:
            index = fields.get("output_index")
            if not self._calls or (type(index) is int and index not in self._calls):
                raise ValueError("a delta of no call")
            at = self._calls[index] if type(index) is int else len(self._calls) - 1
            return {"tool_calls": [{"index": at, "function": {"arguments": text}}]}
        return None

    def _added(self, index: Any, item: Any) -> Fields | None:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind is None or kind in ("message", "reasoning"):
            return None
        if not isinstance(kind, str) or kind not in _CALLS:
            return {FOREIGN: str(kind)}
        at = len(self._calls)
        self._calls[index if isinstance(index, int) else -1 - at] = at
        function = {"name": item.get("name"), "arguments": item.get("arguments") or item.get("input") or ""}
        return {"tool_calls": [{"index": at, "id": item.get("call_id"), "type": "function", "function": function}]}


def events_of_answer(response: Fields) -> list[Fields]:
    """The events that a whole Response object amounts to, as far as chat knows of them."""
    told: list[Fields] = []
    for index, item in enumerate(response["output"]):
        told.append({"type": "response.output_item.added", "output_index": index, "item": item})
        for part in [*(item.get("summary") or ()), *(item.get("content") or ())]:
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and (found := _PARTS.get(kind)) is not None:
                told.append({"type": found[0], "delta": part.get(found[1])})
    return [*told, {"type": "response.completed", "response": response}]


def checked_answer(fields: Any) -> Fields:
    """`fields` as a finished Response object.

    Raises:
        UpstreamFailure: it is none (unreadable), or one that failed.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("output"), list):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no output in the answer")
    output = list(map(repaired_item, fields["output"]))
    if fields.get("error") or fields.get("status") == "failed":
        raise classify_event(fields.get("error") or {})
    if fields.get("status") in ("in_progress", "queued", "cancelled"):
        raise UpstreamFailure(Cause.UNREADABLE, detail="an unfinished response")
    return fields if output == fields["output"] else fields | {"output": output}


def billed_usage(fields: Fields) -> Usage | None:
    """What a Response object says that it cost."""
    return Usage.read(chat_usage(fields))


def chat_usage(response: Fields) -> ChatUsage | None:
    """A Response object's usage in the form of chat; None where it has none that can be read."""
    counts = response.get("usage")
    if not isinstance(counts, dict):
        return None
    read, written = counts.get("input_tokens"), counts.get("output_tokens")
    if not isinstance(read, int) or not isinstance(written, int):
        return None
    chat: ChatUsage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    if isinstance(details := counts.get("input_tokens_details"), dict):
        chat["prompt_tokens_details"] = details
    if isinstance(details := counts.get("output_tokens_details"), dict):
        chat["completion_tokens_details"] = details
    return chat


def finish_reason(response: Fields) -> str:
    """Why it ended, in chat's words."""
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return _REASONS.get(reason, "length") if isinstance(reason, str) else "length"
    output = response.get("output")
    items = output if isinstance(output, list) else []
    called = any(isinstance(item, dict) and item.get("type") in ("function_call", "custom_tool_call") for item in items)
    return "tool_calls" if called else "stop"
