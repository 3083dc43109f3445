"""Masks text of the request in a provider's error message, so that a client cannot forge error messages. Pure functions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gateway.provider_errors.error_body import ErrorBody
from gateway.provider_errors.error_fields import VOCABULARY

MIN_CHARS = 4  # shorter values of the request are not masked
WORD_CHARS = 16  # values up to this length are matched as whole words only: `text` is not in `context`
PIECE_CHARS = 1 << 18  # searched at a time, since other threads wait meanwhile
_MASK = "***"
_QUOTED = re.compile(r"[\"'`“‘]([^\"'`“”‘’]{4,})[\"'`”’]")
_MAX_QUOTES = 50


def mask_request_text(error: ErrorBody, request: Mapping[str, object]) -> ErrorBody:
    """Return the error with the values of the request masked that its message repeats completely or in quotes.

    Names of fields and roles stay: `Unknown parameter: 'user'` stays readable if the request has a message with the role `user`.
    If the message repeats no value, the same object is returned.
    """
    message = error.message
    quotes = [quote for quote in _QUOTED.findall(message)[:_MAX_QUOTES] if quote not in VOCABULARY]
    for text in _strings(request):
        if len(text) <= len(message):
            if text in message:
                message = _masked(message, text)
        elif quotes:
            for quote in quotes:
                if _contains(text, quote):
                    message = message.replace(quote, _MASK)
    return error if message == error.message else replace(error, message=message)


def _masked(message: str, text: str) -> str:
    """Return the message with a text masked."""
    if len(text) <= WORD_CHARS:
        before, after = (r"\b" if end.isalnum() else "" for end in (text[0], text[-1]))
        return re.sub(before + re.escape(text) + after, _MASK, message)
    return message.replace(text, _MASK)


def _contains(text: str, quote: str) -> bool:
    """Return True if a text, which may be very long, contains a quote."""
    return any(text.find(quote, at, at + PIECE_CHARS + len(quote)) >= 0 for at in range(0, len(text), PIECE_CHARS))


def _strings(request: Mapping[str, object]) -> Iterator[str]:
    """Yield all strings in a request, and all keys except the names of its top-level fields.

    Their number is not limited: a client could hide the string that the provider repeats behind many others.
    """
    stack: list[object] = [request.get("messages"), *(value for key, value in request.items() if key != "messages")]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if len(value) >= MIN_CHARS and value.lower() not in VOCABULARY:
                yield value
        elif isinstance(value, dict):
            stack.extend(value.values())
            stack.extend(key for key in value if isinstance(key, str))
        elif isinstance(value, list):
            stack.extend(value)
