"""Parses the body of an error response in any form. Pure functions.

Servers send `{"error": {…}}`, `{"error": "…"}`, `[{"error": {…}}]`, `{"detail": [{"loc": …, "msg": …}]}`, an error of another
server as JSON in a string, an HTML page, or plain text. The amount that is read is limited, and so is the time.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from gateway.core.json_depth import is_serializable
from gateway.core.json_types import JsonObject
from gateway.provider_errors.retry_after import wait_in_field, wait_in_text

MAX_JSON = 1 << 18  # bytes of a body that are parsed
MAX_TEXT = 20_000  # characters of a body that are read as text
MAX_MESSAGE = 1_500  # characters of the message: its first 1,000 and its last 500
MAX_REASON = 300
_MAX_DEPTH = 10
_MAX_VALUES = 60  # objects and strings that are read

_TEXTS = (
    "message", "Message", "error_message", "errorMessage", "msg", "error", "errors", "detail", "details",
    "error_description", "faultstring", "fault", "reason", "metadata", "raw", "innererror", "violations",
)  # fmt: skip
_CODES = (
    "code",
    "type",
    "status",
    "error_code",
    "error_type",
    "errorType",
    "reason",
    "__type",
    "@type",
    "quotaId",
    "Code",
)
_WAITS = ("retryDelay", "retry_delay", "retry_after", "retry_after_seconds", "estimated_time")
_HTML = re.compile(r"<(?:title|h1|h2|p)(?:\s[^<>]{0,200})?>([^<]{1,300})", re.IGNORECASE)
_INVISIBLE = re.compile(
    "[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]"
)  # in a message they would hide words, and secrets, from pattern searches
_SPACES = re.compile(r"\s+")
_MAX_INPUT = 40  # characters of an input that a validation error repeats


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The content of an error response.

    Attributes:
        message: all messages of the error, joined.
        codes: the codes, types and statuses of all levels, in lower case.
        param: the request field that the error names, such as `messages.0.role`.
        error: the error as an OpenAI error object.
        wait_s: the wait time that the error asks for, in seconds.
        status: the HTTP status that the body contains.
    """

    message: str
    codes: frozenset[str]
    param: str | None
    error: JsonObject
    wait_s: float | None
    status: int | None

    @property
    def reason(self) -> str:
        """The message in one line of at most 300 characters, without control characters."""
        return one_line(self.message)


def read_error(body: bytes) -> ErrorBody:
    """Parse the body of an error response."""
    try:
        value = orjson.loads(body) if len(body) <= MAX_JSON else None
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict | list):
        return read_error_value(value)
    return read_error_value(value if isinstance(value, str) else _page(body[:MAX_TEXT].decode("utf-8", "replace")))


def read_error_value(value: object) -> ErrorBody:
    """Return the content of an error that is parsed JSON: an object, a list of objects, or a string."""
    reader = _ErrorReader()
    reader.read(value, 0)
    message = _INVISIBLE.sub("", _bounded("; ".join(dict.fromkeys(reader.texts))))
    if not message and isinstance(value, dict | list) and value:
        message = _bounded(orjson.dumps(value, default=str).decode()[:MAX_TEXT] if is_serializable(value) else "")
    error = _error_object(value)
    if message:
        error["message"] = message
    wait_s = reader.wait_s if reader.wait_s is not None else wait_in_text(message)
    return ErrorBody(message, frozenset(reader.codes), reader.param, error, wait_s, reader.status)


def one_line(text: str) -> str:
    """Return a text in one line of at most 300 characters, with control characters escaped so that terminals do not obey them."""
    line = _SPACES.sub(" ", text[: 4 * MAX_REASON]).strip()
    line = "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in line)
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 1] + "…"


@dataclass(slots=True)
class _ErrorReader:
    """Walks through an error and collects its messages, codes, field, wait time and status."""

    texts: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    param: str | None = None
    wait_s: float | None = None
    status: int | None = None
    remaining: int = _MAX_VALUES

    def read(self, value: object, depth: int) -> None:
        """Read a value and the values in it, up to the limits of depth and number."""
        self.remaining -= 1
        if self.remaining < 0 or depth > _MAX_DEPTH:
            return
        if isinstance(value, str):
            self._text(value, depth)
        elif isinstance(value, list):
            for item in value[:20]:
                self.read(item, depth + 1)
        elif isinstance(value, dict):
            self._object(value, depth)

    def _text(self, text: str, depth: int) -> None:
        """Read a text. If it contains an error as JSON, that error is read instead."""
        start = text.find("{")
        inner = _json(text[start : text.rfind("}") + 1]) if 0 <= start < MAX_TEXT else None
        if isinstance(inner, dict) and inner:
            before = text[:start].strip(" -:\n['b")
            if before:
                self.texts.append(before)
            self.read(inner, depth + 1)
        elif text.strip():
            self.texts.append(text[:MAX_TEXT].strip())

    def _object(self, value: JsonObject, depth: int) -> None:
        for key in _CODES:
            self._code(value.get(key))
        for key in _WAITS:
            if self.wait_s is None:
                self.wait_s = wait_in_field(value.get(key))
        param = value.get("param")
        if self.param is None and isinstance(param, str) and param:
            self.param = param[:200]
        if isinstance(value.get("loc"), list) and isinstance(value.get("msg"), str):
            self._validation(value["loc"], value["msg"], value.get("input"))
            return
        for key in _TEXTS:
            inner = value.get(key)
            if inner is not None and (key != "reason" or not isinstance(inner, str)):
                self.read(inner, depth + 1)

    def _code(self, code: object) -> None:
        if isinstance(code, int) and not isinstance(code, bool) and self.status is None and 400 <= code < 600:
            self.status = code
        if isinstance(code, str | int) and not isinstance(code, bool):
            self.codes.add(str(code)[:200].lower())

    def _validation(self, loc: list[object], msg: str, value: object) -> None:
        """Read one validation error of pydantic, as FastAPI sends it: location, message and input."""
        path = ".".join(str(part)[:100] for part in loc[:12] if part != "body")
        if self.param is None and path:
            self.param = path
        short = isinstance(value, str) and len(value) <= _MAX_INPUT
        self.texts.append(f"{path}: {msg[:500]}" + (f" (given: {value})" if short else ""))


def _json(text: str) -> object:
    """Return the parsed JSON of a text, which may be escaped once more; None if it is no JSON."""
    for candidate in (text, text.replace("\\n", " ").replace('\\"', '"')):
        try:
            return orjson.loads(candidate)
        except orjson.JSONDecodeError:
            continue
    return None


def _page(text: str) -> str:
    """Return the title and the headings of an HTML page; any other text unchanged."""
    if text.lstrip()[:1] != "<":
        return text
    headings = (_SPACES.sub(" ", html.unescape(part)).strip() for part in _HTML.findall(text))
    return "; ".join(dict.fromkeys(part for part in headings if part)) or text[:MAX_REASON]


def _bounded(text: str) -> str:
    """Return a text of at most `MAX_MESSAGE` characters: the beginning and the end of a longer one."""
    if len(text) <= MAX_MESSAGE:
        return text
    tail = MAX_MESSAGE // 3
    return f"{text[: MAX_MESSAGE - tail]} {text[-tail:]}"


def _error_object(value: object) -> JsonObject:
    """Return the OpenAI error object in an error, with its plain values only; empty if there is none."""
    for error in _objects(value):
        fields = {
            key: error[key] for key in ("message", "type", "param", "code") if isinstance(error.get(key), str | int)
        }
        if fields:
            return fields
    return {}


def _objects(value: object) -> Iterator[JsonObject]:
    """Yield the objects of an error that may be an OpenAI error object, the innermost first."""
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        if isinstance(value.get("error"), dict):
            yield value["error"]
        elif isinstance(value.get("error"), str):
            yield {"message": value["error"]} | {key: value.get(key) for key in ("type", "param", "code")}
        yield value
