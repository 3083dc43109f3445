"""Reasoning that only the model can read that wrote it. Another one, or another account, refuses the whole request for it."""

from collections.abc import Mapping
from typing import Any

GATEWAY_REASONING_PREFIX = (
    "rs_locus_"  # how the ids of reasoning begin that this gateway wrote down, and no provider knows
)
_NAMED = frozenset({"message", "function_call", "custom_tool_call"})
_CODE = "invalid_encrypted_content"


def without_reasoning_items(fields: dict[str, Any]) -> dict[str, Any] | None:
    """A request's fields without its reasoning items; None where it has none.

    The other items lose their ids: by those a provider knows that reasoning belongs to them, and misses it.
    """
    items = fields.get("input")
    if not isinstance(items, list) or not any(_is_reasoning(item) for item in items):
        return None
    return fields | {"input": [_nameless(item) for item in items if not _is_reasoning(item)]}


def is_gateway_reasoning(item: Mapping[str, Any]) -> bool:
    """Whether this is reasoning that the gateway wrote down. A provider that is shown it does not know the id."""
    name = item.get("id")
    return item.get("type") == "reasoning" and isinstance(name, str) and name.startswith(GATEWAY_REASONING_PREFIX)


def plain_reasoning(item: Mapping[str, Any]) -> str:
    """What a reasoning item says of what the model thought, in the model's own words; empty where it is only a summary of them.

    The gateway writes the words of models behind chat APIs as a summary; Codex hands that back without the id.
    """
    if item.get("encrypted_content"):
        return ""
    texts = _texts(item.get("content"))
    if not texts and (item.get("id") is None or is_gateway_reasoning(item)):
        texts = _texts(item.get("summary"))
    return "\n\n".join(texts)


def is_encrypted_reasoning_error(error: Mapping[str, Any]) -> bool:
    """Whether a provider's error object says that it cannot read the reasoning."""
    if error.get("code") == _CODE:
        return True
    message = error.get("message")
    return isinstance(message, str) and "encrypted content" in message.lower().replace("_", " ")


def _texts(parts: Any) -> list[str]:
    found = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [text for text in found if isinstance(text, str) and text]


def _is_reasoning(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning"


def _nameless(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("type", "message") not in _NAMED or "id" not in item:
        return item
    return {key: value for key, value in item.items() if key != "id"}
