"""A freeform tool, whose input is any text, as a function with one string; and the text out of its arguments again."""

import json
import re
from typing import Any

import orjson

KEY = "input"
_BEGIN = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_LONGEST_BEGIN = 64  # characters; what has not begun like that by then is no such object
_WHOLE_ESCAPES = re.compile(
    r'(?:[^"\\]+|\\(?:[^u]|u(?![dD][89abAB])[0-9a-fA-F]{4}|u[dD][89abAB]..\\u.{4}))*', re.DOTALL
)


def parameters() -> dict[str, Any]:
    """What a function must be given that stands for a freeform tool."""
    return {
        "type": "object",
        "properties": {KEY: {"type": "string", "description": "The whole input of the tool, as it is."}},
        "required": [KEY],
        "additionalProperties": False,
    }


def arguments(text: str) -> str:
    """The arguments that stand for a text: `{"input": text}`."""
    return orjson.dumps({KEY: text}).decode()


def unwrapped_input(arguments: str) -> str:
    """The text in the arguments that a model wrote; all of them where they are not an object with a text in it.

    `unwrapped_input('{"input": "a"}')` is `a`; so is `unwrapped_input('{"patch": "a"}')`.
    """
    try:
        value = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return _printable(arguments)
    if not isinstance(value, dict):
        return _printable(arguments)
    text = value.get(KEY)
    if text is None and len(value) == 1:
        text = next(iter(value.values()))
    return _printable(text if isinstance(text, str) else arguments)


class FreeformInputReader:
    """The text out of arguments that come in pieces, as early as it can be known."""

    def __init__(self) -> None:
        self._written: list[str] = []  # the arguments
        self._given: list[str] = []  # the text
        self._rest = ""  # of the arguments: what has not been read
        self._begun = False
        self._over = False  # the text has ended, or cannot be read before the arguments have

    def feed(self, piece: str) -> str:
        """What the next piece of the arguments adds to the text."""
        self._written.append(piece)
        if self._over:
            return ""
        self._rest += piece
        if not self._begun:
            begin = _BEGIN.match(self._rest)
            if begin is None:
                self._over = len(self._rest) > _LONGEST_BEGIN
                return ""
            self._begun = True
            self._rest = self._rest[begin.end() :]
        whole = _WHOLE_ESCAPES.match(self._rest)
        end = whole.end() if whole is not None else 0
        read, self._rest = self._rest[:end], self._rest[end:]
        self._over = self._rest.startswith('"')
        try:
            text = _printable(json.loads(f'"{read}"', strict=False))
        except ValueError:
            self._over = True
            return ""
        self._given.append(text)
        return text

    def close(self) -> tuple[str, str]:
        """What is left of the text at the end of the arguments, and the whole text."""
        given = "".join(self._given)
        text = unwrapped_input("".join(self._written))
        if given and not text.startswith(given):  # the arguments were cut, or no JSON in the end: what was given stands
            return "", given
        return text[len(given) :], text


def _printable(text: str) -> str:
    """Without halves of characters, which JSON can name and no text can hold."""
    return text.encode("utf-8", "replace").decode()
