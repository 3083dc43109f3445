"""Takes out of a provider's error what the request itself says, so that no client can put words into its mouth. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.provider_errors.error_body import ErrorBody
from gateway.provider_errors.error_fields import VOCABULARY

SHORTEST = 4  # characters of a value that could say something
SHORT = 16  # characters; a value that is no longer is found as whole words only: `text` is not in `context`
PIECE = 1 << 18  # characters that are searched at a time, since other threads wait meanwhile
_MASK = "***"
_QUOTED = re.compile(r"[\"'`“‘]([^\"'`“”‘’]{4,})[\"'`”’]")
_MAX_QUOTES = 50


def mask_request_text(told: ErrorBody, request: Mapping[str, Any]) -> ErrorBody:
    """The error without the values of the request that its message repeats, whole or in part.

    Names of fields and roles stay: `Unknown parameter: 'user'` is not made unreadable by a message whose role is `user`.
    """
    message = told.message
    quotes = [quote for quote in _QUOTED.findall(message)[:_MAX_QUOTES] if quote not in VOCABULARY]
    for text in _strings(request):
        if len(text) <= len(message):
            if text in message:
                message = _without(message, text)
        elif quotes:
            for quote in quotes:
                if _contains(text, quote):
                    message = message.replace(quote, _MASK)
    return told if message == told.message else replace(told, message=message)


def _without(message: str, text: str) -> str:
    if len(text) <= SHORT:
        before, after = (r"\b" if end.isalnum() else "" for end in (text[0], text[-1]))
        return re.sub(before + re.escape(text) + after, _MASK, message)
    return message.replace(text, _MASK)


def _contains(text: str, quote: str) -> bool:
    return any(text.find(quote, at, at + PIECE + len(quote)) >= 0 for at in range(0, len(text), PIECE))


def _strings(request: Mapping[str, Any]) -> Iterator[str]:
    """The strings in a request, and the names in its objects but for its own fields'.

    All of them: behind many others a client could hide the one that its provider repeats.
    """
    stack: list[Any] = [request.get("messages"), *(value for key, value in request.items() if key != "messages")]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if len(value) >= SHORTEST and value.lower() not in VOCABULARY:
                yield value
        elif isinstance(value, dict):
            stack.extend(value.values())
            stack.extend(key for key in value if isinstance(key, str))
        elif isinstance(value, list):
            stack.extend(value)
