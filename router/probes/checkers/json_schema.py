"""The checker `json_schema`: the answer holds JSON that a schema allows and, where there is a reference, that is equal to it."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.json_answer import canonical_json, json_in
from router.probes.json_types import JsonObject, JsonValue
from router.probes.pattern import compiled

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def check_json_schema(spec: CheckerSpec, text: str, reference: JsonValue) -> Extracted:
    """Validates the JSON of a visible text; the canonical form is that of `canonical_json`."""
    found = json_in(text)
    if found is None:
        return Extracted(None, False, False)
    value, _ = found
    case = spec.flag("case")
    canonical = canonical_json(value, case=case)
    equal = reference is None or canonical == canonical_json(reference, case=case)
    schema = spec.options.get("schema")
    return Extracted(
        canonical, isinstance(value, dict | list), equal and isinstance(schema, dict) and allows(schema, value)
    )


def allows(schema: JsonObject, value: JsonValue) -> bool:
    """Return True if the schema (draft 2020-12) allows the value.

    Raises:
        ValueError: not a schema, or one that refers to another document.
    """
    from referencing.exceptions import Unresolvable

    try:
        return bool(_validator(json.dumps(schema, sort_keys=True)).is_valid(value))
    except (Unresolvable, RecursionError) as exc:
        raise ValueError(f"schema: {exc}") from exc


def check_schema(schema: JsonObject) -> None:
    """Raises a ValueError where it is not a JSON schema of draft 2020-12, or has a pattern that takes no linear time."""
    _validator(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=256)
def _validator(schema_text: str) -> "Validator":
    """A validator that fetches nothing and whose patterns take linear time."""
    from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
    from referencing import Registry

    def pattern(validator: object, given: str, instance: object, schema: object) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not compiled(given).found_in(instance):
            yield ValidationError(f"{instance!r} does not match {given!r}")

    schema = json.loads(schema_text)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        raise ValueError(f"schema: {exc.message}") from exc
    _check_patterns(schema)
    validator = validators.extend(Draft202012Validator, {"pattern": pattern})
    return validator(schema, registry=Registry())


def _check_patterns(schema: JsonValue) -> None:
    if isinstance(schema, dict):
        given = schema.get("pattern")
        if isinstance(given, str):
            compiled(given)
        if "patternProperties" in schema:
            raise ValueError("schema: patternProperties is not supported")
    for item in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _check_patterns(item)
