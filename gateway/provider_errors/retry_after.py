"""Reads the wait time that a provider asks for: from headers, from fields of the error, or from the error message."""

import datetime as dt
import email.utils
import math
import re
from collections.abc import Mapping

MAX_RETRY_AFTER_S = 86_400.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_AMOUNT = r"\d{1,9}(?:\.\d{1,9})?"
_UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)"
_PART = re.compile(rf"({_AMOUNT})\s?({_UNIT})(?![a-z])|({_AMOUNT})(ms|[smhd])", re.IGNORECASE)
_SENTENCE = re.compile(
    rf"(?:retry|try again|wait|available)(?: again)?(?: (?:in|after|for|about|another|approximately|at least)){{1,2}}"
    rf" ((?:{_AMOUNT}\s?{_UNIT}[ ,]{{0,2}}){{1,4}})",
    re.IGNORECASE,
)
_FIELD = re.compile(
    rf"[\"'](?:retryDelay|retry_delay|retry_after|retry-after)[\"']:\s?[\"']?({_AMOUNT})(s?)", re.IGNORECASE
)


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait by `retry-after-ms` or `Retry-After` (RFC 9110, 10.2.3: seconds or a date), or None.

    At most one day, so that a wrong header cannot disable a deployment for longer.
    """
    try:
        if (ms := headers.get("retry-after-ms")) is not None:
            return _limited(float(ms) / 1000)
        if (value := headers.get("retry-after")) is None:
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return _limited(float(value))
        when = email.utils.parsedate_to_datetime(value)
        return _limited((when - dt.datetime.now(dt.UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def wait_in_text(text: str) -> float | None:
    """Return the seconds to wait that an error message names, or None.

    `wait_in_text("Please try again in 1m6.5s.")` is 66.5.
    """
    if (sentence := _SENTENCE.search(text)) is not None:
        parts = _PART.findall(sentence.group(1))
        return _limited(
            sum(float(amount or short) * _UNITS[_unit(unit or letter)] for amount, unit, short, letter in parts)
        )
    if (field := _FIELD.search(text)) is not None:
        return _limited(float(field.group(1)))
    return None


def wait_in_field(value: object) -> float | None:
    """Return the seconds to wait by a field such as `"retryDelay": "2.5s"` or `"retry_after": 3`; None if it is no time."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _limited(float(value))
    if isinstance(value, str) and (match := re.fullmatch(rf"({_AMOUNT})(ms|s)?", value.strip())):
        return _limited(float(match.group(1)) * _UNITS[match.group(2) or "s"])
    return None


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word in ("ms", "millisecond", "milliseconds") else word[0]


def _limited(seconds: float) -> float | None:
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None
