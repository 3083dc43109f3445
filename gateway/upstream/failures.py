"""What a failed call to an upstream means for the next step. Pure: status, headers and body -> one `UpstreamFailure`."""

import datetime as dt
import email.utils
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from gateway.defects import log_defect

log = logging.getLogger("locus.upstream")


class Cause(Enum):
    """Why a call failed. The value is the word in logs, metrics and `/v1/route`."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"  # 503, 529, a model that is still being loaded: it passes by itself
    SERVER_ERROR = "server_error"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"
    LOCAL = "local"  # a fault of this machine, such as no free port: says nothing about the provider
    AUTH = "auth"  # the provider says that the key is refused
    NOT_FOUND = "not_found"  # the provider says that the model is unknown
    QUOTA = "quota"  # the provider says that the account's money or quota is used up
    REFUSED = "refused"  # 401, 402, 403 or 404 without these words: perhaps only this request is refused
    CONTEXT_LENGTH = "context_length"  # the prompt is longer than the model's window
    TOO_LARGE = "too_large"  # the request is larger than this deployment takes; another one may take it
    CONTENT_FILTER = "content_filter"
    FIELD_REFUSED = "field_refused"  # the deployment does not know the optional field `field`
    VALUE_REFUSED = "value_refused"  # it knows `field`, but refuses the value in this request
    UNSUPPORTED = "unsupported"  # this model cannot take the request (a role, tools, a template rule): others may
    REJECTED = "rejected"
    DIVERGED = "diverged"  # a fresh answer that does not say what the client has already


TAKEN_OUT = frozenset({Cause.AUTH, Cause.NOT_FOUND, Cause.QUOTA})  # time does not heal these: an operator must
FOR_CLIENT = frozenset({Cause.CONTENT_FILTER, Cause.REJECTED})  # the request is at fault: no other model is asked
QUICK_RETRY = frozenset({Cause.SERVER_ERROR, Cause.CONNECTION, Cause.UNREADABLE})

MAX_RETRY_AFTER_S = 86_400.0
# Fields of a request without which the answer is still the one that was asked for, with the type that each has.
OPTIONAL_FIELDS: Mapping[str, type] = {
    "stream_options": dict,
    "parallel_tool_calls": bool,
    "reasoning_effort": str,
    "prompt_cache_key": str,
    "prompt_cache_retention": str,
    "safety_identifier": str,
    "service_tier": str,
    "verbosity": str,
    "metadata": dict,
    "store": bool,
    "seed": int,
    "user": str,
}
# Two names of one field: of the newer OpenAI models some know the second alone, of other servers many only the first.
OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_RENAMED = {
    "max_tokens": re.compile(r"[\"'`]max_tokens[\"'`][^.]{0,60}not supported|use [\"'`]max_completion_tokens[\"'`]"),
    "max_completion_tokens": re.compile(
        r"max_completion_tokens[\"'`]?[^.]{0,40}(?:not (?:supported|allowed|permitted)|unsupported|unknown|unrecogni[sz]ed|extra)"
        r"|(?:unsupported|unknown|unrecogni[sz]ed|extra)\b[^.]{0,60}max_completion_tokens"
        r"|\"loc\":\s*\[[^\]]*\"max_completion_tokens\""
    ),
}
_REFUSED = {  # as the thing that is unknown or not allowed; a bare `user` may be a role
    field: re.compile(
        rf"(?:argument|parameter|field|property|key|input|param)s?\b[^.]{{0,60}}?[\s\"'`:]{field}\b"
        rf"|[\"'`]{field}[\"'`][^.]{{0,40}}(?:not (?:supported|allowed|permitted)|unsupported|unknown|unrecogni[sz]ed|extra)"
        rf"|\"loc\":\s*\[[^\]]*\"{field}\""
    )
    for field in OPTIONAL_FIELDS
}
_CONTEXT_MARKS = (
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "prompt is too long",
    "too many tokens",
    "input is too long",
)
_FILTER_MARKS = ("content_filter", "content_policy_violation", "content management policy", "responsibleaipolicy")
_MODERATION_MARKS = ("moderation", "flagged")  # as OpenRouter says with a 403
_AUTH_MARKS = ("api key not valid", "incorrect api key", "invalid api key", "invalid_api_key")  # as Google and xAI say
_QUOTA_MARKS = ("insufficient_quota", "exceeded your current quota", "credit balance", "billing_hard_limit")


@dataclass(eq=False)
class UpstreamFailure(Exception):
    """One failed call.

    Attributes:
        cause: what kind of failure.
        status: the provider's HTTP status; None where it never answered.
        retry_after_s: what the provider asked for, seconds.
        error: the provider's own error object, only for causes that the client should hear of.
        field: the request field that was refused, for `FIELD_REFUSED` and `VALUE_REFUSED`.
        detail: a word for the log; never contains the provider's text.
        reason: the provider's own words in one line, for the client, the record and the log. Failover takes the deployment's
            secrets out of it before it goes anywhere.
    """

    cause: Cause
    status: int | None = None
    retry_after_s: float | None = None
    error: Mapping[str, Any] | None = None
    field: str | None = None
    detail: str = ""
    reason: str = ""

    def __str__(self) -> str:
        status = "" if self.status is None else f" {self.status}"
        return f"{self.cause.value}{status}{f' ({self.detail})' if self.detail else ''}"


def classify(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """The failure that an answer with an error status stands for."""
    error = _error_object(body)
    text = body[:20_000].decode("utf-8", "replace").lower()
    retry_after_s = parse_retry_after(headers)

    def failure(cause: Cause, **more: Any) -> UpstreamFailure:
        return UpstreamFailure(cause, status=status, retry_after_s=retry_after_s, **more)

    if status == 429 or (status == 402):
        return failure(Cause.QUOTA if status == 402 or _any(_QUOTA_MARKS, text) else Cause.RATE_LIMITED)
    if status == 403 and _any(_MODERATION_MARKS, text):
        return failure(Cause.CONTENT_FILTER, error=error)
    if status in (401, 403):
        return failure(Cause.QUOTA if _any(_QUOTA_MARKS, text) else Cause.AUTH)
    if status in (404, 405, 410):
        return failure(Cause.NOT_FOUND)
    if status in (400, 413, 422):
        if _any(_CONTEXT_MARKS, text):
            return failure(Cause.CONTEXT_LENGTH, error=error)
        if _any(_FILTER_MARKS, text):
            return failure(Cause.CONTENT_FILTER, error=error)
        if _any(_AUTH_MARKS, text):
            return failure(Cause.AUTH)
        if _any(_QUOTA_MARKS, text):
            return failure(Cause.QUOTA)
        param = error.get("param")
        if isinstance(param, str) and param in OPTIONAL_FIELDS:
            return failure(Cause.FIELD_REFUSED, field=param, error=error)
        said = _REFUSED | _RENAMED
        refused = next((field for field, pattern in said.items() if pattern.search(text)), None)
        if refused is None and "stream_options" in text:
            refused = "stream_options"
        if refused is not None:
            return failure(Cause.FIELD_REFUSED, field=refused, error=error)
    if status in (408, 409, 425) or status >= 500 or status < 400:
        return failure(Cause.SERVER_ERROR)
    return failure(Cause.REJECTED, error=error)


def classify_event(error: Any) -> UpstreamFailure:
    """The failure that an `error` object inside a stream with status 200 stands for."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    text = orjson.dumps(error, default=str).decode().lower()
    if status is None:
        marks = {
            "insufficient_quota": 429,
            "rate_limit": 429,
            "overloaded": 529,
            "authentication": 401,
            "permission": 403,
        }
        status = next((number for mark, number in marks.items() if mark in text), 500)
        if _any(_CONTEXT_MARKS, text) or _any(_FILTER_MARKS, text):
            status = 400
    return classify(status, {}, orjson.dumps({"error": error}, default=str))


def unexpected(exc: Exception) -> UpstreamFailure:
    """The failure that an exception nobody planned for stands for."""
    log_defect(log, "an upstream call failed unexpectedly", exc)
    return UpstreamFailure(Cause.UNREADABLE, detail=type(exc).__name__)


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (RFC 9110, 10.2.3: seconds or a date); None without one.

    At most a day: no provider may put itself out of use for longer.
    """
    try:
        if (ms := headers.get("retry-after-ms")) is not None:
            return min(max(0.0, float(ms) / 1000), MAX_RETRY_AFTER_S)
        if (value := headers.get("retry-after")) is None:
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return min(float(value), MAX_RETRY_AFTER_S)
        when = email.utils.parsedate_to_datetime(value)
        return min(max(0.0, (when - dt.datetime.now(dt.UTC)).total_seconds()), MAX_RETRY_AFTER_S)
    except (ValueError, TypeError):
        return None


def _error_object(body: bytes) -> dict[str, Any]:
    """The OpenAI error object of a body, whatever shape the provider gave it."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error", value) if isinstance(value, dict) else None
    if isinstance(error, str):
        return {"message": error}
    if not isinstance(error, dict):
        return {}
    return {key: error[key] for key in ("message", "type", "param", "code") if error.get(key) is not None}


def _any(marks: tuple[str, ...], text: str) -> bool:
    return any(mark in text for mark in marks)
