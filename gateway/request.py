"""Request in: bytes -> a typed chat request, once, at the edge; and back to bytes for an upstream.

Reads only what routing, failover and accounting need. Everything else in the body stays as the client wrote it: an
upstream gets the client's own bytes with the model name spliced in, not a re-serialisation.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import orjson

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.upstream.failures import OPTIONAL_FIELDS

QUERY_MIN_CHARS = 24  # below this a last user turn ("go on") says nothing by itself
QUERY_MAX_CHARS = 8_000  # well above the encoder's 512 tokens; bounds the work per request
TOKENS_PER_IMAGE = 1_000
CHARS_PER_TOKEN = 4
MAX_DEPTH = 250  # of nested lists and objects; what is deeper could be read but not written again
MAX_OUTPUT_TOKENS = 1 << 31  # beyond every model; a larger limit means the same
LARGE = 1 << 16  # bytes from which a body is searched with care
FIRST_BYTES = 300
_MODEL_FIELD = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
_OPEN_BRACE = re.compile(rb"\s*\{")


Api = Literal["chat", "messages", "responses", "completions"]


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
        body = splice_model(self.body, self.fields["model"], model)
        return orjson.dumps(self.fields | {"model": model}) if body is None else body


@dataclass(frozen=True, slots=True)
class Need:
    """What a request asks of a model.

    Attributes:
        capabilities: subset of {"tools", "vision", "json_schema", "audio"}.
        prompt_tokens: estimated length of the prompt, tokens.
        output_tokens: the client's own output limit, tokens; None where it set none.
    """

    capabilities: frozenset[str]
    prompt_tokens: int
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A validated chat request: the client's bytes, and what the gateway read from them.

    Attributes:
        native: the client's own request where it came in another format, of which this is the translation.
    """

    body: bytes
    fields: dict[str, Any]
    model: str
    stream: bool
    usage_asked: bool
    need: Need
    native: Native | None = None

    @property
    def query(self) -> str:
        """The text that the choice is made by; see `query_text`."""
        return query_text(self.fields["messages"])

    @property
    def choices(self) -> int:
        """How many choices the client asked for."""
        n = self.fields.get("n")
        return n if isinstance(n, int) else 1

    @property
    def structured(self) -> bool:
        """Must the answer be JSON?"""
        form = self.fields.get("response_format")
        return isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")

    def has(self, field: str) -> bool:
        """Is this optional field sent to upstreams? Usage is asked for in every stream."""
        return field in self.fields or (field == "stream_options" and self.stream)

    def asks_properly(self, field: str) -> bool:
        """Was this optional field the gateway's own, or sent by the client in a form that the OpenAI API allows?"""
        value = self.fields.get(field)
        if isinstance(value, dict) and field == "stream_options":
            return self.stream and value.keys() == {"include_usage"}
        return value is None or isinstance(value, OPTIONAL_FIELDS[field])

    def outgoing(self, model: str, dropped: frozenset[str] = frozenset()) -> bytes:
        """The body for an upstream: the client's bytes with the model name changed and usage asked for in streams.

        Args:
            model: the name that the upstream expects.
            dropped: optional fields that this upstream has refused before.
        """
        fields = self.fields
        refused = dropped & fields.keys()
        ask_usage = self.stream and not self.usage_asked and "stream_options" not in dropped
        if refused or (ask_usage and "stream_options" in fields):
            changed = {key: value for key, value in fields.items() if key not in refused} | {"model": model}
            if ask_usage:
                changed["stream_options"] = {**(fields.get("stream_options") or {}), "include_usage": True}
            return orjson.dumps(changed)
        body = splice_model(self.body, self.model, model)
        if body is None:  # duplicate keys, or the pattern occurs in a nested object too: take the slow, certain way
            body = orjson.dumps(fields | {"model": model})
        if ask_usage:
            brace = _OPEN_BRACE.match(body)
            assert brace is not None  # it parsed as an object with a model in it
            body = b'{"stream_options":{"include_usage":true},' + body[brace.end() :]
        return body


def splice_model(body: bytes, old: str, new: str) -> bytes | None:
    """`body` with its one `"model": old` field set to `new`; None where there is not exactly one such field.

    A quote inside a JSON string is always escaped, so the pattern can only match a key, never text. A letter of `model`
    may be escaped too, which hides a key from the pattern: bodies with such escapes, which nobody writes, get None.
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
    found = None
    for match in _MODEL_FIELD.finditer(body):
        if found is not None:
            return None
        found = match
    if found is None or orjson.loads(b'"' + found.group(1) + b'"') != old:
        return None
    return b"".join((body[: found.start(1)], name, body[found.end(1) :]))


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
    """
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


def translated(fields: dict[str, Any], native: Native) -> ChatRequest:
    """The chat request that a request of another format amounts to.

    Args:
        fields: of the chat request.

    Raises:
        InvalidRequest: as `parse_chat`; `param` is the chat request's.
    """
    return chat_request(orjson.dumps(fields), fields, native)


def chat_request(body: bytes, fields: dict[str, Any], native: Native | None = None) -> ChatRequest:
    """Checks the fields that the gateway reads."""
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest(expected("model", "a model name, `auto` or `auto:<policy>`", fields), param="model")
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
        need=_need(fields),
        native=native,
    )


def _too_deep(fields: dict[str, Any]) -> bool:
    """orjson reads 1,024 levels but writes only about 250."""
    try:
        orjson.dumps(fields)
    except orjson.JSONEncodeError:
        return True
    return False


def query_text(messages: list[dict[str, Any]]) -> str:
    """The text that represents a conversation to the query encoder.

    The last user turn; while that is shorter than 24 characters ("go on"), the user turn before it is put in front.
    Without any user turn, the last message that has text. At most 8,000 characters, from the start.
    """
    turns: list[str] = []
    length = 0
    for message in reversed(messages):
        if message["role"] == "user":
            text = message_text(message)[:QUERY_MAX_CHARS]
            turns.append(text)
            length += len(text)
            if length >= QUERY_MIN_CHARS:
                break
    if not length:
        turns = next(([text] for m in reversed(messages) if (text := message_text(m))), [])
    return "\n".join(reversed(turns))[:QUERY_MAX_CHARS]


def message_text(message: dict[str, Any]) -> str:
    """The text of one message; the text parts joined by newlines where its content is a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return ""


def _need(fields: dict[str, Any]) -> Need:
    """Checks `messages` on the way, since reading what they need is walking them."""
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest(expected("messages", "a list of at least one message", fields), param="messages")
    capabilities = set()
    chars = images = 0
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"`{where}` must be an object, not {kind(message)}.", param=where)
        if not isinstance(message.get("role"), str):
            raise InvalidRequest(expected("role", "a string", message, where), param=f"{where}.role")
        content = message.get("content")
        if isinstance(content, str):
            chars += len(content)
        elif isinstance(content, list):
            for j, part in enumerate(content):
                if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                    at = f"{where}.content[{j}]"
                    raise InvalidRequest(f"`{at}` must be an object with a `type`, not {kind(part)}.", param=at)
                if part["type"] in ("image_url", "input_image"):
                    capabilities.add("vision")
                    images += 1
                elif part["type"] == "input_audio":
                    capabilities.add("audio")
                elif isinstance(part.get("text"), str):
                    chars += len(part["text"])
        elif content is not None:
            raise InvalidRequest(
                expected("content", "a string, a list of parts or null", message, where), param=f"{where}.content"
            )
    if fields.get("tools") or fields.get("functions"):
        capabilities.add("tools")
        chars += len(orjson.dumps(fields.get("tools") or fields.get("functions")))
    response_format = fields.get("response_format")
    if isinstance(response_format, dict) and response_format.get("type") == "json_schema":
        capabilities.add("json_schema")
    return Need(
        capabilities=frozenset(capabilities),
        prompt_tokens=chars // CHARS_PER_TOKEN + images * TOKENS_PER_IMAGE + 4 * len(messages),
        output_tokens=_output_limit(fields),
    )


def _output_limit(fields: dict[str, Any]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        value = fields.get(key)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidRequest(expected(key, "a whole number of at least 1", fields), param=key)
            return min(value, MAX_OUTPUT_TOKENS)
    return None


def expected(key: str, what: str, found_in: dict[str, Any], where: str = "") -> str:
    """What a client is told of a field that is missing or of the wrong kind."""
    name = f"{where}.{key}" if where else key
    if key not in found_in:
        return f"`{name}` is missing; expected {what}."
    return f"`{name}` must be {what}, not {kind(found_in[key])}."


def kind(value: Any) -> str:
    """A value's JSON type in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string" if value else "an empty string"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "an object" if value else "an empty object"


async def read_body(receive: Any, limit: int) -> bytes:
    """The whole request body.

    Raises:
        BodyTooLarge: more than `limit` bytes; checked while reading, so no more than that is ever held.
        ConnectionResetError: the client went away before the body was complete.
    """
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
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)
