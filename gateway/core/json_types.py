"""Types for JSON that has been parsed, and not been checked.

A single value of which nothing is known is an `object`: its readers narrow it with `isinstance`. Checked chat objects have
types of their own in `gateway.core.chat_types`.
"""

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object with unknown keys and values."""


def objects_in(value: object) -> list[JsonObject]:
    """Return the objects in a list; an empty list if `value` is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
