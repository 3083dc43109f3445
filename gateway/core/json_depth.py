"""Checks the depth of parsed JSON: orjson parses 1,024 levels of objects and lists but serializes only about 250."""

import orjson


def is_serializable(value: object) -> bool:
    """Return True if orjson can serialize the value. Values that JSON does not have are serialized as strings."""
    try:
        orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:
        return False
    return True
