"""A client's fields by their types: what is wrong is said in the client's own words, with the path of the field."""

from typing import Any, TypeVar

from gateway.core.errors import InvalidRequest
from gateway.core.validation import expected, json_type

T = TypeVar("T")


def path(key: str, where: str = "") -> str:
    return f"{where}.{key}" if where else key


def wrong(found: dict[str, Any], key: str, what: str, where: str = "") -> InvalidRequest:
    """The error for a field that is not `what` it must be."""
    return InvalidRequest(expected(key, what, found, where), param=path(key, where))


def unknown(found: dict[str, Any], key: str, what: str, where: str = "") -> InvalidRequest:
    """The error for a string that is none of those that are known."""
    return InvalidRequest(f"`{path(key, where)}` must be {what}, not `{found[key][:100]}`.", param=path(key, where))


def required(found: dict[str, Any], key: str, of: type[T], what: str, where: str = "") -> T:
    """The field's value.

    Raises:
        InvalidRequest: it is missing or of another type.
    """
    value = found.get(key)
    if not isinstance(value, of) or (isinstance(value, bool) and of is not bool):
        raise wrong(found, key, what, where)
    return value


def optional(found: dict[str, Any], key: str, of: type[T], what: str, where: str = "") -> T | None:
    """The field's value; None where it is missing or null.

    Raises:
        InvalidRequest: it is of another type.
    """
    return None if found.get(key) is None else required(found, key, of, what, where)


def string(found: dict[str, Any], key: str, where: str = "") -> str:
    return required(found, key, str, "a string", where)


def objects(found: dict[str, Any], key: str, what: str, where: str = "") -> list[tuple[str, dict[str, Any]]]:
    """A list's objects, each with its path.

    Raises:
        InvalidRequest: it is no list, or one of them is no object.
    """
    items = []
    for i, item in enumerate(required(found, key, list, what, where)):
        at = f"{path(key, where)}[{i}]"
        if not isinstance(item, dict):
            raise InvalidRequest(f"`{at}` must be an object, not {json_type(item)}.", param=at)
        items.append((at, item))
    return items


def blocks(found: dict[str, Any], key: str, where: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Content, each block with its path; a string is one text block.

    Raises:
        InvalidRequest: it is neither a string nor a list of objects that have a type.
    """
    value = found.get(key)
    if isinstance(value, str):
        return [(path(key, where), {"type": "text", "text": value})]
    items = objects(found, key, "a string or a list of content blocks", where)
    for at, block in items:
        string(block, "type", at)
    return items
