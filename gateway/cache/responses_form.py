"""Responses: a Response object or its stream -> templates, and a Response object -> a stream.

A response repeats fields of its request. Some of these are no part of the key of the cache, so each client gets its own values.
"""

import orjson

from gateway.api.responses.answer_from_chat import native_request, previous_response_id_of
from gateway.api.responses.stream_items import INPUT_EVENTS, INPUT_KEYS, PART_FORMS
from gateway.bodies.sse import EventReader
from gateway.cache.entry import CREATED_VALUE, ID_VALUE, NotStored, Templates
from gateway.core.chat_types import ChatUsage
from gateway.core.json_types import JsonObject
from gateway.request.chat_request import ChatRequest

# Fields that a response repeats -> the letter of their markers. In lower case the marker is the value, in upper case the whole
# member, which is left out if the request does not have the field.
ECHOED = {"metadata": b"m", "store": b"s", "user": b"u", "prompt_cache_key": b"k", "previous_response_id": b"p"}
_ITEMS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})  # others are of tools of the provider
_LISTS = ("summary", "content")  # of the parts of an item
_SHORT = {"text": "", "refusal": "", "annotations": [], "logprobs": []}  # of a part that is opened


def echo(request: ChatRequest) -> dict[bytes, bytes]:
    """Return the markers of the fields that the response repeats, with their values in this request."""
    native = native_request(request)
    values: JsonObject = {key: native.fields.get(key) for key in ECHOED}
    values |= {
        "metadata": values["metadata"] or {},
        "store": values["store"] is not False,
        "previous_response_id": previous_response_id_of(native),
    }
    written: dict[bytes, bytes] = {}
    for key, letter in ECHOED.items():
        value = orjson.dumps(values[key])
        written[b"\x00" + letter] = value
        written[b"\x00" + letter.upper()] = b"" if values[key] is None else b',"%b":%b' % (key.encode(), value)
    return written


def stored_body(body: bytes) -> Templates:
    """Return the templates of a Response object.

    Raises:
        NotStored: it is not finished or has parts that are not stored.
    """
    response = orjson.loads(body)
    _check(response)
    return Templates(_template(response))


def stored_stream(stream: bytes, usage: ChatUsage | None) -> Templates:
    """Return the templates of a stream.

    Args:
        stream: all events of the client.
        usage: not used; the last event contains it.

    Raises:
        NotStored: as for `stored_body`.
    """
    written, last = [], b""
    for event in EventReader().feed(stream):
        if event.data is None:
            continue
        if event.kind not in (b"response.created", b"response.in_progress", b"response.completed"):
            written.append(event.raw)
            continue
        fields = orjson.loads(event.data)
        if event.kind == b"response.completed":
            _check(fields["response"])
            last = _template(fields["response"])
        response = orjson.Fragment(_template(fields["response"]))
        written.append(b"event: %b\ndata: %b\n\n" % (event.kind, orjson.dumps(fields | {"response": response})))
    if not last:
        raise NotStored
    return Templates(last, b"".join(written))


def events(response: JsonObject) -> tuple[bytes, bytes]:
    """Return a Response object as the events of a stream; the second value is always empty."""
    begun = response | {"status": "in_progress", "completed_at": None, "output": []}
    begun.pop("usage", None)
    listed: list[JsonObject] = [{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")]
    for index, item in enumerate(response["output"]):
        listed += _item_events(index, item)
    listed.append({"type": "response.completed", "response": response})
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps({"sequence_number": number} | event))
        for number, event in enumerate(listed)
    ), b""


def _item_events(index: int, item: JsonObject) -> list[JsonObject]:
    empty = item | {"status": "in_progress"} | {key: [] for key in _LISTS if isinstance(item.get(key), list)}
    location = {"item_id": item.get("id"), "output_index": index}
    middle: list[JsonObject] = []
    if (input_key := INPUT_KEYS.get(item["type"])) is not None:
        empty[input_key] = ""
        prefix, given = INPUT_EVENTS[item["type"]], item[input_key]
        done = {"type": f"{prefix}.done", **location, input_key: given}
        if input_key == "arguments":
            done["name"] = item.get("name", "")
        middle = [{"type": f"{prefix}.delta", **location, "delta": given}, done]
    for key in _LISTS:
        for at, part in enumerate(item.get(key) or ()):
            middle += _part_events(location, at, part)
    added = {"type": "response.output_item.added", "output_index": index, "item": empty}
    return [added, *middle, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _part_events(location: JsonObject, at: int, part: JsonObject) -> list[JsonObject]:
    form = PART_FORMS[part["type"]]
    place = location | {form.index_key: at}
    text = {"logprobs": part.get("logprobs") or []} if part["type"] == "output_text" else {}
    empty = {key: _SHORT.get(key, value) for key, value in part.items()}
    return [
        {"type": f"{form.part_event}.added", **place, "part": empty},
        {"type": f"{form.text_event}.delta", **place, "delta": part[form.text_key], **text},
        {"type": f"{form.text_event}.done", **place, form.text_key: part[form.text_key], **text},
        {"type": f"{form.part_event}.done", **place, "part": part},
    ]


def _check(response: JsonObject) -> None:
    if response.get("status") != "completed" or response.get("error") or not response.get("output"):
        raise NotStored
    for item in response["output"]:
        if item["type"] not in _ITEMS:
            raise NotStored
        for part in [part for key in _LISTS for part in item.get(key) or ()]:
            if part["type"] not in PART_FORMS or part["type"] == "refusal" or part.get("annotations"):
                raise NotStored


def _template(response: JsonObject) -> bytes:
    """Return the object with markers, and without the gateway's own field, which describes one answer only."""
    kept = {key: value for key, value in response.items() if key != "locus"}
    kept |= {"id": ID_VALUE, "created_at": CREATED_VALUE}
    if kept.get("completed_at") is not None:
        kept["completed_at"] = CREATED_VALUE
    kept |= {key: orjson.Fragment(b"\x00" + letter) for key, letter in ECHOED.items() if key in kept}
    optional = [b"\x00" + letter.upper() for key, letter in ECHOED.items() if key not in kept]
    return b"".join([orjson.dumps(kept)[:-1], *optional, b"}"])
