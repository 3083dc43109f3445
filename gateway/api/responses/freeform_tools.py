"""Freeform tools, whose input is any text. In chat, such a tool is a function with one string parameter."""

import json
import re

import orjson

from gateway.core.json_types import JsonObject

INPUT_KEY = "input"
_START = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_LONGEST_START = 64  # characters; arguments that do not match by then are not such an object
_COMPLETE_ESCAPES = re.compile(
    r'(?:[^"\\]+|\\(?:[^u]|u(?![dD][89abAB])[0-9a-fA-F]{4}|u[dD][89abAB]..\\u.{4}))*', re.DOTALL
)


def function_parameters() -> JsonObject:
    """Return the JSON schema of a function that replaces a freeform tool."""
    return {
        "type": "object",
        "properties": {INPUT_KEY: {"type": "string", "description": "The whole input of the tool, as it is."}},
        "required": [INPUT_KEY],
        "additionalProperties": False,
    }


def wrapped_input(text: str) -> str:
    """Return a tool's input as the arguments of its function: `{"input": text}`."""
    return orjson.dumps({INPUT_KEY: text}).decode()


def unwrapped_input(arguments: str) -> str:
    """Return the text in the arguments that a model wrote; the arguments themselves if they are not an object with a text.

    `unwrapped_input('{"input": "a"}')` is `a`, and so is `unwrapped_input('{"patch": "a"}')`.
    """
    try:
        value = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return _without_surrogates(arguments)
    if not isinstance(value, dict):
        return _without_surrogates(arguments)
    text = value.get(INPUT_KEY)
    if text is None and len(value) == 1:
        text = next(iter(value.values()))
    return _without_surrogates(text if isinstance(text, str) else arguments)


class FreeformInputReader:
    """Reads the text from arguments that arrive in pieces, as early as it can be known."""

    def __init__(self) -> None:
        self._pieces: list[str] = []  # of the arguments
        self._texts: list[str] = []  # already returned
        self._unread = ""  # the end of the arguments that has not been read
        self._started = False
        self._finished = False  # the text has ended, or cannot be read before the end of the arguments

    def feed(self, piece: str) -> str:
        """Return the text that the next piece of the arguments adds."""
        self._pieces.append(piece)
        if self._finished:
            return ""
        self._unread += piece
        if not self._started:
            start = _START.match(self._unread)
            if start is None:
                self._finished = len(self._unread) > _LONGEST_START
                return ""
            self._started = True
            self._unread = self._unread[start.end() :]
        complete = _COMPLETE_ESCAPES.match(self._unread)
        end = complete.end() if complete is not None else 0
        readable, self._unread = self._unread[:end], self._unread[end:]
        self._finished = self._unread.startswith('"')
        try:
            text = _without_surrogates(json.loads(f'"{readable}"', strict=False))
        except ValueError:
            self._finished = True
            return ""
        self._texts.append(text)
        return text

    def close(self) -> tuple[str, str]:
        """Return the remaining text at the end of the arguments, and the complete text."""
        returned = "".join(self._texts)
        text = unwrapped_input("".join(self._pieces))
        if returned and not text.startswith(returned):  # truncated or invalid arguments: keep what was returned
            return "", returned
        return text[len(returned) :], text


def _without_surrogates(text: str) -> str:
    """Replace lone surrogates: JSON can express them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
