"""Signed thinking: only the model that wrote it, at the provider that signed it, takes it back."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

_THINKING = ("thinking", "redacted_thinking")
_QUOTES = re.compile(r"[`'\"\\]")
_SAID = re.compile(  # without quotes, as Anthropic, Bedrock and Vertex say it
    r"invalid signature in thinking block"
    r"|invalid data in redacted_thinking block"
    r"|thinking\.signature\b"
    r"|redacted_thinking\.data\b"
    r"|thinking or redacted_thinking blocks in the latest assistant message cannot be modified"
    r"|expected thinking or redacted_thinking, but found"
)


def is_signature_error(error: Mapping[str, Any]) -> bool:
    """Whether a provider's 400 is about thinking that it did not sign, or misses. `without_signatures` is then worth a try.

    Args:
        error: the error object, as the provider wrote it.
    """
    text = orjson.dumps(dict(error), default=str).decode().lower()
    return _SAID.search(_QUOTES.sub("", text)) is not None


def without_signatures(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """A Messages request without what was thought in its history; None where there is nothing to take out.

    In the middle of a tool loop a provider that is to think demands the thinking that led to the calls: where that is
    taken out, or another model never had any, `thinking` is switched off for this request. A turn that was nothing but
    thinking is left out whole.
    """
    messages = fields["messages"]
    kept = [message for given in messages if (message := _without(given)) is not None]
    stripped = kept != messages
    off = _demands_thinking(fields) and (stripped or not _loop_thinks(messages))
    if not kept or not (stripped or off):
        return None
    changed = {**fields, "messages": kept}
    if off:
        del changed["thinking"]
        _drop_edits(changed)
    return changed


def _without(message: dict[str, Any]) -> dict[str, Any] | None:
    content = message["content"]
    if message["role"] != "assistant" or isinstance(content, str):
        return message
    kept = [block for block in content if block["type"] not in _THINKING]
    if len(kept) == len(content):
        return message
    return message | {"content": kept} if kept else None


def _demands_thinking(fields: Mapping[str, Any]) -> bool:
    """Whether the provider would demand thinking before the calls of the last turn. With adaptive thinking there may be none."""
    thinking = fields.get("thinking")
    last = next((message for message in reversed(fields["messages"]) if message["role"] != "system"), None)
    return isinstance(thinking, dict) and thinking.get("type") == "enabled" and last is not None and _results(last)


def _loop_thinks(messages: list[dict[str, Any]]) -> bool:
    """Whether an assistant turn of the tool loop at the end has thinking."""
    for message in reversed(messages):
        if message["role"] == "user" and not _results(message):
            return False
        if message["role"] == "assistant" and _without(message) != message:
            return True
    return False


def _results(message: Mapping[str, Any]) -> bool:
    content = message["content"]
    return (
        message["role"] == "user"
        and not isinstance(content, str)
        and any(block["type"] == "tool_result" for block in content)
    )


def _drop_edits(fields: dict[str, Any]) -> None:
    """Edits of the context that clear thinking are refused where there is none."""
    management = fields.get("context_management")
    if not isinstance(management, dict) or not isinstance(management.get("edits"), list):
        return
    if kept := [edit for edit in management["edits"] if not _clears_thinking(edit)]:
        fields["context_management"] = management | {"edits": kept}
    else:
        del fields["context_management"]


def _clears_thinking(edit: Any) -> bool:
    return isinstance(edit, dict) and str(edit.get("type")).startswith("clear_thinking")
