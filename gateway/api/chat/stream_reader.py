"""A chat completions stream as providers write it -> normal chunks."""

from typing import Any, TypeGuard

from gateway.api.chat.chunk_normalizer import ChunkNormalizer
from gateway.api.chat.completion_normalizer import normalize_completion
from gateway.api.chat.envelope import CHUNK, Envelope
from gateway.bodies.lenient_json import loads, loads_clean
from gateway.bodies.sse import Event
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event

_CHUNK_KEYS = frozenset("id object created model choices usage system_fingerprint service_tier obfuscation".split())  # noqa: SIM905
_CHOICE_KEYS = frozenset({"index", "delta", "finish_reason", "logprobs"})


class ChatReader:
    """Reads one stream; see `gateway.api.dialect.Reader`."""

    def __init__(self, *, choices: int | None = None) -> None:
        """
        Args:
            choices: the number of choices that the client asked for; None if it is not known.
        """
        self.ended = False
        self._single = choices == 1
        self._normalizer = ChunkNormalizer(single=self._single)
        self._split_characters = self._normalizer.characters.held
        self._envelope = Envelope(CHUNK)

    def read(self, event: Event) -> Chunk | None:
        data = event.data or b""
        if data.startswith(b"[DONE]"):
            self.ended = True
            return None
        given, strict = loads(data)
        if strict and _is_text_chunk(given, single=self._single) and not self._split_characters:
            self._normalizer.has_text = True
            return Chunk(event.raw, given)
        fields = _chunk(given)
        if fields is None:
            return None
        chunk = self._normalizer.normalize(self._envelope.normalize(fields), strict=strict)
        return Chunk(event.raw if strict and chunk is given else b"", chunk)

    def read_completion(self, body: bytes) -> Chunk:
        """Return a complete answer as one chunk. Used if a provider does not stream although the request was for a stream.

        Raises:
            UpstreamFailure: it is not an answer, or an error.
        """
        try:
            given = _chunk(loads_clean(body)[0])
        except ValueError:
            given = None
        if given is None:
            raise UpstreamFailure(Cause.UNREADABLE, detail="neither a stream nor an answer")
        fields: Any = normalize_completion(given)  # with messages instead of deltas
        return Chunk(b"", self._envelope.normalize(self._normalizer.normalize(fields, complete=True)))


def _is_text_chunk(value: object, *, single: bool) -> TypeGuard[ChatChunk]:
    """Return True for a chunk with one piece of text that is normal already. Nearly every chunk is one, so this must be fast."""
    if type(value) is not dict or not value.keys() <= _CHUNK_KEYS:
        return False
    choices = value.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
        return False
    delta = choice.get("delta")
    return (
        type(delta) is dict
        and len(delta) == 1
        and type(delta.get("content")) is str
        and choice.keys() <= _CHOICE_KEYS
        and type(index := choice.get("index")) is int
        and not (index and single)
        and choice.get("finish_reason") is None
        and choice.get("logprobs") is None
        and value.get("object") == CHUNK
        and type(value.get("id")) is str
        and type(value.get("created")) is int
        and value.get("usage") is None
        and isinstance(value.get("system_fingerprint"), str | None)
        and isinstance(value.get("service_tier"), str | None)
    )


def event_object(value: object) -> JsonObject | None:
    """Return the object of an event; None for an event without content, which a server sends to keep the connection open.

    Raises:
        UpstreamFailure: the event is an error.
        ValueError: the event is neither an object nor empty.
    """
    if isinstance(value, list) and value and isinstance(value[0], dict) and value[0].get("error"):
        value = value[0]  # as Gemini writes errors
    if not isinstance(value, dict):
        if isinstance(value, list | str) and value:
            raise ValueError("neither a chunk nor a keep-alive")
        return None
    fields: JsonObject = value
    if fields.get("error"):
        raise classify_event(fields["error"])
    if fields.get("object") == "error" or fields.get("type") == "error":
        raise classify_event(fields)
    return fields


def _chunk(value: object) -> ChatChunk | None:
    """Return the object of an event, with a list of objects as `choices`; None for an event without choices and usage.

    Raises:
        UpstreamFailure: the event is an error.
        ValueError: the choices are not objects.
    """
    fields = event_object(value)
    if fields is None:
        return None
    choices = fields.get("choices")
    if choices is None:
        if not isinstance(fields.get("usage"), dict):
            return None
        fields = fields | {"choices": []}
    elif isinstance(choices, dict):
        fields = fields | {"choices": [choices]}
    if not _has_choices(fields):
        raise ValueError("choices that are not objects")
    return fields


def _has_choices(fields: JsonObject) -> TypeGuard[ChatChunk]:
    """Return True if `choices` is a list of objects; their values are checked later."""
    choices = fields.get("choices")
    return isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices)
