"""Checks of JSON fields that a client sent, with one wording for all APIs.

Each error names the field by its path as the client wrote it, such as `messages[2].content`.
"""

from typing import TypeVar

from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject

T = TypeVar("T")


def field_path(key: str, where: str = "") -> str:
    """`field_path("role", "input[2]")` is `input[2].role`."""
    return f"{where}.{key}" if where else key


def json_type(value: object) -> str:
    """The JSON type of a value in words, such as `a number` or `an empty list`."""
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


def expected(key: str, what: str, found_in: JsonObject, where: str = "") -> str:
    """The message for a field that is missing or has the wrong type.

    Args:
        what: the type that the field must have, in words.
        found_in: the object that must have the field.
        where: the path of that object; empty for the request itself.
    """
    name = field_path(key, where)
    if key not in found_in:
        return f"`{name}` is missing; expected {what}."
    return f"`{name}` must be {what}, not {json_type(found_in[key])}."


def wrong_type(found_in: JsonObject, key: str, what: str, where: str = "") -> InvalidRequest:
    """The error for a field that is missing or has the wrong type; see `expected`."""
    return InvalidRequest(expected(key, what, found_in, where), param=field_path(key, where))


def unknown_value(found_in: JsonObject, key: str, what: str, where: str = "") -> InvalidRequest:
    """The error for a string that is not one of the known values."""
    path = field_path(key, where)
    return InvalidRequest(f"`{path}` must be {what}, not `{found_in[key][:100]}`.", param=path)


def required(found_in: JsonObject, key: str, of: type[T] | tuple[type[T], ...], what: str, where: str = "") -> T:
    """Return the value of a field that must have the type `of`, or one of these types. A boolean is not a number.

    Raises:
        InvalidRequest: the field is missing or has another type.
    """
    value = found_in.get(key)
    if not isinstance(value, of) or (isinstance(value, bool) and of is not bool and of != (bool,)):
        raise wrong_type(found_in, key, what, where)
    return value


def optional(found_in: JsonObject, key: str, of: type[T] | tuple[type[T], ...], what: str, where: str = "") -> T | None:
    """Return the value of a field; None if it is missing or null.

    Raises:
        InvalidRequest: the field has another type.
    """
    return None if found_in.get(key) is None else required(found_in, key, of, what, where)


def string(found_in: JsonObject, key: str, where: str = "", what: str = "a string") -> str:
    """Return the value of a field that must be a string.

    Raises:
        InvalidRequest: the field is missing or has another type.
    """
    return required(found_in, key, str, what, where)


def json_object(value: object, path: str) -> JsonObject:
    """Return an element of a list that must be an object.

    Args:
        path: of the element, such as `input[2]`.

    Raises:
        InvalidRequest: it is not an object.
    """
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{path}` must be an object, not {json_type(value)}.", param=path)
    return value


def objects(found_in: JsonObject, key: str, what: str, where: str = "") -> list[tuple[str, JsonObject]]:
    """Return the elements of a list of objects, each with its path.

    Raises:
        InvalidRequest: the field is not a list, or an element is not an object.
    """
    path = field_path(key, where)
    items = required(found_in, key, list, what, where)
    return [(at := f"{path}[{i}]", json_object(item, at)) for i, item in enumerate(items)]


def content_blocks(found_in: JsonObject, key: str, where: str = "") -> list[tuple[str, JsonObject]]:
    """Return the blocks of a content field, each with its path. A string counts as one text block.

    Raises:
        InvalidRequest: the field is neither a string nor a list of objects that have a type.
    """
    value = found_in.get(key)
    if isinstance(value, str):
        return [(field_path(key, where), {"type": "text", "text": value})]
    items = objects(found_in, key, "a string or a list of content blocks", where)
    for at, block in items:
        string(block, "type", at)
    return items
