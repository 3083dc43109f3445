"""One JSON answer from several: each field has the value that has the most weight. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from gateway.core.json_types import JsonObject
from gateway.ensemble.json_key import is_allowed, json_text, key_of
from gateway.ensemble.key import Key
from gateway.ensemble.vote import Ballot, tally
from router.probes.checkers.json_answer import strict_json
from router.probes.json_types import JsonValue

_ABSENT = Key("json", "")  # the vote of an object without the field


@dataclass(frozen=True, slots=True)
class _Field:
    """The vote on one field.

    Attributes:
        path: its name, after those of the objects in which it is.
        values: by member; a member without the field has no value.
        leaders: the members that gave the value of the most weight; empty where no two members agree.
    """

    path: tuple[str, ...]
    values: dict[int, JsonValue]
    leaders: tuple[int, ...]


def merged_json(answers: Sequence[tuple[str, float]], schema: JsonObject | None) -> str | None:
    """The JSON object whose fields are voted on one by one: objects field by field, lists and all else as wholes.

    A field in which no two answers agree has the value of the answer that agrees with the result most, so that a reason stays
    with the result for which it was given. If the result equals an answer, the text is that answer's.

    Args:
        answers: text and weight of each, in the order in which the members were asked.
        schema: of the request; None: any object.

    Returns:
        None if fewer than two answers are JSON objects, the schema does not allow the result, or it equals the answer of the
        most weight, which would be sent anyway.
    """
    found = [(text, weight) for answer, weight in answers if (text := json_text(answer)) is not None]
    parsed = [(text, value, weight) for text, weight in found if isinstance(value := strict_json(text), dict)]
    if len(parsed) < 2:
        return None
    objects, weights = [value for _, value, _ in parsed], [weight for _, _, weight in parsed]
    heaviest = max(range(len(weights)), key=weights.__getitem__)
    merged = _merged(objects, weights)
    if key_of(merged) == key_of(objects[heaviest]) or not is_allowed(schema, merged):
        return None
    same = next((text for text, value, _ in parsed if key_of(value) == key_of(merged)), None)
    return orjson.dumps(merged).decode() if same is None else same


def _merged(objects: Sequence[dict[str, JsonValue]], weights: Sequence[float]) -> dict[str, JsonValue]:
    fields = list(_fields(dict(enumerate(objects)), weights, ()))
    agreed = [sum(i in field.leaders for field in fields) for i in range(len(objects))]
    base = max(range(len(objects)), key=lambda i: (agreed[i], weights[i]))
    merged: dict[str, JsonValue] = {}
    for field in fields:
        member = field.leaders[0] if field.leaders else base
        if member not in field.values:
            continue
        inner = merged
        for name in field.path[:-1]:
            below = inner.setdefault(name, {})
            assert isinstance(below, dict)
            inner = below
        inner[field.path[-1]] = field.values[member]
    return merged


def _fields(
    objects: dict[int, dict[str, JsonValue]], weights: Sequence[float], path: tuple[str, ...]
) -> Iterator[_Field]:
    for name in dict.fromkeys(name for item in objects.values() for name in item):
        values = {i: item[name] for i, item in objects.items() if name in item}
        inner = {i: value for i, value in values.items() if isinstance(value, dict) and value}
        if len(inner) == len(objects):
            yield from _fields(inner, weights, (*path, name))
            continue
        votes = {i: key_of(values[i]) if i in values else _ABSENT for i in objects}
        groups = tally([Ballot(i, weights[i], weights[i], vote) for i, vote in votes.items()]).groups
        agreed = any(len(group) > 1 for group in groups)
        yield _Field((*path, name), values, groups[0] if agreed else ())
