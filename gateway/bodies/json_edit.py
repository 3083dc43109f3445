"""Changes to a JSON body that leave its other bytes as they are: a model's name replaced, a field added."""

import re
from collections.abc import Iterator
from itertools import islice

import orjson

from gateway.bodies.offload import LARGE

FIRST_BYTES = 300
MAX_ESCAPED = 12  # bytes of an escaped character beyond the Basic Multilingual Plane, the longest form of one
_MODEL_FIELD = re.compile(rb'"model"\s*:\s*"')


def replace_model_name(body: bytes, old: str, new: str) -> bytes | None:
    """`body` with its one `"model": old` field set to `new`; None where there is not exactly one such field.

    A quote inside a JSON string is always escaped, so the pattern can only match a key, never text. A letter of `model`
    may be escaped too, which hides a key from the pattern: bodies with such escapes, which clients do not write, get None.
    `splice_model(b'{"model": "auto", "n": 1}', "auto", "gpt-4o")` is `b'{"model": "gpt-4o", "n": 1}'`.
    """
    if _occurs(body, b"\\u006"):
        return None
    name = orjson.dumps(new)[1:-1]
    at = _only(body, b'"model"')  # as nearly always; a quote inside a string is escaped, so this is the key
    if at is not None:
        for key in (b'"model": "', b'"model":"'):
            if body.startswith(written := key + old.encode(errors="replace") + b'"', at):
                whole = memoryview(body)
                return b"".join((whole[:at], key, name, b'"', whole[at + len(written) :]))
    keys = list(islice(_MODEL_FIELD.finditer(body), 2))
    if len(keys) != 1:
        return None
    start = keys[0].end()
    end = body.find(b'"', start, start + MAX_ESCAPED * len(old) + 1)  # of a name with a quote in it: not the end
    try:
        written = orjson.loads(body[start - 1 : end + 1])
    except orjson.JSONDecodeError:
        return None
    return b"".join((body[:start], name, body[end:])) if written == old else None


def with_field(body: bytes, name: str, value: object) -> bytes:
    """`body`, a JSON object that is not empty, with one more field; of one that may have the field already it is replaced."""
    key = orjson.dumps(name)
    end = body.rfind(b"}")
    if key in body or end < 0:
        return orjson.dumps(orjson.loads(body) | {name: value})
    return b"".join((body[:end], b",", key, b":", orjson.dumps(value), body[end:]))


def _places(body: bytes, needle: bytes) -> Iterator[int]:
    """Where `needle` occurs in a large body. Its first byte is found at ten times the speed of the whole, so that leads on.

    Each hit of that byte costs Python's time: of many, the rest of the body is searched as usual.
    """
    first, at = needle[:1], -1
    for _ in range(FIRST_BYTES):
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
    """Where `needle` occurs, if it does so once."""
    if len(body) < LARGE:
        return body.find(needle) if body.count(needle) == 1 else None
    places = _places(body, needle)
    at = next(places, None)
    return at if next(places, None) is None else None


def occurs_more_than(body: bytes, needle: bytes, most: int) -> bool:
    if len(body) < LARGE:
        return body.count(needle) > most
    return next(islice(_places(body, needle), most, None), None) is not None
