"""Request in: bytes -> a typed chat request, once, at the edge; and back to bytes for an upstream.

Reads only what routing, failover and accounting need. Everything else in the body stays as the client wrote it: an
upstream gets the client's own bytes with the model name spliced in, not a re-serialisation.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import orjson

from gateway.bodies.content_encoding import content_encodings, decoded
from gateway.bodies.json_cost import BYTES_PER_BYTE, MAX_CONTAINERS, MAX_VALUES, json_cost
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import LARGE, offloaded
from gateway.core.errors import BodyTooLarge, InvalidRequest
from gateway.core.fields import expected, kind
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import OPTIONAL_FIELDS, OTHER_NAME
from gateway.request.chat_templates import system_first
from gateway.request.model_names import model_name
from gateway.request.query_text import query_text
from gateway.request.requirements import Requirements, read_requirements
from gateway.request.tool_results import results_behind_calls

MAX_DEPTH = 250  # of nested lists and objects; what is deeper could be read but not written again
COUNTED = 256 << 10  # bytes from which the values of a body are counted; memory for a smaller one is
BYTES_PER_SMALL_BYTE = 24  # charged by its bytes alone
FIRST_BYTES = 300
MAX_ESCAPED = 12  # bytes of an escaped character beyond the Basic Multilingual Plane, the longest form of one
_MODEL_FIELD = re.compile(rb'"model"\s*:\s*"')
_OPEN_BRACE = re.compile(rb"\s*\{")


@dataclass(frozen=True, slots=True)
class Native:
    """A request as the client wrote it, in another format than chat: for upstreams that speak that format too.

    Attributes:
        headers: the client's headers that belong to the format, such as `anthropic-beta`.
    """

    api: Api
    body: bytes
    fields: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def outgoing(self, model: str) -> bytes:
        """The body for an upstream: the client's bytes with the model name changed."""
        body = replace_model_name(self.body, self.fields["model"], model)
        return orjson.dumps(self.fields | {"model": model}) if body is None else body


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a client asks of the gateway itself for one request; see `gateway.request.overrides`.

    Attributes:
        cost_weight: as a policy's.
        min_p_correct: models that are less probably correct are not chosen, as long as there are others.
        allow: no other model may answer; None: all may.
        failover: whether another model than the chosen one may answer.
        session: the conversation, by the client's own name.
    """

    policy: str | None = None
    cost_weight: float | None = None
    min_p_correct: float | None = None
    allow: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    failover: bool = True
    session: str | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A validated chat request: the client's bytes, and what the gateway read from them.

    Attributes:
        native: the client's own request where it came in another format, of which this is the translation.
        session: the conversation that it goes on with, where its format says so (`previous_response_id`).
        freeform: functions that stand for tools whose input is any text, which the client wants as it is.
        utility: a small call that a front end makes on its own; it belongs to no conversation.
        left_out: what of the client's request the translation has nothing for, as `tools.web_search`. In visible ASCII.
        known_query: `query`, where it has been read already.
        api: the format of `body`.
    """

    body: bytes
    fields: dict[str, Any]
    model: str
    stream: bool
    usage_asked: bool
    requirements: Requirements
    native: Native | None = None
    overrides: Overrides = Overrides()
    session: str | None = None
    freeform: frozenset[str] = frozenset()
    utility: bool = False
    left_out: tuple[str, ...] = ()
    known_query: str | None = None
    api: Api = "chat"

    @property
    def query(self) -> str:
        """The text that the choice is made by; see `query_text`."""
        return query_text(self.fields["messages"]) if self.known_query is None else self.known_query

    @property
    def mid_turn(self) -> bool:
        """Whether it has results of tool calls that the last answer made. Then that answer is still being worked on."""
        for message in reversed(self.fields["messages"]):
            if message["role"] in ("tool", "function"):
                return True
            if message["role"] == "assistant":
                return False
        return False

    @property
    def choices(self) -> int:
        """How many choices the client asked for."""
        n = self.fields.get("n")
        return n if isinstance(n, int) else 1

    @property
    def structured(self) -> bool:
        """Whether the answer must be JSON."""
        form = self.fields.get("response_format")
        return isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")

    def has(self, field: str) -> bool:
        """Whether this optional field is sent to upstreams. Usage is asked for in every stream."""
        return field in self.fields or (field == "stream_options" and self.stream)

    def asks_properly(self, field: str) -> bool:
        """Whether this optional field was the gateway's own, or sent by the client in a form that the OpenAI API allows."""
        value = self.fields.get(field)
        if isinstance(value, dict) and field == "stream_options":
            return self.stream and value.keys() == {"include_usage"}
        return value is None or field in OTHER_NAME or isinstance(value, OPTIONAL_FIELDS[field])

    def without(self, dropped: frozenset[str]) -> dict[str, Any]:
        """The fields without those that an upstream has refused; a limit of the answer's length keeps its other name."""
        fields = self.fields
        refused = dropped & fields.keys()
        if not refused:
            return fields
        renamed = {OTHER_NAME[key]: fields[key] for key in refused & OTHER_NAME.keys()}
        return {key: value for key, value in fields.items() if key not in refused} | renamed

    def outgoing(self, model: str, dropped: frozenset[str] = frozenset()) -> bytes:
        """The body for an upstream: the client's bytes with the model name changed and usage asked for in streams.

        Args:
            model: the name that the upstream expects.
            dropped: optional fields that this upstream has refused before.
        """
        fields = self.fields
        ask_usage = self.stream and not self.usage_asked and "stream_options" not in dropped
        if dropped & fields.keys() or (ask_usage and "stream_options" in fields):
            changed = self.without(dropped) | {"model": model}
            if ask_usage:
                changed["stream_options"] = {**(fields.get("stream_options") or {}), "include_usage": True}
            return orjson.dumps(changed)
        body = replace_model_name(self.body, self.model, model)
        if body is None:  # duplicate keys, or the pattern occurs in a nested object too: take the slow, certain way
            body = orjson.dumps(fields | {"model": model})
        if ask_usage:
            brace = _OPEN_BRACE.match(body)
            assert brace is not None  # it parsed as an object with a model in it
            body = b'{"stream_options":{"include_usage":true},' + body[brace.end() :]
        return body


def replace_model_name(body: bytes, old: str, new: str) -> bytes | None:
    """`body` with its one `"model": old` field set to `new`; None where there is not exactly one such field.

    A quote inside a JSON string is always escaped, so the pattern can only match a key, never text. A letter of `model`
    may be escaped too, which hides a key from the pattern: bodies with such escapes, which clients do not write, get None.
    `splice_model(b'{"model": "auto", "n": 1}', "auto", "gpt-4o")` is `b'{"model": "gpt-4o", "n": 1}'`.
    """
    if _occurs(body, b"\\u006"):
        return None
    name = orjson.dumps(new)[1:-1]
    at = _only(body, b'"model"')  # as nearly always; a quote inside a string is escaped, so this is the key
    if at is not None:
        for key in (b'"model": "', b'"model":"'):
            if body.startswith(written := key + old.encode(errors="replace") + b'"', at):
                whole = memoryview(body)
                return b"".join((whole[:at], key, name, b'"', whole[at + len(written) :]))
    keys = list(islice(_MODEL_FIELD.finditer(body), 2))
    if len(keys) != 1:
        return None
    start = keys[0].end()
    end = body.find(b'"', start, start + MAX_ESCAPED * len(old) + 1)  # of a name with a quote in it: not the end
    try:
        written = orjson.loads(body[start - 1 : end + 1])
    except orjson.JSONDecodeError:
        return None
    return b"".join((body[:start], name, body[end:])) if written == old else None


def with_field(body: bytes, name: str, value: Any) -> bytes:
    """`body`, a JSON object that is not empty, with one more field; of one that may have the field already it is replaced."""
    key = orjson.dumps(name)
    end = body.rfind(b"}")
    if key in body or end < 0:
        return orjson.dumps(orjson.loads(body) | {name: value})
    return b"".join((body[:end], b",", key, b":", orjson.dumps(value), body[end:]))


def _places(body: bytes, needle: bytes) -> Iterator[int]:
    """Where `needle` occurs in a large body. Its first byte is found at ten times the speed of the whole, so that leads on.

    Each hit of that byte costs Python's time: of many, the rest of the body is searched as usual.
    """
    first, at = needle[:1], -1
    for _ in range(FIRST_BYTES):
        at = body.find(first, at + 1)
        if at < 0:
            return
        if body.startswith(needle, at):
            yield at
    while (at := body.find(needle, at + 1)) >= 0:
        yield at


def _occurs(body: bytes, needle: bytes) -> bool:
    return needle in body if len(body) < LARGE else next(_places(body, needle), None) is not None


def _only(body: bytes, needle: bytes) -> int | None:
    """Where `needle` occurs, if it does so once."""
    if len(body) < LARGE:
        return body.find(needle) if body.count(needle) == 1 else None
    places = _places(body, needle)
    at = next(places, None)
    return at if next(places, None) is None else None


def _more_than(body: bytes, needle: bytes, most: int) -> bool:
    if len(body) < LARGE:
        return body.count(needle) > most
    return next(islice(_places(body, needle), most, None), None) is not None


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises:
        InvalidRequest: it is none, or nested too deeply.
        BodyTooLarge: it has more values than any request needs.
        Overloaded: there is no memory for it now.
    """
    if len(body) > COUNTED:
        cost = json_cost(body)
        if cost.excessive:
            raise BodyTooLarge(
                f"The body has {cost.values} JSON keys and values and {cost.containers} objects and lists; at most "
                f"{MAX_VALUES} and {MAX_CONTAINERS} are read."
            )
        charge(cost.memory - BYTES_PER_BYTE * len(body))
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}.") from exc
    if not isinstance(fields, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {kind(fields)}.")
    half = MAX_DEPTH // 2
    if (_more_than(body, b"[", half) or _more_than(body, b"{", half)) and _too_deep(fields):
        raise InvalidRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    return fields


def parse_chat(body: bytes) -> ChatRequest:
    """The chat request in `body`.

    Raises:
        InvalidRequest: not JSON, not an object, or a field that the gateway reads has the wrong type; `param` names it.
    """
    return chat_request(body, parse_object(body))


def translated(fields: dict[str, Any], native: Native, native_only: str | None = None) -> ChatRequest:
    """The chat request that a request of another format amounts to, in an order that chat templates take.

    Args:
        fields: of the chat request.
        native_only: the field of the native request that chat has nothing for, if any.

    Raises:
        InvalidRequest: as `parse_chat`; `param` is the chat request's.
    """
    fields = fields | {"messages": system_first(results_behind_calls(fields["messages"]))}
    try:
        body = orjson.dumps(fields)
    except orjson.JSONEncodeError as exc:  # what was read was less deep
        raise InvalidRequest(f"The body is nested deeper than {MAX_DEPTH} levels.") from exc
    request = chat_request(body, fields, native)
    if native_only is None:
        return request
    return replace(request, requirements=replace(request.requirements, api=native.api, api_field=native_only))


def chat_request(body: bytes, fields: dict[str, Any], native: Native | None = None) -> ChatRequest:
    """Checks the fields that the gateway reads."""
    model = model_name(fields, "a model name, `auto` or `auto:<policy>`")
    stream = fields.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest(expected("stream", "true or false", fields), param="stream")
    options = fields.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise InvalidRequest(expected("stream_options", "an object", fields), param="stream_options")
    return ChatRequest(
        body=body,
        fields=fields,
        model=model,
        stream=bool(stream),
        usage_asked=bool(options and options.get("include_usage")),
        requirements=read_requirements(fields),
        native=native,
    )


def _too_deep(fields: dict[str, Any]) -> bool:
    """orjson reads 1,024 levels but writes only about 250."""
    try:
        orjson.dumps(fields)
    except orjson.JSONEncodeError:
        return True
    return False


async def read_body(receive: Any, limit: int, encoding: bytes = b"") -> bytes:
    """The whole request body, decoded. Its memory is charged while it is read; see `gateway.bodies.memory_budget`.

    Args:
        limit: bytes, of the body as it is sent and as it is decoded.
        encoding: the `Content-Encoding` header.

    Raises:
        BodyTooLarge: more than `limit` bytes; checked while reading, so no more than that is ever held.
        UnsupportedEncoding: the body cannot be decoded.
        Overloaded: there is no memory for it now.
        ConnectionResetError: the client went away before the body was complete.
    """
    encodings = content_encodings(encoding) if encoding else []
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("client left while sending its request")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(f"The request body is larger than {limit} bytes, the limit of this gateway.")
        more = message.get("more_body")
        if more or size > COUNTED:
            charge(len(part) * BYTES_PER_BYTE)
        else:  # a small body, whose values are not counted later; its earlier parts have been charged as bytes
            charge(size * BYTES_PER_SMALL_BYTE - (size - len(part)) * BYTES_PER_BYTE)
        parts.append(part)
        if not more:
            break
    body = parts[0] if len(parts) == 1 else await offloaded(size, b"".join, parts)
    if encodings:
        body = await offloaded(LARGE, decoded, body, encodings, limit)
        charge(len(body) * (BYTES_PER_BYTE if len(body) > COUNTED else BYTES_PER_SMALL_BYTE))
    return body
