"""Chunks -> the Messages stream of one client, by however many models it is written."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api.messages.answer_from_chat import message_id, message_usage, stop_reason, text_of, wants_thinking
from gateway.api.messages.errors import error_object
from gateway.api.messages.stream_blocks import BlockSequence, event
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.sse import EventReader
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.errors import GatewayError

_DELTA = b"event: content_block_delta\n"  # which opens and closes nothing


class MessagesWriter:
    """A provider's own events pass while they make up the stream from its beginning; from others, events are written.

    Args:
        request: the fields of the client's request.
        names: the client's names of tools, by those that models are given instead.
    """

    def __init__(self, request: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._request = request
        self._blocks = BlockSequence(names)
        self._thinks = wants_thinking(request)
        self._begun = False
        self._own = False  # some of it is written here, so that a provider's events have the wrong indices
        self._finished = False  # the provider has said why and how it ended
        self._ended = False
        self._choice: dict[str, Any] = {}  # the one that ended it
        self._refused = False
        self._more: dict[str, Any] = {}

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        if chunk.api == "messages" and chunk.raw and not self._own:
            passed = self._pass(chunk.raw, model, fields.get("locus"))
            if passed is not None:
                return passed
        begin = self._begin(fields.get("id"), model)
        self._own = True
        for choice in fields["choices"]:
            if not choice.get("index"):
                self._take(choice, fields)
        return begin + self._blocks.events()

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        written = self._begin(None, model) + self._blocks.events(last=True)
        if not self._finished:
            reason, sequence = stop_reason(self._choice, self._request, tools=self._blocks.called)
            if self._refused and reason == "end_turn":
                reason = "refusal"
            delta = {"stop_reason": reason, "stop_sequence": sequence}
            counts = {"output_tokens": 0} if usage is None else message_usage(usage)
            written += event("message_delta", delta=delta, usage=counts, **self._more)
        return written + event("message_stop")

    def error(self, error: GatewayError) -> bytes:
        """No `message_stop`: the client's library raises what the event says."""
        return event(**{"kind": "error"} | {key: value for key, value in error_object(error).items() if key != "type"})

    def _pass(self, raw: bytes, model: str, locus: Any) -> bytes | None:
        """A provider's event, noting what it opens and closes.

        Args:
            locus: what the message's start shall tell.

        Returns:
            None for one that clients of this API cannot read, or that begins a second message: events are written from then on.
        """
        if raw.startswith(_DELTA):
            return raw
        kind, given = _event_fields(raw)
        if kind != given.get("type"):  # clients find events by their names
            return None
        index = given.get("index")
        match kind:
            case "message_start":
                if self._begun or not _is_start(given):
                    return None
                self._begun = True
                return _renamed(raw, given, model, locus)
            case "content_block_start" if isinstance(index, int):
                block = given.get("content_block")
                self._blocks.opened(index, str(block.get("type")) if isinstance(block, dict) else "")
            case "content_block_stop" if isinstance(index, int):
                self._blocks.closed(index)
            case "message_delta":
                delta = given.get("delta")
                if not isinstance(delta, dict) or not _counts(given, "output_tokens"):
                    return None
                self._finished = self._finished or delta.get("stop_reason") is not None
            case "message_stop":
                if not self._finished:
                    return b""  # `end` writes it, behind what it lacks
                self._ended = True
        return raw

    def _begin(self, chat_id: Any, model: str) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message: dict[str, Any] = {
            "id": message_id(chat_id),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": message_usage(None),  # chat tells it at the end
        }
        return event("message_start", message=message) + event("ping")

    def _take(self, choice: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or {}
        if self._thinks:
            self._think(delta)
        if text := text_of(delta.get("content")):
            self._blocks.text(text)
        if refusal := text_of(delta.get("refusal")):
            self._refused = True
            self._blocks.text(refusal)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._blocks.call(call)
        if "locus" in fields:  # who wrote it
            self._more = {"locus": self._more.get("locus", {}) | fields["locus"]}
        if choice.get("finish_reason") is not None:
            self._choice = dict(choice)

    def _think(self, delta: Mapping[str, Any]) -> None:
        """Reasoning, which LiteLLM's streams repeat in `thinking_blocks`; signatures are only there."""
        reasoning = text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning"))
        if reasoning:
            self._blocks.thinking(reasoning)
        blocks = delta.get("thinking_blocks")
        for block in blocks if isinstance(blocks, list) else ():
            if not isinstance(block, dict):
                continue
            if block.get("type") == "redacted_thinking" and isinstance(block.get("data"), str):
                self._blocks.redacted(block["data"])
            elif block.get("type") == "thinking":
                if not reasoning and (text := text_of(block.get("thinking"))):
                    self._blocks.thinking(text)
                if isinstance(block.get("signature"), str) and block["signature"]:
                    self._blocks.signature(block["signature"])


def _event_fields(raw: bytes) -> tuple[str, dict[str, Any]]:
    """An event's name and fields."""
    reader = EventReader()
    found = next((one for one in [*reader.feed(raw), *reader.close()] if one.data), None)
    if found is None:
        return "", {}
    try:
        fields = orjson.loads(found.data or b"")
    except orjson.JSONDecodeError:
        return "", {}
    return found.kind.decode("latin-1"), fields if isinstance(fields, dict) else {}


def _is_start(given: Mapping[str, Any]) -> bool:
    """Whether a `message_start` has what clients read of it."""
    message = given.get("message")
    return (
        isinstance(message, dict)
        and isinstance(message.get("content"), list)
        and message.get("role") == "assistant"
        and _counts(message, "input_tokens", "output_tokens")
    )


def _counts(found: Mapping[str, Any], *keys: str) -> bool:
    usage = found.get("usage")
    return isinstance(usage, dict) and all(isinstance(usage.get(key), int) for key in keys)


def _renamed(raw: bytes, given: Mapping[str, Any], model: str, locus: Any) -> bytes:
    """A `message_start` with the model's public name.

    Args:
        locus: how the answer came about, where it shall tell that.
    """
    message = given["message"]
    name = message.get("model")
    spliced = replace_model_name(raw, name, model) if isinstance(name, str) and locus is None else None
    if spliced is not None:
        return spliced
    more = {} if locus is None else {"locus": locus}
    kept = {key: value for key, value in given.items() if key != "type"}
    return event("message_start", **kept | {"message": message | {"model": model}} | more)
