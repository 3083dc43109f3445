"""Chat chunks -> the Messages stream of one client, also when several models write parts of the response."""

from collections.abc import Mapping

import orjson

from gateway.api.answer_text import content_text, reasoning_text
from gateway.api.messages.answer_from_chat import message_id, stop_reason, wants_thinking
from gateway.api.messages.errors import error_object
from gateway.api.messages.stream_blocks import BlockSequence, encoded_event
from gateway.api.messages.types import Message
from gateway.api.messages.usage import message_usage
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.sse import EventReader
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatMessage, ChatUsage, ChunkChoice
from gateway.core.errors import GatewayError
from gateway.core.json_types import JsonObject, objects_in

_DELTA = b"event: content_block_delta\n"  # neither opens nor closes a block


class MessagesWriter:
    """Passes a provider's own Messages events on until the first chunk of another kind; from then on it writes the events.

    Args:
        request: the fields of the client's request.
        names: the client's names of tools, by the names that models are given instead.
    """

    def __init__(self, request: Mapping[str, object], names: Mapping[str, str]) -> None:
        self._request = request
        self._blocks = BlockSequence(names)
        self._wants_thinking = wants_thinking(request)
        self._started = False  # `message_start` is out
        self._writes_events = False  # some events are the gateway's own, so a provider's block indexes no longer fit
        self._has_stop_reason = False  # a passed event contained the stop reason
        self._ended = False
        self._last_choice: ChunkChoice = {"index": 0, "delta": {}}  # the choice with the finish reason
        self._refused = False
        self._extra_fields: JsonObject = {}

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        if chunk.api == "messages" and chunk.raw and not self._writes_events:
            passed = self._pass_event(chunk.raw, model, fields.get("locus"))
            if passed is not None:
                return passed
        start = self._start(fields.get("id"), model, fields.get("locus"))
        self._writes_events = True
        for choice in fields["choices"]:
            if not choice.get("index"):
                self._add_choice(choice, fields)
        return start + self._blocks.events()

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        written = self._start(None, model) + self._blocks.events(last=True)
        if not self._has_stop_reason:
            reason, sequence = stop_reason(self._last_choice, self._request, has_tool_call=self._blocks.has_tool_call)
            if self._refused and reason == "end_turn":
                reason = "refusal"
            delta = {"stop_reason": reason, "stop_sequence": sequence}
            counts = {"output_tokens": 0} if usage is None else message_usage(usage)
            written += encoded_event("message_delta", delta=delta, usage=counts, **self._extra_fields)
        return written + encoded_event("message_stop")

    def error(self, error: GatewayError) -> bytes:
        """Return the `error` event. No `message_stop` follows, so the client's library raises the error."""
        return encoded_event("error", error=error_object(error)["error"])

    def _pass_event(self, raw: bytes, model: str, locus: object) -> bytes | None:
        """Return a provider's event as bytes for the client, and note which block it opens or closes.

        Args:
            locus: a field to add to the message of `message_start`, if any.

        Returns:
            None if clients of this API cannot read the event, or if it starts a second message: the gateway then writes its own
            events.
        """
        if raw.startswith(_DELTA):
            return raw
        name, event = _parsed_event(raw)
        if name != event.get("type"):  # clients read the type from the `event` line
            return None
        index = event.get("index")
        match name:
            case "message_start":
                if self._started or not _is_message_start(event):
                    return None
                self._started = True
                return _with_model_name(raw, event, model, locus)
            case "content_block_start" if isinstance(index, int):
                block = event.get("content_block")
                self._blocks.note_start(index, str(block.get("type")) if isinstance(block, dict) else "")
            case "content_block_stop" if isinstance(index, int):
                self._blocks.note_stop(index)
            case "message_delta":
                delta = event.get("delta")
                if not isinstance(delta, dict) or not _has_counts(event, "output_tokens"):
                    return None
                self._has_stop_reason = self._has_stop_reason or delta.get("stop_reason") is not None
            case "message_stop":
                if not self._has_stop_reason:
                    return b""  # `end` writes it, after the events that are missing
                self._ended = True
        return raw

    def _start(self, completion_id: object, model: str, locus: object = None) -> bytes:
        if self._started:
            return b""
        self._started = True
        message: Message = {
            "id": message_id(completion_id),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": message_usage(None),  # chat reports it at the end
        }
        told = message if locus is None else {**message, "locus": locus}  # clients keep it with the message
        return encoded_event("message_start", message=told) + encoded_event("ping")

    def _add_choice(self, choice: ChunkChoice, fields: ChatChunk) -> None:
        delta = choice.get("delta") or {}
        if self._wants_thinking:
            self._add_thinking(delta)
        if text := content_text(delta.get("content")):
            self._blocks.add_text(text)
        if refusal := content_text(delta.get("refusal")):
            self._refused = True
            self._blocks.add_text(refusal)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._blocks.add_tool_call(call)
        if "locus" in fields:  # the model that wrote it
            self._extra_fields = {"locus": self._extra_fields.get("locus", {}) | fields["locus"]}
        if choice.get("finish_reason") is not None:
            self._last_choice = choice

    def _add_thinking(self, delta: ChatMessage) -> None:
        """Add reasoning. LiteLLM's streams repeat it in `thinking_blocks`; signatures are only there."""
        reasoning = reasoning_text(delta)
        if reasoning:
            self._blocks.add_thinking(reasoning)
        if "thinking_blocks" not in delta:
            return
        for block in objects_in(delta["thinking_blocks"]):
            if block.get("type") == "redacted_thinking" and isinstance(block.get("data"), str):
                self._blocks.add_redacted_thinking(block["data"])
            elif block.get("type") == "thinking":
                if not reasoning and (text := content_text(block.get("thinking"))):
                    self._blocks.add_thinking(text)
                if isinstance(block.get("signature"), str) and block["signature"]:
                    self._blocks.add_signature(block["signature"])


def _parsed_event(raw: bytes) -> tuple[str, JsonObject]:
    """Return an event's name and fields; an empty name and no fields if it cannot be read."""
    reader = EventReader()
    event = next((event for event in [*reader.feed(raw), *reader.close()] if event.data), None)
    if event is None:
        return "", {}
    try:
        fields = orjson.loads(event.data or b"")
    except orjson.JSONDecodeError:
        return "", {}
    return event.kind.decode("latin-1"), fields if isinstance(fields, dict) else {}


def _is_message_start(event: JsonObject) -> bool:
    """Return True if a `message_start` has the fields that clients read."""
    message = event.get("message")
    return (
        isinstance(message, dict)
        and isinstance(message.get("content"), list)
        and message.get("role") == "assistant"
        and _has_counts(message, "input_tokens", "output_tokens")
    )


def _has_counts(holder: JsonObject, *keys: str) -> bool:
    usage = holder.get("usage")
    return isinstance(usage, dict) and all(isinstance(usage.get(key), int) for key in keys)


def _with_model_name(raw: bytes, event: JsonObject, model: str, locus: object) -> bytes:
    """Return a `message_start` with the model's public name.

    Args:
        locus: a field to add to the message, if any.
    """
    message = event["message"]
    name = message.get("model")
    replaced = replace_model_name(raw, name, model) if isinstance(name, str) and locus is None else None
    if replaced is not None:
        return replaced
    extra = {} if locus is None else {"locus": locus}
    fields = {key: value for key, value in event.items() if key != "type"}
    return encoded_event("message_start", **fields | {"message": message | {"model": model} | extra})
