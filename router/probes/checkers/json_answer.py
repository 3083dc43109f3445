"""JSON in an answer: alone, in a code fence, or in prose; and its canonical form."""

import json
from collections.abc import Iterator

from router.probes.checkers.short_text import normalised
from router.probes.checkers.visible import fenced, unfenced
from router.probes.json_types import JsonValue, as_json

MOST_STARTS = 200


def json_in(text: str) -> tuple[JsonValue, str] | None:
    """The JSON value that a text states, and the text of it; None without one.

    The whole text, else the last code fence that is JSON, else the longest object or list in the prose.
    """
    for candidate in (unfenced(text), *reversed(fenced(text))):
        try:
            return strict_json(candidate), candidate
        except (ValueError, RecursionError):
            continue
    found = list(_embedded(text))
    return max(found, key=lambda item: len(item[1])) if found else None


def strict_json(text: str) -> JsonValue:
    """The value of a text that is JSON and nothing else.

    Raises:
        ValueError: it is not.
        RecursionError: it is nested too deeply.
    """
    return as_json(json.loads(text))


def _embedded(text: str) -> Iterator[tuple[JsonValue, str]]:
    decoder = json.JSONDecoder()
    position = tries = 0
    while tries < MOST_STARTS:
        starts = [start for sign in "{[" if (start := text.find(sign, position)) >= 0]
        if not starts:
            return
        tries += 1
        try:
            value, end = decoder.raw_decode(text, min(starts))
            yield as_json(value), text[min(starts) : end]
            position = end
        except (ValueError, RecursionError):
            position = min(starts) + 1


def canonical_json(value: JsonValue, *, case: bool = True) -> str:
    """Sorted keys, whole numbers without a point, strings with single spaces; with `case` off, in small letters."""
    return json.dumps(_form(value, case), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _form(value: JsonValue, case: bool) -> JsonValue:
    if isinstance(value, dict):
        return {key: _form(item, case) for key, item in value.items()}
    if isinstance(value, list):
        return [_form(item, case) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return " ".join(value.split()) if case else normalised(value)
    return value
