"""Encrypted reasoning items: only the model and account that wrote them can read them; others reject the whole request."""

from collections.abc import Mapping

from gateway.api.responses.types import Item
from gateway.core.json_types import JsonObject

GATEWAY_REASONING_PREFIX = "rs_locus_"  # of the ids of reasoning items that the gateway made; no provider knows them
_TYPES_WITH_ID = frozenset({"message", "function_call", "custom_tool_call"})
_CODE = "invalid_encrypted_content"


def without_reasoning_items(fields: JsonObject) -> JsonObject | None:
    """Return a request's fields without its reasoning items; None if it has none.

    The other items lose their ids: a provider that knows an id expects the reasoning that belongs to the item.
    """
    items = fields.get("input")
    if not isinstance(items, list) or not any(_is_reasoning(item) for item in items):
        return None
    return fields | {"input": [_without_id(item) for item in items if not _is_reasoning(item)]}


def is_gateway_reasoning(item: Item) -> bool:
    """Return True if the gateway made this reasoning item. Providers do not know its id and would reject it."""
    name = item.get("id")
    return item.get("type") == "reasoning" and isinstance(name, str) and name.startswith(GATEWAY_REASONING_PREFIX)


def plain_reasoning(item: Item) -> str:
    """Return the model's own reasoning text in a reasoning item; empty if the item has only a provider's summary of it.

    The gateway writes the reasoning of models behind chat APIs as a summary. Codex sends it back without the id.
    """
    if item.get("encrypted_content"):
        return ""
    texts = _texts(item.get("content"))
    if not texts and (item.get("id") is None or is_gateway_reasoning(item)):
        texts = _texts(item.get("summary"))
    return "\n\n".join(texts)


def is_encrypted_reasoning_error(error: Mapping[str, object]) -> bool:
    """Return True if a provider's error object says that it cannot read the encrypted reasoning."""
    if error.get("code") == _CODE:
        return True
    message = error.get("message")
    return isinstance(message, str) and "encrypted content" in message.lower().replace("_", " ")


def _texts(parts: object) -> list[str]:
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [text for text in texts if isinstance(text, str) and text]


def _is_reasoning(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning"


def _without_id(item: object) -> object:
    if not isinstance(item, dict) or item.get("type", "message") not in _TYPES_WITH_ID or "id" not in item:
        return item
    return {key: value for key, value in item.items() if key != "id"}
