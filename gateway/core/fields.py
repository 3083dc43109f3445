"""What a client is told of a field that is wrong, in one way."""

from typing import Any


def expected(key: str, what: str, found_in: dict[str, Any], where: str = "") -> str:
    """What a client is told of a field that is missing or of the wrong kind."""
    name = f"{where}.{key}" if where else key
    if key not in found_in:
        return f"`{name}` is missing; expected {what}."
    return f"`{name}` must be {what}, not {kind(found_in[key])}."


def kind(value: Any) -> str:
    """A value's JSON type in words."""
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
