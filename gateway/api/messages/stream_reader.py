"""An upstream's Messages stream -> chunks that carry its bytes, and what they mean in chat."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.api.chat.wellformed import finish_reason
from gateway.api.messages.repair import is_valid_event, mended
from gateway.bodies.lenient_json import dumps, loads
from gateway.bodies.sse import Event
from gateway.core.answer import MAX_TOKENS, Chunk, Usage
from gateway.core.chat_types import ChatChunk
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
_HOLDERS = frozenset({"delta", "content_block", "message"})
_NOTHING: dict[str, Any] = {"choices": []}
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class MessagesReader:
    """Reads one stream.

    A block that chat has no word for, such as a search of the provider's own, is a delta `provider_block` with its type:
    content that no other model could go on from.

    Args:
        clock: for the creation time, which Messages do not have.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.ended = False
        self._base: Any = {"id": "", "object": "chat.completion.chunk", "created": int(clock()), "model": ""}
        self._usage: dict[str, Any] = {}
        self._kinds: dict[int, str] = {}  # of the blocks that have begun
        self._calls: dict[int, int] = {}  # their places among the tool calls
        self._inputs: dict[int, Any] = {}  # given with their start, where no delta has come yet
        self._open: set[int] = set()
        self._begun = False
        self._finished = False

    def read(self, event: Event) -> Chunk | None:
        """The chunk of an event; see `gateway.api.dialect.Reader`."""
        fields, strict = loads(event.data or b"")
        if not isinstance(fields, dict):
            if isinstance(fields, list | str) and fields:
                raise ValueError("neither an event nor a sign of life")
            return None
        if not isinstance(kind := fields.get("type"), str):
            if fields.get("error"):
                raise classify_event(fields["error"])
            if fields.keys() & _HOLDERS:
                raise ValueError("an event without a type")
            return None
        given = fields.get("index")
        index = given if type(given) is int else max(self._kinds, default=0)
        if kind == "content_block_start" and index in self._open:
            return None  # told twice
        right = (
            strict and event.kind == kind.encode() and is_valid_event(kind, fields) and self._is_in_place(kind, index)
        )
        chat: dict[str, Any] | None
        match kind:
            case "message_start":
                chat = self._start(fields.get("message"))
            case "content_block_start":
                chat = self._block(index, fields.get("content_block"))
            case "content_block_delta":
                chat = self._delta(index, fields.get("delta"))
            case "content_block_stop":
                chat = self._stop(index)
            case "message_delta":
                chat = self._finish(fields.get("delta"), fields.get("usage"))
            case "error":
                raise classify_event(fields.get("error") or fields)
            case _:
                self.ended = self.ended or kind == "message_stop"
                chat = _NOTHING
        if chat is None:
            return None
        chunk: ChatChunk = self._base | chat
        return Chunk(event.raw if right else b"", chunk, "messages")

    def _is_in_place(self, kind: str, index: int) -> bool:
        """Whether an event of this type may come here."""
        if kind == "message_start":
            return not self._begun
        if kind in ("content_block_delta", "content_block_stop"):
            return index in self._open and not self._finished
        if kind == "message_delta":
            return self._begun and not self._open and not self._finished
        return kind == "ping" or (self._begun and not (self._finished and kind == "content_block_start"))

    def _start(self, message: Any) -> dict[str, Any] | None:
        if not isinstance(message, dict):
            return None
        self._begun = True
        self._base |= {key: message[key] for key in ("id", "model") if isinstance(message.get(key), str)}
        self._note(message.get("usage"))
        return _choice({"role": "assistant", "content": ""})

    def _block(self, index: int, block: Any) -> dict[str, Any] | None:
        if block is None:
            return None
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise ValueError("a block without a type")
        kind = self._kinds[index] = block["type"]
        self._open.add(index)
        if kind == "text":
            return _text("content", block.get("text"))
        if kind == "thinking":
            return _text("reasoning_content", block.get("thinking"))
        if kind == "redacted_thinking":
            return _choice({"thinking_blocks": [{"type": kind, "data": block.get("data")}]})
        if kind != "tool_use":
            return _choice({"provider_block": kind})
        place = self._calls[index] = len(self._calls)
        self._inputs[index] = block.get("input")
        function = {"name": block.get("name"), "arguments": ""}
        return _choice(
            {"tool_calls": [{"index": place, "id": block.get("id"), "type": "function", "function": function}]}
        )

    def _delta(self, index: int, delta: Any) -> dict[str, Any] | None:
        if delta is None:
            return None
        if not isinstance(delta, dict) or not isinstance(delta.get("type"), str):
            raise ValueError("a delta without a type")
        match delta.get("type"):
            case "text_delta":
                return _text("content", delta.get("text"))
            case "thinking_delta":
                return _text("reasoning_content", delta.get("thinking"))
            case "signature_delta":
                block = {"type": "thinking", "thinking": "", "signature": delta.get("signature")}
                return _choice({"thinking_blocks": [block]})
            case "input_json_delta" if index not in self._open:
                raise ValueError("a delta of no block")
            case "input_json_delta" if index in self._calls:
                return self._arguments(index, delta.get("partial_json"))
            case "input_json_delta":
                return _choice({"provider_block": self._kinds.get(index, "unknown")})
        return _NOTHING

    def _arguments(self, index: int, text: Any) -> dict[str, Any]:
        if not text:
            return _NOTHING
        if not isinstance(text, str):
            text = dumps(text).decode()
        self._inputs.pop(index, None)
        return _choice({"tool_calls": [{"index": self._calls[index], "function": {"arguments": text}}]})

    def _stop(self, index: int) -> dict[str, Any]:
        self._open.discard(index)
        given = self._inputs.pop(index, None)
        return self._arguments(index, dumps(given).decode()) if given else _NOTHING

    def _finish(self, delta: Any, usage: Any) -> dict[str, Any]:
        self._note(usage)
        reason = finish_reason(delta.get("stop_reason")) if isinstance(delta, dict) else None
        chat = _NOTHING if reason is None else self._ending(delta)
        self._finished = self._finished or reason is not None
        counts = chat_usage(self._usage)
        return chat if counts is None else chat | {"usage": counts}

    def _ending(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        ending: dict[str, Any] = {"index": 0, "delta": {}}
        ending["finish_reason"] = FINISH_REASONS.get(str(delta["stop_reason"]), "stop")
        if isinstance(delta.get("stop_sequence"), str):
            ending["stop_reason"] = delta["stop_sequence"]  # as vLLM says it
        return {"choices": [ending]}

    def _note(self, usage: Any) -> None:
        """Counts are totals: a later one replaces an earlier one."""
        if isinstance(usage, dict):
            self._usage |= {key: value for key, value in usage.items() if value is not None}


def chat_usage(usage: Mapping[str, Any]) -> dict[str, Any] | None:
    """The usage of a Message in the form of chat, where the prompt includes what a cache had or was given.

    None where it has no counts, or counts that no provider could bill.
    """
    counts = [usage.get(key) or 0 for key in _COUNTS]
    if not any(key in usage for key in _COUNTS[:2]):
        return None
    if not all(isinstance(count, int) and 0 <= count <= MAX_TOKENS for count in counts):
        return None
    new, output, read, written = counts
    prompt = new + read + written
    chat: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    if read or written:
        chat["prompt_tokens_details"] = {"cached_tokens": read, "cache_creation_tokens": written}
    details = usage.get("output_tokens_details")
    if isinstance(details, dict) and isinstance(details.get("thinking_tokens"), int):
        chat["completion_tokens_details"] = {"reasoning_tokens": details["thinking_tokens"]}
    return chat


def billed_usage(fields: Mapping[str, Any]) -> Usage | None:
    """What a whole Message was billed; None where it does not say."""
    counts = fields.get("usage")
    return Usage.read(chat_usage(counts)) if isinstance(counts, dict) else None


def events_of_answer(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events that a whole Message amounts to, each block in its start."""
    told: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(message["content"]):
        told.append({"type": "content_block_start", "index": index, "content_block": block})
        told.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": message.get("stop_reason") or "end_turn", "stop_sequence": message.get("stop_sequence")}
    return [*told, {"type": "message_delta", "delta": delta}, {"type": "message_stop"}]


def checked_answer(fields: Any) -> dict[str, Any]:
    """`fields` as a Message; the same object where it needs no change.

    Raises:
        UpstreamFailure: it has no list of content blocks, or one lacks what it is for: unreadable.
    """
    content = fields.get("content") if isinstance(fields, dict) and fields.get("type") == "message" else None
    if not isinstance(content, list) or not all(
        isinstance(b, dict) and isinstance(b.get("type"), str) for b in content
    ):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no content in the answer")
    return mended(fields)


def _choice(delta: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _text(key: str, text: Any) -> dict[str, Any]:
    if not isinstance(text, str | None):
        raise ValueError("text that is none")
    return _choice({key: text}) if text else _NOTHING
