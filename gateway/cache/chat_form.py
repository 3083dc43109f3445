"""Chat completions: a completion or its stream -> templates, and a completion -> a stream."""

from typing import Any

import orjson

from gateway.api.chat.stream_to_completion import completion_of_stream
from gateway.bodies.sse import DONE, EventReader, json_event
from gateway.cache.entry import CREATED_VALUE, ID_VALUE, NotStored, Templates
from gateway.core.chat_types import ChatUsage
from gateway.core.json_types import JsonObject, objects_in

_FINISHED = frozenset({"stop", "tool_calls", "function_call"})
_CONTENT = ("content", "tool_calls", "function_call")
_NOT_STORED = (
    "refusal",
    "audio",
    "annotations",
)  # the id of an audio expires; annotations come from a search of the provider
_OF_COMPLETION = ("choices", "usage", "object")


def stored_body(body: bytes) -> Templates:
    """Return the templates of a completion.

    Raises:
        NotStored: it is not finished or has parts that are not stored.
    """
    completion = orjson.loads(body)
    _check(completion)
    return Templates(_template(completion), ending=DONE)


def stored_stream(stream: bytes, usage: ChatUsage | None) -> Templates:
    """Return the templates of a stream.

    Args:
        stream: the events of the client, without usage and `[DONE]`.
        usage: of the answer; None if it is not known.

    Raises:
        NotStored: as for `stored_body`.
        UpstreamFailure: the stream has an error or is cut off.
    """
    completion = completion_of_stream(stream)
    _check(completion)
    chunks = [_marked(orjson.loads(event.data)) for event in EventReader().feed(stream) if event.data]
    last = chunks[-1] | {"choices": [], "usage": usage}
    return Templates(
        _template(completion if usage is None else completion | {"usage": usage}),
        b"".join(map(_event, chunks)),
        b"" if usage is None else _event(last),
        DONE,
    )


def events(completion: JsonObject) -> tuple[bytes, bytes]:
    """Return a completion as the events of a stream, and the event with its usage; empty if it has none."""
    envelope = {key: value for key, value in completion.items() if key not in _OF_COMPLETION}
    envelope["object"] = "chat.completion.chunk"
    written = []
    for choice in completion["choices"]:
        delta = choice["message"]
        if calls := delta.get("tool_calls"):
            delta = delta | {"tool_calls": [{"index": i} | call for i, call in enumerate(calls)]}
        first = {key: value for key, value in choice.items() if key != "message"} | {"delta": delta}
        last = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        written += [envelope | {"choices": [part]} for part in (first | {"finish_reason": None}, last)]
    usage = completion.get("usage")
    usage_event = json_event(envelope | {"choices": [], "usage": usage}) if usage else b""
    return b"".join(map(json_event, written)), usage_event


def _check(completion: JsonObject) -> None:
    choices = objects_in(completion.get("choices"))
    for choice in choices:
        message = choice.get("message") or {}
        if choice.get("finish_reason") not in _FINISHED or any(message.get(key) for key in _NOT_STORED):
            raise NotStored
        if not any(message.get(key) for key in _CONTENT):
            raise NotStored
    if not choices:
        raise NotStored


def _template(completion: JsonObject) -> bytes:
    return orjson.dumps(_marked(completion))


def _marked(fields: JsonObject) -> JsonObject:
    """Return a completion or chunk with markers, and without the gateway's own field, which describes one answer only."""
    marked: dict[str, Any] = {key: value for key, value in fields.items() if key != "locus"}
    return marked | {"id": ID_VALUE, "created": CREATED_VALUE}


def _event(chunk: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
