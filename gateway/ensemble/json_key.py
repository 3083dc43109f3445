"""JSON that is an answer as a whole, and its key."""

from gateway.core.json_types import JsonObject
from gateway.ensemble.key import Key
from router.probes.checkers.json_answer import canonical_json, strict_json
from router.probes.checkers.json_schema import allows
from router.probes.checkers.short_text import bounded
from router.probes.checkers.visible import unfenced, visible
from router.probes.json_types import JsonValue, as_json


def json_text(text: str) -> str | None:
    """The JSON object or list that a text is: alone, in one code fence, or after reasoning. None if it is anything else."""
    for candidate in (unfenced(text), unfenced(visible(text))):
        if candidate[:1] in ("{", "["):
            try:
                strict_json(candidate)
            except (ValueError, RecursionError):
                continue
            return candidate
    return None


def json_key(text: str, schema: JsonObject | None) -> Key | None:
    """The key of an answer that must be JSON; None if it is none, or the schema does not allow it.

    A schema that cannot be checked here (one of another draft, or with references to other documents) allows everything.
    """
    found = json_text(text)
    if found is None:
        return None
    value = strict_json(found)
    return key_of(value) if is_allowed(schema, value) else None


def key_of(value: JsonValue) -> Key:
    """The key of a JSON value: keys in order, 1.0 as 1, of a long one a hash."""
    return Key("json", bounded(canonical_json(value)) or "")


def is_allowed(schema: JsonObject | None, value: JsonValue) -> bool:
    """Return True if the schema allows the value; without a schema only an object is."""
    if schema is None:
        return isinstance(value, dict)
    checked = as_json(schema)
    try:
        return isinstance(checked, dict) and allows(checked, value)
    except ValueError:
        return True
