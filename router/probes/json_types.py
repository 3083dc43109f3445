"""Types for JSON in banks and answers."""

from typing import TypeAlias

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
JsonObject: TypeAlias = dict[str, JsonValue]


def as_json(value: object) -> JsonValue:
    """The value, typed.

    Raises:
        ValueError: it holds something that JSON does not have, such as NaN or a tuple.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {_key(key): as_json(item) for key, item in value.items()}
    raise ValueError(f"not a JSON value: {value!r}")


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise ValueError(f"a key of a JSON object is a string, found {key!r}")
