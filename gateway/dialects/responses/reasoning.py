"""Reasoning that only the model can read that wrote it. Another one, or another account, refuses the whole request for it."""

from collections.abc import Mapping
from typing import Any

_NAMED = frozenset({"message", "function_call", "custom_tool_call"})
_CODE = "invalid_encrypted_content"


def without_encrypted(fields: dict[str, Any]) -> dict[str, Any] | None:
    """A request's fields without its reasoning items; None where it has none.

    The other items lose their ids: by those a provider knows that reasoning belongs to them, and misses it.
    """
    items = fields.get("input")
    if not isinstance(items, list) or not any(_is_reasoning(item) for item in items):
        return None
    return fields | {"input": [_nameless(item) for item in items if not _is_reasoning(item)]}


def is_encrypted_error(error: Mapping[str, Any]) -> bool:
    """Does a provider's error object say that it cannot read the reasoning?"""
    if error.get("code") == _CODE:
        return True
    message = error.get("message")
    return isinstance(message, str) and "encrypted content" in message.lower().replace("_", " ")


def _is_reasoning(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning"


def _nameless(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("type", "message") not in _NAMED or "id" not in item:
        return item
    return {key: value for key, value in item.items() if key != "id"}
