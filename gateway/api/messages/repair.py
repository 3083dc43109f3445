"""Checks Messages and stream events of providers for the fields that clients rely on, and repairs complete Messages.

Blocks and events of unknown types are not changed.
"""

from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.messages.answer_from_chat import message_id, tool_id, tool_input
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure

_STRING_FIELDS = {  # by the type of a block or delta
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name"),
    "text_delta": ("text",),
    "thinking_delta": ("thinking",),
    "signature_delta": ("signature",),
    "input_json_delta": ("partial_json",),
}
_COUNTS = ("input_tokens", "output_tokens")
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")


def is_valid_event(kind: str, fields: JsonObject) -> bool:
    """Return True if an event of this type has all fields that clients rely on."""
    match kind:
        case "content_block_delta":
            return type(fields.get("index")) is int and _is_known_part(fields.get("delta"))
        case "content_block_start":
            return type(fields.get("index")) is int and _is_block(fields.get("content_block"))
        case "content_block_stop":
            return type(fields.get("index")) is int
        case "message_delta":
            delta = fields.get("delta")
            return isinstance(delta, dict) and _is_ending(delta) and _is_usage(fields.get("usage"), _COUNTS[1:])
        case "message_start":
            return _is_message(fields.get("message"))
    return True


def repaired_message(message: JsonObject) -> JsonObject:
    """Return a complete Message with all fields that clients rely on: `message` itself if it has them.

    Args:
        message: has a list of objects as `content`.

    Raises:
        UpstreamFailure: unreadable, because a block lacks its content.
    """
    content: list[JsonObject] = message["content"]
    if _is_message(message) and message.get("stop_reason") is not None and all(map(_is_block, content)):
        return message
    content = [block if _is_block(block) else _repaired_block(block) for block in content]
    reason, sequence = message.get("stop_reason"), message.get("stop_sequence")
    if not isinstance(reason, str):
        reason = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
    return message | {
        "id": message["id"] if isinstance(message.get("id"), str) else message_id(None),
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence if isinstance(sequence, str) else None,
        "usage": _repaired_usage(message.get("usage")),
    }


def _repaired_block(block: JsonObject) -> JsonObject:
    repaired = dict(block)
    match block.get("type"):
        case "thinking" if isinstance(block.get("thinking"), str):
            return repaired | {"signature": ""}
        case "text" if block.get("text") is None:
            return repaired | {"text": ""}
        case "tool_use" if isinstance(block.get("name"), str) and block["name"]:
            return repaired | {"id": tool_id(block.get("id")), "input": tool_input(block.get("input"))}
    raise UpstreamFailure(Cause.UNREADABLE, detail="a block without its content")


def _repaired_usage(given: object) -> JsonObject:
    usage: JsonObject = given if isinstance(given, dict) else {}
    counts = {key: usage[key] if _is_count(usage.get(key)) else 0 for key in _COUNTS}
    cached = {key: usage[key] if _is_count(usage[key]) else None for key in _CACHED if key in usage}
    return usage | counts | cached


def _is_known_part(part: object) -> bool:
    if type(part) is not dict or type(kind := part.get("type")) is not str:
        return False
    return all(type(part.get(key)) is str for key in _STRING_FIELDS.get(kind, ()))


def _is_block(block: object) -> bool:
    if not isinstance(block, dict) or not _is_known_part(block):
        return False
    return bool(block["type"] != "tool_use" or (block["name"] and isinstance(block.get("input"), dict)))


def _is_ending(message: JsonObject) -> bool:
    reason = message.get("stop_reason")
    if reason is not None and finish_reason(reason) is None:
        return False
    return isinstance(message.get("stop_sequence"), str | None)


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and isinstance(message.get("id"), str)
        and message.get("type") == "message"
        and message.get("role") == "assistant"
        and isinstance(content := message.get("content"), list)
        and all(isinstance(block, dict) for block in content)
        and _is_ending(message)
        and _is_usage(message.get("usage"), _COUNTS)
    )


def _is_usage(usage: object, counts: tuple[str, ...]) -> bool:
    return (
        isinstance(usage, dict)
        and all(_is_count(usage.get(key)) for key in counts)
        and all(usage.get(key) is None or _is_count(usage[key]) for key in (*_COUNTS, *_CACHED))
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
