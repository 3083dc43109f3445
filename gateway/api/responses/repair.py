"""Whether Response objects and events of a provider have the shape that clients rely on. Unknown kinds pass as they are."""

from typing import Any

from gateway.api.responses.answer_from_chat import Fields, new_id
from gateway.provider_errors.failures import Cause, UpstreamFailure

_PART = ("content_index",)
_SUMMARY = ("summary_index",)
TEXTS: dict[str, tuple[str, tuple[str, ...]]] = {  # what must be text, and which numbers besides `output_index`
    "response.output_text.delta": ("delta", _PART),
    "response.output_text.done": ("text", _PART),
    "response.refusal.delta": ("delta", _PART),
    "response.refusal.done": ("refusal", _PART),
    "response.reasoning_text.delta": ("delta", _PART),
    "response.reasoning_text.done": ("text", _PART),
    "response.reasoning_summary_text.delta": ("delta", _SUMMARY),
    "response.reasoning_summary_text.done": ("text", _SUMMARY),
    "response.function_call_arguments.delta": ("delta", ()),
    "response.function_call_arguments.done": ("arguments", ()),
    "response.custom_tool_call_input.delta": ("delta", ()),
    "response.custom_tool_call_input.done": ("input", ()),
}
PARTS = {
    "response.content_part.added": _PART,
    "response.content_part.done": _PART,
    "response.reasoning_summary_part.added": _SUMMARY,
    "response.reasoning_summary_part.done": _SUMMARY,
}
_PART_TEXTS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text", "summary_text": "text"}
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = {"input_tokens_details": "cached_tokens", "output_tokens_details": "reasoning_tokens"}
_STATUSES = ("in_progress", "completed", "incomplete")
_WITH_RESPONSE = frozenset({f"response.{kind}" for kind in ("created", *_STATUSES)})
_LATEST = 1 << 53
_NUMBER = (int, float, type(None))
_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "object": (str,),
    "created_at": (int, float),
    "model": (str,),
    "parallel_tool_calls": (bool,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "metadata": (dict, type(None)),
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "instructions": (str, type(None)),
    "error": (type(None),),
    "incomplete_details": (dict, type(None)),
}


def is_valid_event(kind: str, fields: Fields) -> bool:
    """Whether an event of this type may be handed on. What it has of a Response object is not looked at."""
    if kind in TEXTS:
        text, numbers = TEXTS[kind]
        return type(fields.get(text)) is str and _is_placed(fields, numbers) and _are_tokens(fields.get("logprobs"))
    if kind in PARTS:
        return _is_placed(fields, PARTS[kind]) and is_part(fields.get("part"))
    if kind in ("response.output_item.added", "response.output_item.done"):
        return type(fields.get("output_index")) is int and is_item(fields.get("item"))
    return kind not in _WITH_RESPONSE or isinstance(fields.get("response"), dict)


def is_part(part: Any) -> bool:
    if not isinstance(part, dict) or not isinstance(kind := part.get("type"), str):
        return False
    if kind not in _PART_TEXTS:
        return True
    return (
        type(part.get(_PART_TEXTS[kind])) is str
        and _are_tokens(part.get("logprobs"))
        and _are_typed(part.get("annotations", []))
    )


def is_item(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(kind := item.get("type"), str):
        return False
    if "status" in item and item["status"] not in _STATUSES:
        return False
    if kind == "message":
        return (
            "status" in item
            and item.get("role") == "assistant"
            and isinstance(item.get("id"), str)
            and _are_parts(item.get("content"))
        )
    if kind == "reasoning":
        return isinstance(item.get("id"), str) and _are_parts(item.get("summary"))
    if not isinstance(item.get("id"), str | None):
        return False
    if kind in _CALLS:
        return bool(item.get("name")) and all(
            isinstance(item.get(key), str) for key in ("call_id", "name", _CALLS[kind])
        )
    return True


def is_response(response: Fields) -> bool:
    output = response.get("output")
    return (
        all(type(response.get(key)) in types for key, types in _TYPES.items())
        and response["object"] == "response"
        and 0 <= response["created_at"] <= _LATEST
        and response.get("status") in _STATUSES
        and _are_typed(response["tools"])
        and _is_choice(response["tool_choice"])
        and all(isinstance(value, str) for value in (response.get("metadata") or {}).values())
        and isinstance(output, list)
        and all(map(is_item, output))
        and _is_usage(response.get("usage"))
    )


def mended(response: Fields, base: Fields, output: list[Fields] | None = None) -> Fields:
    """A Response object as it must be: `response` itself, where that is right.

    Args:
        base: has what is wrong in it.
        output: its items, where they cannot be read in it.

    Raises:
        UpstreamFailure: an item lacks what it is for: unreadable.
    """
    if is_response(response):
        return response
    right = {key: response[key] for key, types in _TYPES.items() if key in response and type(response[key]) in types}
    given = response.get("output")
    if not isinstance(given, list) or (output is not None and not all(map(is_item, given))):
        given = output or []
    if not 0 <= right.get("created_at", 0) <= _LATEST:
        del right["created_at"]
    if "tool_choice" in right and not _is_choice(right["tool_choice"]):
        right["tool_choice"] = base["tool_choice"]
    if right.get("metadata"):
        right["metadata"] = {key: value for key, value in right["metadata"].items() if isinstance(value, str)}
    if not _are_typed(right.get("tools")):
        right["tools"] = base["tools"]
    if response.get("status") not in _STATUSES:
        right["status"] = "completed"
    usage = _mended_usage(response.get("usage"))
    kept = {key: base.get(key) for key in _TYPES}
    return response | kept | right | {"object": "response", "output": list(map(repaired_item, given)), "usage": usage}


def repaired_item(item: Any) -> Fields:
    """An output item as it must be.

    Raises:
        UpstreamFailure: it lacks what it is for: unreadable.
    """
    if is_item(item):
        fields: Fields = item
        return fields
    told: Fields = dict(item) if isinstance(item, dict) else {}
    kind = told.get("type")
    if isinstance(kind, str):
        told["id"] = told["id"] if isinstance(told.get("id"), str) else new_id(kind)
        told["status"] = told["status"] if told.get("status") in _STATUSES else "completed"
    if kind == "message":
        told["role"] = "assistant"
        if isinstance(told.get("content"), list):
            told["content"] = [part if is_part(part) else _mended_part(part) for part in told["content"]]
    if isinstance(kind, str) and kind in _CALLS and not isinstance(told.get("call_id"), str):
        told["call_id"] = told["id"]
    if not is_item(told):
        raise UpstreamFailure(Cause.UNREADABLE, detail="an output item without what it is for")
    return told


def _mended_part(part: Any) -> Any:
    """A part without what is beside its text."""
    return part | {"annotations": [], "logprobs": []} if isinstance(part, dict) else part


def _is_placed(fields: Fields, numbers: tuple[str, ...]) -> bool:
    if type(fields.get("item_id")) is not str or type(fields.get("output_index")) is not int:
        return False
    return all(type(fields.get(key)) is int for key in numbers)


def _are_parts(parts: Any) -> bool:
    return isinstance(parts, list) and all(map(is_part, parts))


def _is_usage(usage: Any) -> bool:
    if usage is None:
        return True
    return (
        isinstance(usage, dict)
        and all(type(usage.get(key)) is int for key in _COUNTS)
        and all(_are_counts(usage.get(key), least) for key, least in _DETAILS.items())
    )


def _are_counts(details: Any, least: str) -> bool:
    return isinstance(details, dict) and least in details and all(type(count) is int for count in details.values())


def _mended_usage(usage: Any) -> Fields | None:
    if _is_usage(usage) or not isinstance(usage, dict):
        return usage if isinstance(usage, dict) else None
    read, written, total = (usage[key] if type(usage.get(key)) is int else None for key in _COUNTS)
    if read is None or written is None:
        return None
    told = usage | {"total_tokens": read + written if total is None else total}
    for key, least in _DETAILS.items():
        details = usage[key].items() if isinstance(usage.get(key), dict) else ()
        told[key] = {least: 0} | {name: count for name, count in details if type(count) is int}
    return told


def _is_choice(given: Any) -> bool:
    return given in ("none", "auto", "required") if isinstance(given, str) else isinstance(given.get("type"), str)


def _are_typed(given: Any) -> bool:
    return isinstance(given, list) and all(
        isinstance(each, dict) and isinstance(each.get("type"), str) for each in given
    )


def _are_tokens(given: Any) -> bool:
    return given is None or (
        isinstance(given, list) and all(isinstance(each, dict) and isinstance(each.get("token"), str) for each in given)
    )
