"""Checks of a request's fields; what is wrong is named as the client wrote it."""

from typing import Any, NoReturn

from gateway.core.errors import InvalidRequest
from gateway.core.validation import expected, json_type


def invalid(message: str, param: str) -> NoReturn:
    raise InvalidRequest(message, param=param)


def path(where: str, key: str) -> str:
    """`path("input[2]", "role")` is `input[2].role`."""
    return f"{where}.{key}" if where else key


def text(holder: dict[str, Any], key: str, where: str = "", what: str = "a string") -> str:
    """A string that must be there."""
    value = holder.get(key)
    if not isinstance(value, str):
        invalid(expected(key, what, holder, where), path(where, key))
    return value


def optional(
    holder: dict[str, Any], key: str, types: type | tuple[type, ...], what: str, where: str = ""
) -> Any:  # of these types, or None
    """A value that may be missing or null. True and false are no numbers."""
    value = holder.get(key)
    if value is None:
        return None
    wanted = types if isinstance(types, tuple) else (types,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        invalid(expected(key, what, holder, where), path(where, key))
    return value


def item(value: Any, where: str) -> dict[str, Any]:
    """An object of a list."""
    if not isinstance(value, dict):
        invalid(f"`{where}` must be an object, not {json_type(value)}.", where)
    return value
