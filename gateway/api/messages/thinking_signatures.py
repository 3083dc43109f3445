"""Signed thinking blocks: a provider accepts only the ones that it signed itself, from the same model."""

import re
from collections.abc import Mapping

import orjson

from gateway.core.json_types import JsonObject

_THINKING = ("thinking", "redacted_thinking")
_QUOTES = re.compile(r"[`'\"\\]")
_ERROR_TEXTS = re.compile(  # of Anthropic, Bedrock and Vertex, without quotes
    r"invalid signature in thinking block"
    r"|invalid data in redacted_thinking block"
    r"|thinking\.signature\b"
    r"|redacted_thinking\.data\b"
    r"|thinking or redacted_thinking blocks in the latest assistant message cannot be modified"
    r"|expected thinking or redacted_thinking, but found"
)


def is_signature_error(error: Mapping[str, object]) -> bool:
    """Return True if a provider rejected thinking that it did not sign, or requires thinking that is missing.

    The request may succeed without signed thinking; see `without_signatures`.

    Args:
        error: the provider's error object, unchanged.
    """
    text = orjson.dumps(dict(error), default=str).decode().lower()
    return _ERROR_TEXTS.search(_QUOTES.sub("", text)) is not None


def without_signatures(fields: JsonObject) -> JsonObject | None:
    """Return a Messages request without the thinking in its history; None if there is nothing to remove.

    Within a tool loop, a provider with `thinking` enabled requires the thinking before the tool calls. If it is removed here, or
    another model wrote none, `thinking` is disabled for this request. A turn that has only thinking is removed completely.
    """
    messages = fields["messages"]
    kept = [message for given in messages if (message := _without_thinking(given)) is not None]
    removed = kept != messages
    disable = _requires_thinking(fields) and (removed or not _loop_has_thinking(messages))
    if not kept or not (removed or disable):
        return None
    changed = {**fields, "messages": kept}
    if disable:
        del changed["thinking"]
        _drop_thinking_edits(changed)
    return changed


def _without_thinking(message: JsonObject) -> JsonObject | None:
    content = message["content"]
    if message["role"] != "assistant" or isinstance(content, str):
        return message
    kept = [block for block in content if block["type"] not in _THINKING]
    if len(kept) == len(content):
        return message
    return message | {"content": kept} if kept else None


def _requires_thinking(fields: JsonObject) -> bool:
    """Return True if the provider requires thinking before the tool calls of the last turn. Adaptive thinking requires none."""
    thinking = fields.get("thinking")
    last = next((message for message in reversed(fields["messages"]) if message["role"] != "system"), None)
    return (
        isinstance(thinking, dict)
        and thinking.get("type") == "enabled"
        and last is not None
        and _has_tool_results(last)
    )


def _loop_has_thinking(messages: list[JsonObject]) -> bool:
    """Return True if an assistant turn of the tool loop at the end has thinking."""
    for message in reversed(messages):
        if message["role"] == "user" and not _has_tool_results(message):
            return False
        if message["role"] == "assistant" and _without_thinking(message) != message:
            return True
    return False


def _has_tool_results(message: JsonObject) -> bool:
    content = message["content"]
    return (
        message["role"] == "user"
        and not isinstance(content, str)
        and any(block["type"] == "tool_result" for block in content)
    )


def _drop_thinking_edits(fields: JsonObject) -> None:
    """Remove context edits that clear thinking: providers reject them if `thinking` is disabled."""
    management = fields.get("context_management")
    if not isinstance(management, dict) or not isinstance(management.get("edits"), list):
        return
    if kept := [edit for edit in management["edits"] if not _clears_thinking(edit)]:
        fields["context_management"] = management | {"edits": kept}
    else:
        del fields["context_management"]


def _clears_thinking(edit: object) -> bool:
    return isinstance(edit, dict) and str(edit.get("type")).startswith("clear_thinking")
