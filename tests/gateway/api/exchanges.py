"""What the tests of the Responses dialect share: requests, chat chunks, and streams read back event by event."""

from typing import Any

import orjson

from gateway.api.responses.dialect import Responses
from gateway.api.responses.store import ResponseStore
from gateway.api.responses.stream_writer import ResponsesWriter
from gateway.bodies.sse import EventReader
from gateway.core.answer import Chunk, Complete
from gateway.core.usage import Usage
from gateway.request.chat_request import ChatRequest
from tests.conformance import validate_event

NOW = 1_800_000_000.0
FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": True}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Changes files."}


def dialect(store: ResponseStore | None = None) -> Responses:
    return Responses(
        store or ResponseStore(None), lambda headers: headers.get(b"authorization", b"").decode(), lambda: NOW
    )


async def parsed(dialect: Responses, key_digest: str = "me", **fields: Any) -> ChatRequest:
    body = orjson.dumps({"model": "auto", "input": "hi"} | fields)
    return await dialect.parse(body, {b"authorization": key_digest.encode()})


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> Chunk:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return Chunk(b"", {"id": "c1", "object": "chat.completion.chunk", "created": 1, "choices": [choice]} | more)


def call(index: int | None, arguments: str = "", call_id: str | None = None, name: str | None = None) -> dict[str, Any]:
    """A delta with a piece of one tool call."""
    given: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        given["index"] = index
    if call_id is not None:
        given |= {"id": call_id, "type": "function"}
    if name is not None:
        given["function"]["name"] = name
    return {"tool_calls": [given]}


def complete(message: dict[str, Any], finish: str = "stop", **more: Any) -> Complete:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    fields = {"id": "c1", "object": "chat.completion", "created": 1, "model": "up", "choices": [choice]} | more
    return Complete(orjson.dumps(fields), fields, Usage.read(fields.get("usage")))


def events(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream; each is named in its `event:` line as in its data."""
    found = []
    for event in EventReader().feed(data):
        fields = orjson.loads(event.data or b"")
        assert event.raw.startswith(b"event: " + fields["type"].encode() + b"\ndata: "), event.raw
        found.append(fields)
    return found


def written(writer: ResponsesWriter, *chunks: Chunk, model: str = "m1") -> bytes:
    return b"".join(writer.write(one, one.fields, model) for one in chunks)


def proper(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """Checks a whole stream as the API promises it; gives the Response object at its end.

    Every event is valid, sequence numbers rise by one, every item and part is opened once and closed once, deltas add up to
    what is said at the end, and that is what the last event has.
    """
    for event in stream:
        validate_event(event)
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    kinds = [event["type"].removeprefix("response.") for event in stream]
    assert kinds[:2] == ["created", "in_progress"]
    assert kinds[-1] in ("completed", "incomplete")
    response: dict[str, Any] = stream[-1]["response"]
    assert all(event["response"]["id"] == response["id"] for event in stream if "response" in event)
    items: dict[int, dict[str, Any]] = {}
    texts: dict[tuple[Any, ...], str] = {}
    open_items: dict[int, str] = {}
    for event in stream[2:-1]:
        kind, at = event["type"], event["output_index"]
        noun, _, verb = kind.rpartition(".")
        if noun == "response.output_item":
            if verb == "added":
                assert at == len(items) + len(open_items), "output indexes without a gap"
                open_items[at] = event["item"]["id"]
            else:
                assert open_items.pop(at) == event["item"]["id"]
                items[at] = event["item"]
            continue
        assert open_items[at] == event["item_id"], "nothing but the open item changes"
        part = (at, noun.replace("_text", "_part"), event.get("content_index", event.get("summary_index")))
        if verb == "delta":
            texts[part] = texts.get(part, "") + event["delta"]
        elif noun.endswith(("_text", "refusal", "arguments", "input")):
            said = next(event[key] for key in ("text", "refusal", "arguments", "input") if key in event)
            assert texts.get(part, "") == said
    assert not open_items
    assert [items[at] for at in sorted(items)] == response["output"]
    return response


def is_chunk(fields: dict[str, Any]) -> bool:
    """Has it the form that everything behind the readers relies on?"""
    return all(
        type(choice["index"]) is int
        and type(choice["delta"]) is dict
        and isinstance(choice["finish_reason"], str | None)
        for choice in fields["choices"]
    )
