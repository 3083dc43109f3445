"""Reads the body of an error answer, whatever shape a server gives it. Pure.

Servers write `{"error": {…}}`, `{"error": "…"}`, `[{"error": {…}}]`, `{"detail": [{"loc": …, "msg": …}]}`, another server's
error as JSON inside a string, a page of HTML, or a line of text. What is read of it is bounded, and so is the time that takes.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.provider_errors.retry_after import wait_in_field, wait_in_words

MAX_JSON = 1 << 18  # bytes of a body that are parsed
MAX_TEXT = 20_000  # characters of a body that are read as text
MAX_WORDS = 1_500  # characters of the provider's words that are kept: first two thirds and last third
MAX_REASON = 300
_MAX_DEPTH = 10
_MAX_VALUES = 60  # objects and strings that are looked at

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
)  # they would hide words, and keys, from what searches them
_SPACES = re.compile(r"\s+")
_GIVEN = 40  # characters of an input that a validation error repeats


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer says.

    Attributes:
        message: the provider's words, all of them.
        codes: its codes, types and statuses in lower case, from every level.
        param: the request field that it names in a field of its own, such as `messages.0.role`.
        error: as an OpenAI error object.
        wait_s: how long it asks to wait, seconds.
        status: the HTTP status that the body itself names.
    """

    message: str
    codes: frozenset[str]
    param: str | None
    error: Mapping[str, Any]
    wait_s: float | None
    status: int | None

    @property
    def reason(self) -> str:
        """The words in one line of at most 300 characters, without control characters."""
        return one_line(self.message)


def read_error(body: bytes) -> ErrorBody:
    """What the body of an error answer says."""
    try:
        value = orjson.loads(body) if len(body) <= MAX_JSON else None
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict | list):
        return read_error_value(value)
    return read_error_value(value if isinstance(value, str) else _page(body[:MAX_TEXT].decode("utf-8", "replace")))


def read_error_value(value: Any) -> ErrorBody:
    """What an error says that has been parsed already: an object, a list of them, or a text."""
    found = _Found()
    found.read(value, 0)
    message = _INVISIBLE.sub("", _bounded("; ".join(dict.fromkeys(found.texts))))
    if not message and isinstance(value, dict | list) and value:
        message = _bounded(orjson.dumps(value, default=str).decode()[:MAX_TEXT] if _is_shallow(value) else "")
    error = _error_object(value)
    if message:
        error["message"] = message
    wait_s = found.wait_s if found.wait_s is not None else wait_in_words(message)
    return ErrorBody(message, frozenset(found.codes), found.param, error, wait_s, found.status)


def one_line(text: str) -> str:
    """A text in one line of at most 300 characters; control characters are escaped, so that a terminal shows them as text."""
    line = _SPACES.sub(" ", text[: 4 * MAX_REASON]).strip()
    line = "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in line)
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 1] + "…"


@dataclass(slots=True)
class _Found:
    """What has been found so far on the way through an error."""

    texts: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    param: str | None = None
    wait_s: float | None = None
    status: int | None = None
    left: int = _MAX_VALUES

    def read(self, value: Any, depth: int) -> None:
        self.left -= 1
        if self.left < 0 or depth > _MAX_DEPTH:
            return
        if isinstance(value, str):
            self._text(value, depth)
        elif isinstance(value, list):
            for item in value[:20]:
                self.read(item, depth + 1)
        elif isinstance(value, dict):
            self._object(value, depth)

    def _text(self, text: str, depth: int) -> None:
        """A text, or what another server's error says that was put into one."""
        start = text.find("{")
        inner = _json(text[start : text.rfind("}") + 1]) if 0 <= start < MAX_TEXT else None
        if isinstance(inner, dict) and inner:
            before = text[:start].strip(" -:\n['b")
            if before:
                self.texts.append(before)
            self.read(inner, depth + 1)
        elif text.strip():
            self.texts.append(text[:MAX_TEXT].strip())

    def _object(self, value: dict[str, Any], depth: int) -> None:
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

    def _code(self, code: Any) -> None:
        if isinstance(code, int) and not isinstance(code, bool) and self.status is None and 400 <= code < 600:
            self.status = code
        if isinstance(code, str | int) and not isinstance(code, bool):
            self.codes.add(str(code)[:200].lower())

    def _validation(self, loc: list[Any], msg: str, given: Any) -> None:
        """One finding of pydantic, as FastAPI tells it: where, what, and what was given."""
        path = ".".join(str(part)[:100] for part in loc[:12] if part != "body")
        if self.param is None and path:
            self.param = path
        short = isinstance(given, str) and len(given) <= _GIVEN
        self.texts.append(f"{path}: {msg[:500]}" + (f" (given: {given})" if short else ""))


def _json(text: str) -> Any:
    for candidate in (text, text.replace("\\n", " ").replace('\\"', '"')):
        try:
            return orjson.loads(candidate)
        except orjson.JSONDecodeError:
            continue
    return None


def _page(text: str) -> str:
    """The title and headings of a page of HTML; any other text as it is."""
    if text.lstrip()[:1] != "<":
        return text
    said = (_SPACES.sub(" ", html.unescape(part)).strip() for part in _HTML.findall(text))
    return "; ".join(dict.fromkeys(part for part in said if part)) or text[:MAX_REASON]


def _bounded(text: str) -> str:
    if len(text) <= MAX_WORDS:
        return text
    tail = MAX_WORDS // 3
    return f"{text[: MAX_WORDS - tail]} {text[-tail:]}"


def _is_shallow(value: Any) -> bool:
    """orjson reads 1,024 levels but writes only about 250."""
    try:
        orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:
        return False
    return True


def _error_object(value: Any) -> dict[str, Any]:
    """The OpenAI error object of an error, as far as it has one: plain values alone."""
    for error in _objects(value):
        told = {
            key: error[key] for key in ("message", "type", "param", "code") if isinstance(error.get(key), str | int)
        }
        if told:
            return told
    return {}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        if isinstance(value.get("error"), dict):
            yield value["error"]
        elif isinstance(value.get("error"), str):
            yield {"message": value["error"]} | {key: value.get(key) for key in ("type", "param", "code")}
        yield value
