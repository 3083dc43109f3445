"""An event stream of chat chunks -> one chat completion."""

from collections.abc import Iterable, Iterator, Mapping

from gateway.api.chat.stream_reader import ChatReader
from gateway.bodies.sse import EventReader
from gateway.core.chat_types import ChatChunk
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure


def completion_of_stream(body: bytes) -> JsonObject:
    """Return the chat completion that the chunks of an event stream add up to.

    Used if a provider streams an answer although the request was for a complete one.

    Raises:
        UpstreamFailure: it is not a stream, is cut off, or has an error.
    """
    try:
        completion = completion_of_chunks(_chunks(body))
    except ValueError as exc:
        raise UpstreamFailure(Cause.UNREADABLE, detail="events that cannot be read") from exc
    choices = completion["choices"]
    if not choices or not all(choice["finish_reason"] for choice in choices):
        raise UpstreamFailure(Cause.UNREADABLE, detail="a stream that was cut, in place of an answer")
    return completion


def completion_of_chunks(chunks: Iterable[ChatChunk]) -> JsonObject:
    """Return the chat completion that chunks add up to. A choice that was cut has the finish reason None."""
    fields: JsonObject = {}
    choices: dict[int, JsonObject] = {}
    for chunk in chunks:
        fields |= {key: value for key, value in chunk.items() if value is not None and key != "choices"}
        for choice in chunk["choices"]:
            so_far = choices.setdefault(choice["index"], {"index": choice["index"], "message": {}})
            _add(so_far["message"], choice["delta"])
            if (logprobs := choice.get("logprobs")) is not None:
                so_far["logprobs"] = _sum(so_far.get("logprobs"), logprobs)
            so_far["finish_reason"] = so_far.get("finish_reason") or choice.get("finish_reason")
    answered = [_joined(choices[index]) for index in sorted(choices)]
    return fields | {"object": "chat.completion", "choices": answered}


def _chunks(body: bytes) -> Iterator[ChatChunk]:
    reader, events = ChatReader(), EventReader()
    for event in [*events.feed(body), *events.close()]:
        if event.data and (chunk := reader.read(event)) is not None:
            yield chunk.fields


class _Text(list[str]):
    """Pieces of a text, joined once at the end."""


def _add(message: JsonObject, delta: Mapping[str, object]) -> None:
    for key, value in delta.items():
        if key == "tool_calls" and isinstance(value, list) and value:
            calls = message.setdefault("tool_calls", [])
            for call in value:
                if call["index"] == len(calls):
                    calls.append({"type": call.get("type", "function")})
                _add(calls[call["index"]], {k: v for k, v in call.items() if k not in ("index", "type")})
        else:
            message[key] = _sum(message.get(key), value)


def _sum(so_far: object, more: object) -> object:
    """Return the sum of two pieces of a stream: texts and lists are joined, objects merged. Linear time over all pieces."""
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


def _joined(value: object) -> object:
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, list):
        return [_joined(each) for each in value]
    if isinstance(value, dict):
        return {key: _joined(each) for key, each in value.items()}
    return value
