"""Messages: a Message or its stream -> templates, and a Message -> a stream."""

import orjson

from gateway.api.messages.stream_blocks import encoded_event
from gateway.bodies.sse import EventReader
from gateway.cache.entry import ID_VALUE, NotStored, Templates
from gateway.core.chat_types import ChatUsage
from gateway.core.json_types import JsonObject

_FINISHED = frozenset({"end_turn", "stop_sequence", "tool_use"})
_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})  # others come from tools of the provider
_TEXTS = {  # type of a delta -> its key, which is also that of the block
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


def stored_body(body: bytes) -> Templates:
    """Return the templates of a Message.

    Raises:
        NotStored: it is not finished or has parts that are not stored.
    """
    message = orjson.loads(body)
    _check(message)
    return Templates(_template(message))


def stored_stream(stream: bytes, usage: ChatUsage | None) -> Templates:
    """Return the templates of a stream.

    Args:
        stream: all events of the client.
        usage: not used; the events contain it.

    Raises:
        NotStored: as for `stored_body`, or it has events that are not known.
    """
    reader = _Message()
    written = []
    for event in EventReader().feed(stream):
        if event.data is None:
            continue
        fields = orjson.loads(event.data)
        reader.add(fields)
        if fields["type"] == "message_start":
            started = {"message": fields["message"] | {"id": ID_VALUE}}
            written.append(
                b"event: message_start\ndata: " + orjson.dumps({"type": "message_start"} | started) + b"\n\n"
            )
        else:
            written.append(event.raw)
    message = reader.whole()
    _check(message)
    return Templates(_template(message), b"".join(written))


def events(message: JsonObject) -> tuple[bytes, bytes]:
    """Return a Message as the events of a stream; the second value is always empty."""
    usage = message.get("usage") or {}
    start = message | {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage | {"output_tokens": 0},
    }
    written = [encoded_event("message_start", message=start)]
    for index, block in enumerate(message["content"]):
        empty, deltas = _split(block)
        written.append(encoded_event("content_block_start", index=index, content_block=empty))
        written += [encoded_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        written.append(encoded_event("content_block_stop", index=index))
    ending = {key: message.get(key) for key in ("stop_reason", "stop_sequence")}
    written += [encoded_event("message_delta", delta=ending, usage=usage), encoded_event("message_stop")]
    return b"".join(written), b""


class _Message:
    """Adds up the events of a stream."""

    def __init__(self) -> None:
        self._message: JsonObject = {}
        self._blocks: dict[int, JsonObject] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}
        self._ended = False

    def add(self, event: JsonObject) -> None:
        match event.get("type"):
            case "message_start":
                self._message = dict(event["message"])
            case "content_block_start":
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                self._add_delta(event["index"], event["delta"])
            case "message_delta":
                usage = (self._message.get("usage") or {}) | (event.get("usage") or {})
                self._message |= event["delta"] | {"usage": usage}
            case "message_stop":
                self._ended = True
            case "ping" | "content_block_stop":
                pass
            case _:
                raise NotStored

    def whole(self) -> JsonObject:
        if not self._ended:
            raise NotStored
        for (index, key), pieces in self._pieces.items():
            text = "".join(pieces)
            block = self._blocks[index]
            block[key] = orjson.loads(text or "{}") if key == "input" else (block.get(key) or "") + text
        return self._message | {"content": [block for _, block in sorted(self._blocks.items())]}

    def _add_delta(self, index: int, delta: JsonObject) -> None:
        kind = delta["type"]
        if kind == "citations_delta":
            block = self._blocks[index]
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        elif kind == "input_json_delta":
            self._pieces.setdefault((index, "input"), []).append(delta["partial_json"])
        elif kind in _TEXTS:
            self._pieces.setdefault((index, _TEXTS[kind]), []).append(delta[_TEXTS[kind]])
        else:
            raise NotStored


def _split(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """Return a block as it is opened, and the deltas that complete it."""
    if block["type"] == "tool_use":
        return block | {"input": {}}, [
            {"type": "input_json_delta", "partial_json": orjson.dumps(block["input"]).decode()}
        ]
    keys = {key: kind for kind, key in _TEXTS.items() if block.get(key)}
    deltas: list[JsonObject] = [{"type": kind, key: block[key]} for key, kind in keys.items()]
    empty = block | dict.fromkeys(keys, "")
    if citations := block.get("citations"):
        empty["citations"] = []
        deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
    return empty, deltas


def _check(message: JsonObject) -> None:
    content = message.get("content")
    if not content or message.get("stop_reason") not in _FINISHED:
        raise NotStored
    if not {block["type"] for block in content} <= _BLOCKS:
        raise NotStored


def _template(message: JsonObject) -> bytes:
    """Return the Message with markers, and without the gateway's own field, which describes one answer only."""
    return orjson.dumps({key: value for key, value in message.items() if key != "locus"} | {"id": ID_VALUE})
