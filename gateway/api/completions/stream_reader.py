"""The legacy completions stream of an upstream -> chunks with their original bytes and chat equivalent. Also complete answers."""

from typing import Any

from gateway.api.chat.envelope import CHUNK, LEGACY, Envelope
from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.chat.stream_reader import event_object
from gateway.api.completions.logprobs import chat_logprobs
from gateway.api.completions.text_completion import API
from gateway.bodies.lenient_json import loads
from gateway.bodies.sse import Event
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatMessage, ChunkChoice
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event


class CompletionsReader:
    """Reads one stream; see `gateway.api.dialect.Reader`."""

    def __init__(self) -> None:
        self.ended = False
        self._envelope = Envelope(LEGACY)

    def read(self, event: Event) -> Chunk | None:
        data = event.data or b""
        if data.startswith(b"[DONE]"):
            self.ended = True
            return None
        parsed, strict = loads(data)
        received = event_object(parsed)
        if received is None:
            return None
        choices = received.get("choices")
        if choices is None and not isinstance(received.get("usage"), dict):
            return None
        fields = self._envelope.normalize(received)
        relayable = strict and fields is parsed and isinstance(choices, list)
        if not isinstance(choices, list):
            choices = [] if choices is None else [choices]
        chat_choices = []
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict) or not isinstance(choice.get("text"), str | None):
                raise ValueError("choices without text")
            chat_choices.append(_chat_choice(choice, position))
            relayable = relayable and _is_valid_choice(choice)
        chunk: Any = fields | {"object": CHUNK, "choices": chat_choices}
        return Chunk(event.raw if relayable else b"", chunk, API)


def checked_answer(fields: JsonObject) -> JsonObject:
    """Return a complete answer in the form that clients require; the same object if it already has it.

    Raises:
        UpstreamFailure: it has no list of choices with text (`Cause.UNREADABLE`), or a choice failed.
    """
    choices = fields.get("choices")
    if not isinstance(choices, list) or not choices or not all(map(_has_text, choices)):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no choices with text in the answer")
    repaired = [_repaired_choice(choice, position) for position, choice in enumerate(choices)]
    return Envelope(LEGACY).normalize(fields if repaired == choices else fields | {"choices": repaired})


def billed_usage(fields: JsonObject) -> Usage | None:
    """Return the usage that a complete answer reports."""
    return Usage.read(fields.get("usage"))


def _has_text(choice: object) -> bool:
    return (
        isinstance(choice, dict)
        and isinstance(choice.get("text"), str | None)
        and isinstance(choice.get("index"), int | None)
    )


def _repaired_choice(choice: JsonObject, position: int) -> JsonObject:
    """Return a choice of a complete answer with a text, an index, a finish reason and readable log probabilities."""
    if _is_valid_choice(choice) and choice.get("finish_reason") is not None:
        return choice
    index, logprobs = choice.get("index"), choice.get("logprobs")
    return choice | {
        "text": choice.get("text") or "",
        "index": position if index is None else index,
        "logprobs": logprobs if _are_legacy_logprobs(logprobs) else None,
        "finish_reason": _finish_reason(choice) or "stop",
    }


def _is_valid_choice(choice: JsonObject) -> bool:
    """Return True if clients can read this choice of a chunk or answer unchanged."""
    reason = choice.get("finish_reason")
    if reason is not None and _finish_reason(choice) != reason:
        return False
    return (
        isinstance(choice.get("text"), str)
        and type(choice.get("index")) is int
        and _are_legacy_logprobs(choice.get("logprobs"))
    )


def _are_legacy_logprobs(logprobs: object) -> bool:
    """Return True if these are log probabilities in the form of this API, or null."""
    return logprobs is None or (
        isinstance(logprobs, dict) and all(isinstance(value, list | None) for value in logprobs.values())
    )


def _finish_reason(choice: JsonObject) -> str | None:
    """Return the finish reason of a choice; None if it has not ended.

    Raises:
        UpstreamFailure: the choice ended with an error of the provider.
    """
    if choice.get("error"):
        raise classify_event(choice["error"])
    return finish_reason(choice.get("finish_reason"))


def _chat_choice(choice: JsonObject, position: int) -> ChunkChoice:
    """Return the equivalent choice of a chat chunk."""
    text, index = choice.get("text"), choice.get("index")
    delta: ChatMessage = {"content": text} if text else {}
    chat_choice: ChunkChoice = {
        "index": index if type(index) is int else position,
        "delta": delta,
        "finish_reason": _finish_reason(choice),
    }
    if (logprobs := chat_logprobs(choice.get("logprobs"))) is not None:
        chat_choice["logprobs"] = logprobs
    return chat_choice
