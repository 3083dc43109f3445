"""The Messages stream of an upstream -> chunks with the original bytes and their meaning in chat."""

import time
from collections.abc import Callable
from typing import Any, Literal

from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.messages.repair import is_valid_event, repaired_message
from gateway.api.messages.usage import added_usage, read_usage
from gateway.bodies.lenient_json import dumps, loads
from gateway.bodies.sse import Event
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatMessage, ChunkChoice
from gateway.core.extras import extras_of, with_extras
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_CONTENT_KEYS = frozenset({"delta", "content_block", "message"})
_NOTHING: ChatChunk = {"choices": []}


class MessagesReader:
    """Reads one stream.

    A block that chat cannot express, such as a web search by the provider, becomes a delta `provider_block` with the block's
    type. No other model can continue a response after such a block.

    Args:
        clock: seconds since the epoch, for the creation time, which Messages do not have.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.ended = False
        self._base: ChatChunk = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(clock()),
            "model": "",
            "choices": [],
        }
        self._usage: JsonObject = {}
        self._block_types: dict[int, str] = {}  # by the block's index
        self._calls: dict[int, int] = {}  # block index -> index among the tool calls
        self._inputs: dict[int, object] = {}  # inputs in `content_block_start`, as long as no delta has come
        self._open: set[int] = set()  # indexes of open blocks
        self._started = False
        self._finished = False

    def read(self, event: Event) -> Chunk | None:
        """Return the chunk for an event; see `gateway.api.dialect.Reader`."""
        fields, strict = loads(event.data or b"")
        if not isinstance(fields, dict):
            if isinstance(fields, list | str) and fields:
                raise ValueError("neither an event nor a keep-alive")
            return None
        if not isinstance(kind := fields.get("type"), str):
            if fields.get("error"):
                raise classify_event(fields["error"])
            if fields.keys() & _CONTENT_KEYS:
                raise ValueError("an event without a type")
            return None
        given = fields.get("index")
        index = given if type(given) is int else max(self._block_types, default=0)
        if kind == "content_block_start" and index in self._open:
            return None  # a repeated event
        valid = (
            strict and event.kind == kind.encode() and is_valid_event(kind, fields) and self._is_in_order(kind, index)
        )
        chat: ChatChunk | None
        match kind:
            case "message_start":
                chat = self._message_start(fields.get("message"))
            case "content_block_start":
                chat = self._block_start(index, fields.get("content_block"))
            case "content_block_delta":
                chat = self._block_delta(index, fields.get("delta"))
            case "content_block_stop":
                chat = self._block_stop(index)
            case "message_delta":
                chat = self._message_delta(fields.get("delta"), fields.get("usage"))
            case "error":
                raise classify_event(fields.get("error") or fields)
            case _:
                self.ended = self.ended or kind == "message_stop"
                chat = _NOTHING
        return None if chat is None else Chunk(event.raw if valid else b"", self._base | chat, "messages")

    def _is_in_order(self, kind: str, index: int) -> bool:
        """Return True if an event of this type is allowed at this point of the stream."""
        if kind == "message_start":
            return not self._started
        if kind in ("content_block_delta", "content_block_stop"):
            return index in self._open and not self._finished
        if kind == "message_delta":
            return self._started and not self._open and not self._finished
        return kind == "ping" or (self._started and not (self._finished and kind == "content_block_start"))

    def _message_start(self, message: object) -> ChatChunk | None:
        if not isinstance(message, dict):
            return None
        self._started = True
        if isinstance(message.get("id"), str):
            self._base["id"] = message["id"]
        if isinstance(message.get("model"), str):
            self._base["model"] = message["model"]
        self._usage = added_usage(self._usage, message.get("usage"))
        return _with_usage(_chunk({"role": "assistant", "content": ""}), self._usage)

    def _block_start(self, index: int, block: object) -> ChatChunk | None:
        if block is None:
            return None
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise ValueError("a block without a type")
        kind = self._block_types[index] = block["type"]
        self._open.add(index)
        if kind == "text":
            return _text_chunk("content", block.get("text"))
        if kind == "thinking":
            return _text_chunk("reasoning_content", block.get("thinking"))
        if kind == "redacted_thinking":
            return _chunk({"thinking_blocks": [{"type": kind, "data": block.get("data")}]})
        if kind != "tool_use":
            return _chunk({"provider_block": kind})
        call_id: Any = block.get("id")  # not checked here
        name: Any = block.get("name")
        call_index = self._calls[index] = len(self._calls)
        self._inputs[index] = block.get("input")
        return _chunk(
            {
                "tool_calls": [
                    {
                        "index": call_index,
                        "id": call_id,
                        "type": "function",
                        "function": {"name": name, "arguments": ""},
                    }
                ]
            }
        )

    def _block_delta(self, index: int, delta: object) -> ChatChunk | None:
        if delta is None:
            return None
        if not isinstance(delta, dict) or not isinstance(delta.get("type"), str):
            raise ValueError("a delta without a type")
        match delta.get("type"):
            case "text_delta":
                return _text_chunk("content", delta.get("text"))
            case "thinking_delta":
                return _text_chunk("reasoning_content", delta.get("thinking"))
            case "signature_delta":
                block = {"type": "thinking", "thinking": "", "signature": delta.get("signature")}
                return _chunk({"thinking_blocks": [block]})
            case "input_json_delta" if index not in self._open:
                raise ValueError("a delta without its block")
            case "input_json_delta" if index in self._calls:
                return self._arguments(index, delta.get("partial_json"))
            case "input_json_delta":
                return _chunk({"provider_block": self._block_types.get(index, "unknown")})
        return _NOTHING

    def _arguments(self, index: int, text: object) -> ChatChunk:
        if not text:
            return _NOTHING
        if not isinstance(text, str):
            text = dumps(text).decode()
        self._inputs.pop(index, None)
        return _chunk({"tool_calls": [{"index": self._calls[index], "function": {"arguments": text}}]})

    def _block_stop(self, index: int) -> ChatChunk:
        self._open.discard(index)
        given = self._inputs.pop(index, None)
        return self._arguments(index, dumps(given).decode()) if given else _NOTHING

    def _message_delta(self, delta: object, usage: object) -> ChatChunk:
        self._usage = added_usage(self._usage, usage)
        chat = _NOTHING
        if isinstance(delta, dict) and finish_reason(delta.get("stop_reason")) is not None:
            chat = _finish(delta)
            self._finished = True
        return _with_usage(chat, self._usage)


def events_of_answer(message: JsonObject) -> list[JsonObject]:
    """Return the stream events for a complete Message. Each block is complete in its `content_block_start` event."""
    events: list[JsonObject] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(message["content"]):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": message.get("stop_reason") or "end_turn", "stop_sequence": message.get("stop_sequence")}
    return [*events, {"type": "message_delta", "delta": delta}, {"type": "message_stop"}]


def checked_answer(fields: object) -> JsonObject:
    """Return a complete Message, repaired if needed; the same object if it needs no change.

    Raises:
        UpstreamFailure: unreadable, because it has no list of content blocks, or a block lacks its content.
    """
    content = fields.get("content") if isinstance(fields, dict) and fields.get("type") == "message" else None
    if (
        not isinstance(fields, dict)
        or not isinstance(content, list)
        or not all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in content)
    ):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no content in the answer")
    return repaired_message(fields)


def _with_usage(chat: ChatChunk, counts: JsonObject) -> ChatChunk:
    usage = read_usage(counts)
    if usage is None:
        return chat
    return {"choices": chat["choices"], "usage": with_extras(usage.in_chat(), extras_of({"usage": counts}))}


def _finish(delta: JsonObject) -> ChatChunk:
    choice: ChunkChoice = {
        "index": 0,
        "delta": {},
        "finish_reason": FINISH_REASONS.get(str(delta["stop_reason"]), "stop"),
    }
    if isinstance(delta.get("stop_sequence"), str):
        choice["stop_reason"] = delta["stop_sequence"]  # under vLLM's name
    return {"choices": [choice]}


def _chunk(delta: ChatMessage) -> ChatChunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _text_chunk(key: Literal["content", "reasoning_content"], text: object) -> ChatChunk:
    if not isinstance(text, str | None):
        raise ValueError("text of another type than a string")
    if not text:
        return _NOTHING
    return _chunk({"content": text} if key == "content" else {"reasoning_content": text})
