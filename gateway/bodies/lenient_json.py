"""Reads and writes JSON that the strict parser (orjson) refuses, as some providers send it.

Accepted beyond strict JSON: NaN and Infinity (read as null), raw control characters in strings, halves of surrogate pairs, and
bytes that are not UTF-8. The last two stay in the text as lone surrogates, because the next piece of a stream may complete
them: `split_half` separates an incomplete character.
"""

import codecs
import json
import re
from typing import Any

import orjson

_CONTAINERS = (dict, list)
_LONE = re.compile("[\ud800-\udfff]")
_NO_BYTE = re.compile(
    "[\ud800-\udc7f\udd00-\udfff]"
)  # a surrogate that does not represent an undecodable byte (PEP 383)
REPLACEMENT = "\ufffd"
MAX_DEPTH = 500  # deeper than any answer; Python can still serialise this depth


def loads(data: bytes) -> tuple[object, bool]:
    """Parse JSON leniently.

    Returns:
        the value, and True if the text is strict JSON, so that its bytes may be relayed. Strings of a value that is not strict
        may contain lone surrogates.

    Raises:
        ValueError: the text is not JSON, or nested more than 500 levels deep.
    """
    try:
        value, strict = orjson.loads(data), True
    except orjson.JSONDecodeError:
        strict = False
        try:
            text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
            value = json.loads(text, strict=False, parse_constant=lambda _: None)
        except RecursionError as exc:
            raise ValueError("JSON that is nested too deep") from exc
    if len(data) > MAX_DEPTH and data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return value, strict


def loads_clean(data: bytes) -> tuple[object, bool]:
    """Parse a complete text like `loads`; lone surrogates become U+FFFD.

    Raises:
        ValueError: the text is not JSON, or nested more than 500 levels deep.
    """
    value, strict = loads(data)
    return (value, True) if strict else (clean(value), False)


def dumps(value: object) -> bytes:
    """Serialise a value, including deeply nested ones and integers beyond 64 bits, which orjson refuses."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def clean(value: Any) -> Any:
    """Return the value with lone surrogates joined or replaced by U+FFFD.

    Raises:
        ValueError: the value is nested too deeply.
    """
    try:
        return _clean(value)
    except RecursionError as exc:
        raise ValueError("JSON that is nested too deep") from exc


def split_half(text: str) -> tuple[str, str]:
    """Return a text without lone surrogates, and the incomplete character at its end that the next piece may complete.

    `split_half("two \\ud83d")` is `("two ", "\\ud83d")`; `split_half("\\ud83d\\ude00")` is `("😀", "")`.
    """
    if not _LONE.search(text):
        return text, ""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # joins surrogate pairs
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    data = _NO_BYTE.sub(REPLACEMENT, text.removesuffix(half)).encode("utf-8", "surrogateescape")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    whole = decoder.decode(data, final=bool(half))
    rest = decoder.getstate()[0]
    return whole, half or rest.decode("ascii", "surrogateescape")


def _check_depth(value: object) -> None:
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(MAX_DEPTH):
        level = [
            each
            for one in level
            for each in (one.values() if isinstance(one, dict) else one)
            if isinstance(each, _CONTAINERS)
        ]
        if not level:
            return
    raise ValueError("JSON that is nested too deep")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        whole, half = split_half(value)
        return whole + REPLACEMENT if half else whole
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(each) for key, each in value.items()}
    return value
