"""The depth of JSON that can be serialized."""

import orjson

from gateway.core.json_depth import is_serializable


def test_what_orjson_parses_is_not_always_serializable() -> None:
    assert is_serializable(orjson.loads("[" * 250 + "]" * 250))
    assert not is_serializable(orjson.loads("[" * 300 + "]" * 300))
    assert is_serializable({"odd": object()})
