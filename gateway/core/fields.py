"""Error messages about fields of a request that are missing or have the wrong type."""

from typing import Any


def expected(key: str, what: str, found_in: dict[str, Any], where: str = "") -> str:
    """Return the error message for a field that is missing or has the wrong type.

    Args:
        what: the expected type in words, such as "a string".
        found_in: the object that should contain the field.
        where: path of that object, such as `messages[0]`; empty at the top level.
    """
    name = f"{where}.{key}" if where else key
    if key not in found_in:
        return f"`{name}` is missing; expected {what}."
    return f"`{name}` must be {what}, not {kind(found_in[key])}."


def kind(value: Any) -> str:
    """Return the JSON type of a value in words, such as "an empty list"."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string" if value else "an empty string"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "an object" if value else "an empty object"
