"""Edits a JSON body and keeps its other bytes unchanged: replaces the name of the model, or adds a field."""

import re
from collections.abc import Iterator
from itertools import islice

import orjson

from gateway.bodies.offload import LARGE

MAX_FIRST_BYTES = 300  # occurrences of the first byte that are checked one by one
MAX_ESCAPED = 12  # bytes of an escaped character beyond the Basic Multilingual Plane, the longest form of one
_MODEL_FIELD = re.compile(rb'"model"\s*:\s*"')


def replace_model_name(body: bytes, old: str, new: str) -> bytes | None:
    """Return `body` with its only `"model": old` field set to `new`; None if it does not have exactly one such field.

    A quote inside a JSON string is always escaped, so the pattern can only match a key, never text. A key whose letters are
    escaped would not match; clients do not write such keys, and a body with such escapes gets None.
    `replace_model_name(b'{"model": "auto", "n": 1}', "auto", "gpt-4o")` is `b'{"model": "gpt-4o", "n": 1}'`.
    """
    if _occurs(body, b"\\u006"):
        return None
    name = orjson.dumps(new)[1:-1]
    at = _only(body, b'"model"')  # the usual case; a quote inside a string is escaped, so this is the key
    if at is not None:
        for key in (b'"model": "', b'"model":"'):
            if body.startswith(written := key + old.encode(errors="replace") + b'"', at):
                view = memoryview(body)
                return b"".join((view[:at], key, name, b'"', view[at + len(written) :]))
    keys = list(islice(_MODEL_FIELD.finditer(body), 2))
    if len(keys) != 1:
        return None
    start = keys[0].end()
    end = body.find(b'"', start, start + MAX_ESCAPED * len(old) + 1)  # too early if the name contains a quote
    try:
        written = orjson.loads(body[start - 1 : end + 1])
    except orjson.JSONDecodeError:
        return None
    return b"".join((body[:start], name, body[end:])) if written == old else None


def with_field(body: bytes, name: str, value: object) -> bytes:
    """Return `body`, a JSON object that is not empty, with one more field. A field of the same name is replaced."""
    key = orjson.dumps(name)
    end = body.rfind(b"}")
    if key in body or end < 0:
        return orjson.dumps(orjson.loads(body) | {name: value})
    return b"".join((body[:end], b",", key, b":", orjson.dumps(value), body[end:]))


def _places(body: bytes, needle: bytes) -> Iterator[int]:
    """Yield the positions of `needle` in a large body.

    Searching for one byte is ten times as fast as searching for several, so the first byte is searched for and the rest compared.
    Each occurrence of that byte takes a step in Python, so after `MAX_FIRST_BYTES` of them the needle itself is searched for.
    """
    first, at = needle[:1], -1
    for _ in range(MAX_FIRST_BYTES):
        at = body.find(first, at + 1)
        if at < 0:
            return
        if body.startswith(needle, at):
            yield at
    while (at := body.find(needle, at + 1)) >= 0:
        yield at


def _occurs(body: bytes, needle: bytes) -> bool:
    return needle in body if len(body) < LARGE else next(_places(body, needle), None) is not None


def _only(body: bytes, needle: bytes) -> int | None:
    """Return the position of `needle` if it occurs exactly once, else None."""
    if len(body) < LARGE:
        return body.find(needle) if body.count(needle) == 1 else None
    places = _places(body, needle)
    at = next(places, None)
    return at if next(places, None) is None else None


def occurs_more_than(body: bytes, needle: bytes, most: int) -> bool:
    if len(body) < LARGE:
        return body.count(needle) > most
    return next(islice(_places(body, needle), most, None), None) is not None
