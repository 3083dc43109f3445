"""Takes out of a provider's error what the request itself says, so that no client can put words into its mouth. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.upstream.error_body import ErrorBody
from gateway.upstream.error_fields import VOCABULARY

SHORTEST = 4  # characters of a value that could say something
MAX_STRINGS = 5_000  # of a request that are looked at, the shortest messages of agents included
MAX_CHARS = 1 << 19  # of a request that are searched for what the error quotes
_MASK = "***"
_QUOTED = re.compile(r"[\"'`“‘]([^\"'`“”‘’]{4,})[\"'`”’]")
_MAX_QUOTES = 12


def masked(told: ErrorBody, request: Mapping[str, Any]) -> ErrorBody:
    """The error without the values of the request that its message repeats, whole or in part.

    Names of fields and roles stay: `Unknown parameter: 'user'` is not made unreadable by a message whose role is `user`.
    """
    message = told.message
    quotes = [quote for quote in _QUOTED.findall(message)[:_MAX_QUOTES] if quote not in VOCABULARY]
    chars = 0
    for text in _strings(request):
        if len(text) <= len(message) and text in message:
            message = message.replace(text, _MASK)
        elif quotes and chars < MAX_CHARS:
            chars += len(text)
            for quote in quotes:
                if quote in text:
                    message = message.replace(quote, _MASK)
    return told if message == told.message else replace(told, message=message)


def _strings(request: Mapping[str, Any]) -> Iterator[str]:
    """The strings in a request, and the names in its objects but for its own fields', the latest first."""
    left = MAX_STRINGS
    stack: list[Any] = [request.get("messages"), *(value for key, value in request.items() if key != "messages")]
    while stack and left:
        value = stack.pop()
        if isinstance(value, str):
            if len(value) >= SHORTEST and value.lower() not in VOCABULARY:
                left -= 1
                yield value
        elif isinstance(value, dict):
            stack.extend(value.values())
            stack.extend(key for key in value if isinstance(key, str))
        elif isinstance(value, list):
            stack.extend(value[-MAX_STRINGS:])
