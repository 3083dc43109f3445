"""Reads streams and answers of upstreams that speak the Responses API: what they mean in chat."""

from typing import Any

from gateway.lenient_json import loads
from gateway.sse import Event
from gateway.upstream.answer import Chunk, Usage
from gateway.upstream.failures import Cause, UpstreamFailure, classify_event

Fields = dict[str, Any]
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
        self._same: Fields = {"id": None, "object": "chat.completion.chunk", "created": None, "model": None}
        self._calls: dict[Any, int] = {}  # output index -> index of the call in chat

    @property
    def ended(self) -> bool:
        return self._ended

    def read(self, event: Event) -> Chunk | None:
        value, strict = loads(event.data or b"")
        if not strict:  # another parser than the client's has to read it
            event = event._replace(raw=b"")
        fields: Fields = value if isinstance(value, dict) else {}
        kind = fields.get("type")
        if not isinstance(kind, str):
            if fields.get("error"):
                raise classify_event(fields["error"])
            return None
        if kind == "error":
            raise classify_event(fields.get("error") or {key: fields.get(key) for key in ("code", "message", "param")})
        response = fields.get("response")
        if kind.startswith("response.") and isinstance(response, dict):
            if kind == "response.failed":
                raise classify_event(response.get("error") or {})
            self._same |= {
                "id": response.get("id"),
                "created": response.get("created_at"),
                "model": response.get("model"),
            }
            if kind in ("response.completed", "response.incomplete"):
                return self._last(event, response)
        choice: Fields | None = self._choice(kind, fields)
        return Chunk(event.raw, self._same | {"choices": [choice] if choice is not None else []}, "responses")

    def _last(self, event: Event, response: Fields) -> Chunk:
        self._ended = True
        choice = {"index": 0, "delta": {}, "finish_reason": finish_reason(response)}
        chunk = self._same | {"choices": [choice]}
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
            return None
        if kind == "response.output_text.delta":
            return {"content": text}
        if kind == "response.refusal.delta":
            return {"refusal": text}
        if kind in _THOUGHTS:
            return {"reasoning_content": text}
        if kind in _INPUTS:
            index = fields.get("output_index")
            at = self._calls.get(index, 0) if isinstance(index, int) else 0
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


def events(response: Fields) -> list[Fields]:
    """The events that a whole Response object amounts to, as far as chat knows of them."""
    told: list[Fields] = []
    for index, item in enumerate(response["output"]):
        told.append({"type": "response.output_item.added", "output_index": index, "item": item})
        for part in [*(item.get("summary") or ()), *(item.get("content") or ())]:
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and (found := _PARTS.get(kind)) is not None:
                told.append({"type": found[0], "delta": part.get(found[1])})
    return [*told, {"type": "response.completed", "response": response}]


def check(fields: Any) -> Fields:
    """`fields` as a finished Response object.

    Raises:
        UpstreamFailure: it is none (unreadable), or one that failed.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("output"), list):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no output in the answer")
    if not all(isinstance(item, dict) for item in fields["output"]):
        raise UpstreamFailure(Cause.UNREADABLE, detail="output items that are no objects")
    if fields.get("error") or fields.get("status") == "failed":
        raise classify_event(fields.get("error") or {})
    if fields.get("status") in ("in_progress", "queued", "cancelled"):
        raise UpstreamFailure(Cause.UNREADABLE, detail="an unfinished response")
    return fields


def usage(fields: Fields) -> Usage | None:
    """What a Response object says that it cost."""
    return Usage.read(chat_usage(fields))


def chat_usage(response: Fields) -> Fields | None:
    """A Response object's usage in the form of chat; None where it has none that can be read."""
    counts = response.get("usage")
    if not isinstance(counts, dict):
        return None
    read, written = counts.get("input_tokens"), counts.get("output_tokens")
    if not isinstance(read, int) or not isinstance(written, int):
        return None
    chat: Fields = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    for key, name in (("input_tokens_details", "prompt"), ("output_tokens_details", "completion")):
        if isinstance(details := counts.get(key), dict):
            chat[f"{name}_tokens_details"] = details
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
