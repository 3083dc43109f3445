"""JSON as servers write it, read and written without loss where the strict parser gives up.

Accepted besides strict JSON: NaN and Infinity (read as null), raw control characters within strings, halves of surrogate
pairs, and bytes that are not UTF-8. The last two stay in the text as lone surrogates, since the next piece of the text may
complete them: `split_half` joins what belongs together.
"""

import codecs
import json
import re
from typing import Any

import orjson

_HOLDERS = (dict, list)
_LONE = re.compile("[\ud800-\udfff]")
_NO_BYTE = re.compile(
    "[\ud800-\udc7f\udd00-\udfff]"
)  # a surrogate that does not stand for an undecodable byte (PEP 383)
REPLACEMENT = "\ufffd"
MAX_DEPTH = 500  # beyond any answer; Python writes what is nested so deep


def loads(data: bytes) -> tuple[Any, bool]:
    """The value, and whether the strict parser reads it too, so that these bytes may be handed on.

    Strings of a value that is not strict may have lone surrogates.

    Raises:
        ValueError: it is no JSON, or nested more than 500 deep.
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


def loads_clean(data: bytes) -> tuple[Any, bool]:
    """As `loads`, for a text that ends here: what no later piece can complete is U+FFFD.

    Raises:
        ValueError: it is no JSON.
    """
    value, strict = loads(data)
    return (value, True) if strict else (clean(value), False)


def dumps(value: Any) -> bytes:
    """The value as JSON, also where the strict writer refuses it: nested deep, or with integers beyond 64 bits."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def clean(value: Any) -> Any:
    """The value without lone surrogates.

    Raises:
        ValueError: it is nested too deep.
    """
    try:
        return _clean(value)
    except RecursionError as exc:
        raise ValueError("JSON that is nested too deep") from exc


def split_half(text: str) -> tuple[str, str]:
    """A text without lone surrogates, and the half of a character at its end that the next piece may complete.

    `split_half("two \\ud83d")` is `("two ", "\\ud83d")`; `split_half("\\ud83d\\ude00")` is `("😀", "")`.
    """
    if not _LONE.search(text):
        return text, ""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # pairs become characters
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    data = _NO_BYTE.sub(REPLACEMENT, text.removesuffix(half)).encode("utf-8", "surrogateescape")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    whole = decoder.decode(data, final=bool(half))
    rest = decoder.getstate()[0]
    return whole, half or rest.decode("ascii", "surrogateescape")


def _check_depth(value: Any) -> None:
    level = [value] if type(value) in _HOLDERS else []
    for _ in range(MAX_DEPTH):
        level = [
            each for one in level for each in (one.values() if type(one) is dict else one) if type(each) in _HOLDERS
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
