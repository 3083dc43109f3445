"""A chat completions stream as providers write it -> well-formed chunks; and one whole answer in place of the other form."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from gateway.api.chat.frame import ANSWER, CHUNK, Frame
from gateway.api.chat.wellformed import ChunkMender, mended_answer
from gateway.bodies.lenient_json import loads, loads_clean
from gateway.bodies.sse import Event, EventReader
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event

_AROUND = frozenset("id object created model choices usage system_fingerprint service_tier obfuscation".split())  # noqa: SIM905
_OF_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})


class ChatReader:
    """Reads one stream; see `gateway.api.dialect.Reader`."""

    def __init__(self, *, choices: int | None = None) -> None:
        """
        Args:
            choices: how many the client asked for; None: not known.
        """
        self.ended = False
        self._single = choices == 1
        self._mender = ChunkMender(single=self._single)
        self._frame = Frame(CHUNK)

    def read(self, event: Event) -> Chunk | None:
        data = event.data or b""
        if data.startswith(b"[DONE]"):
            self.ended = True
            return None
        given, strict = loads(data)
        if strict and _is_text(given, single=self._single) and not self._mender.holds:
            self._mender.spoke = True
            return Chunk(event.raw, given)
        fields = _chunk(given)
        if fields is None:
            return None
        mended = self._mender.mended(self._frame.framed(fields), strict=strict)
        return Chunk(event.raw if strict and mended is given else b"", mended)

    def whole(self, body: bytes) -> Chunk:
        """The one chunk that a whole answer amounts to, where that came in place of a stream.

        Raises:
            UpstreamFailure: it is none, or an error.
        """
        try:
            given = _chunk(loads_clean(body)[0])
        except ValueError:
            given = None
        if given is None:
            raise UpstreamFailure(Cause.UNREADABLE, detail="neither a stream nor an answer")
        fields: Any = check_complete(given)  # has messages in place of deltas
        return Chunk(b"", self._frame.framed(self._mender.mended(fields, whole=True)))


def _is_text(value: object, *, single: bool) -> TypeGuard[ChatChunk]:
    """Whether it is a piece of text, with all as it must be around it. Nearly every chunk is, so that this must be quick."""
    if type(value) is not dict or not value.keys() <= _AROUND:
        return False
    choices = value.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
        return False
    delta = choice.get("delta")
    return (
        type(delta) is dict
        and len(delta) == 1
        and type(delta.get("content")) is str
        and choice.keys() <= _OF_CHOICE
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


def told_object(value: Any) -> JsonObject | None:
    """The object of an event; None where it is something else, as servers send to keep a stream alive.

    Raises:
        UpstreamFailure: it is an error.
        ValueError: it is neither.
    """
    if isinstance(value, list) and value and isinstance(value[0], dict) and value[0].get("error"):
        value = value[0]  # as Gemini tells errors
    if not isinstance(value, dict):
        if isinstance(value, list | str) and value:
            raise ValueError("neither a chunk nor a sign of life")
        return None
    fields: JsonObject = value
    if fields.get("error"):
        raise classify_event(fields["error"])
    if fields.get("object") == "error" or fields.get("type") == "error":
        raise classify_event(fields)
    return fields


def _chunk(value: Any) -> ChatChunk | None:
    """The object with a list of objects as `choices`; None where it is something else, as servers send to keep a stream alive.

    Raises:
        UpstreamFailure: it is an error.
        ValueError: it has choices that are none.
    """
    fields = told_object(value)
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
        raise ValueError("choices that are no objects")
    return fields


def _has_choices(fields: JsonObject) -> TypeGuard[ChatChunk]:
    """True if `choices` is a list of objects; what they hold is checked later."""
    choices = fields.get("choices")
    return isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices)


def assembled(body: bytes) -> JsonObject:
    """The chat completion that an event stream amounts to, where that came in place of a whole answer.

    Raises:
        UpstreamFailure: it is no stream, was cut, or has an error.
    """
    reader, events = ChatReader(), EventReader()
    fields: JsonObject = {}
    choices: dict[int, JsonObject] = {}
    try:
        for event in [*events.feed(body), *events.close()]:
            chunk = reader.read(event) if event.data else None
            if chunk is None:
                continue
            fields |= {key: value for key, value in chunk.fields.items() if value is not None and key != "choices"}
            for choice in chunk.fields["choices"]:
                whole = choices.setdefault(choice["index"], {"index": choice["index"], "message": {}})
                _add(whole["message"], choice["delta"])
                if (logprobs := choice.get("logprobs")) is not None:
                    whole["logprobs"] = _sum(whole.get("logprobs"), logprobs)
                whole["finish_reason"] = whole.get("finish_reason") or choice.get("finish_reason")
    except ValueError as exc:
        raise UpstreamFailure(Cause.UNREADABLE, detail="events that cannot be read") from exc
    if not choices or not all(choice["finish_reason"] for choice in choices.values()):
        raise UpstreamFailure(Cause.UNREADABLE, detail="a stream that was cut, in place of an answer")
    told = [_joined(choices[index]) for index in sorted(choices)]
    return fields | {"object": "chat.completion", "choices": told}


class _Text(list[str]):
    """Pieces of a text, joined once at the end."""


def _add(message: JsonObject, delta: Mapping[str, Any]) -> None:
    for key, value in delta.items():
        if key == "tool_calls" and value:
            calls = message.setdefault("tool_calls", [])
            for call in value:
                if call["index"] == len(calls):
                    calls.append({"type": call.get("type", "function")})
                _add(calls[call["index"]], {k: v for k, v in call.items() if k not in ("index", "type")})
        else:
            message[key] = _sum(message.get(key), value)


def _sum(so_far: Any, more: Any) -> Any:
    """What two pieces of a stream amount to. Takes linear time over all of them."""
    if isinstance(more, str):
        if not isinstance(so_far, _Text):
            return _Text([more])
        so_far.append(more)
        return so_far
    if isinstance(more, list):
        known_list = so_far if type(so_far) is list else []
        known_list.extend(more)
        return known_list
    if isinstance(more, dict):
        known = so_far if isinstance(so_far, dict) else {}
        for key, value in more.items():
            known[key] = _sum(known.get(key), value)
        return known
    return so_far if more is None else more


def _joined(value: Any) -> Any:
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, list):
        return [_joined(each) for each in value]
    if isinstance(value, dict):
        return {key: _joined(each) for key, each in value.items()}
    return value


def check_complete(fields: Any) -> JsonObject:
    """`fields` as a chat completion in the form that it must have; the same object where it has it.

    Raises:
        UpstreamFailure: it has no list of choices with messages: unreadable; or a choice failed.
    """
    choices = fields.get("choices") if isinstance(fields, dict) else None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no choices in the answer")
    return Frame(ANSWER).framed(mended_answer(fields))
