"""Checks Response objects and stream events of providers for the fields that clients rely on, and repairs Response objects.

Items, parts and events of unknown types are not changed.
"""

from gateway.api.responses.answer_from_chat import new_id
from gateway.api.responses.types import Item, Response
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure

_CONTENT = ("content_index",)
_SUMMARY = ("summary_index",)
TEXT_EVENTS: dict[str, tuple[str, tuple[str, ...]]] = {  # the string field, and the index fields besides `output_index`
    "response.output_text.delta": ("delta", _CONTENT),
    "response.output_text.done": ("text", _CONTENT),
    "response.refusal.delta": ("delta", _CONTENT),
    "response.refusal.done": ("refusal", _CONTENT),
    "response.reasoning_text.delta": ("delta", _CONTENT),
    "response.reasoning_text.done": ("text", _CONTENT),
    "response.reasoning_summary_text.delta": ("delta", _SUMMARY),
    "response.reasoning_summary_text.done": ("text", _SUMMARY),
    "response.function_call_arguments.delta": ("delta", ()),
    "response.function_call_arguments.done": ("arguments", ()),
    "response.custom_tool_call_input.delta": ("delta", ()),
    "response.custom_tool_call_input.done": ("input", ()),
}
PART_EVENTS = {  # the index fields besides `output_index`
    "response.content_part.added": _CONTENT,
    "response.content_part.done": _CONTENT,
    "response.reasoning_summary_part.added": _SUMMARY,
    "response.reasoning_summary_part.done": _SUMMARY,
}
_PART_TEXTS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text", "summary_text": "text"}
_CALL_INPUTS = {"function_call": "arguments", "custom_tool_call": "input"}
_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = {"input_tokens_details": "cached_tokens", "output_tokens_details": "reasoning_tokens"}
_STATUSES = ("in_progress", "completed", "incomplete")
_WITH_RESPONSE = frozenset({f"response.{kind}" for kind in ("created", *_STATUSES)})
_LATEST = 1 << 53  # seconds since the epoch
_NUMBER = (int, float, type(None))
_FIELD_TYPES: dict[str, tuple[type, ...]] = {
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


def is_valid_event(kind: str, fields: JsonObject) -> bool:
    """Return True if an event of this type has all fields that clients rely on. Its Response object, if any, is not checked."""
    if kind in TEXT_EVENTS:
        text, indexes = TEXT_EVENTS[kind]
        return type(fields.get(text)) is str and _is_placed(fields, indexes) and _are_tokens(fields.get("logprobs"))
    if kind in PART_EVENTS:
        return _is_placed(fields, PART_EVENTS[kind]) and is_valid_part(fields.get("part"))
    if kind in ("response.output_item.added", "response.output_item.done"):
        return type(fields.get("output_index")) is int and is_valid_item(fields.get("item"))
    return kind not in _WITH_RESPONSE or isinstance(fields.get("response"), dict)


def is_valid_part(part: object) -> bool:
    """Return True if a content part has all fields that clients rely on."""
    if not isinstance(part, dict) or not isinstance(kind := part.get("type"), str):
        return False
    if kind not in _PART_TEXTS:
        return True
    return (
        type(part.get(_PART_TEXTS[kind])) is str
        and _are_tokens(part.get("logprobs"))
        and _are_typed(part.get("annotations", []))
    )


def is_valid_item(item: object) -> bool:
    """Return True if an output item has all fields that clients rely on."""
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
        return (
            isinstance(item.get("id"), str)
            and _are_parts(item.get("summary"))
            and _are_typed(item.get("content") or [])
        )
    if not isinstance(item.get("id"), str | None):
        return False
    if kind in _CALL_INPUTS:
        return bool(item.get("name")) and all(
            isinstance(item.get(key), str) for key in ("call_id", "name", _CALL_INPUTS[kind])
        )
    return True


def is_valid_response(response: Response) -> bool:
    """Return True if a Response object has all fields that clients rely on."""
    output = response.get("output")
    return (
        all(type(response.get(key)) in types for key, types in _FIELD_TYPES.items())
        and response["object"] == "response"
        and 0 <= response["created_at"] <= _LATEST
        and response.get("status") in _STATUSES
        and _are_typed(response["tools"])
        and _is_choice(response["tool_choice"])
        and all(isinstance(value, str) for value in (response.get("metadata") or {}).values())
        and isinstance(output, list)
        and all(map(is_valid_item, output))
        and _is_usage(response.get("usage"))
    )


def repaired_response(response: Response, base: Response, output: list[Item] | None = None) -> Response:
    """Return a Response object with all fields that clients rely on: `response` itself if it has them.

    Args:
        base: supplies the fields that are not valid in `response`.
        output: the items to use if those in `response` are not valid.

    Raises:
        UpstreamFailure: unreadable, because an item lacks its content.
    """
    if is_valid_response(response):
        return response
    valid = {
        key: response[key] for key, types in _FIELD_TYPES.items() if key in response and type(response[key]) in types
    }
    given = response.get("output")
    if not isinstance(given, list) or (output is not None and not all(map(is_valid_item, given))):
        given = output or []
    if not 0 <= valid.get("created_at", 0) <= _LATEST:
        del valid["created_at"]
    if "tool_choice" in valid and not _is_choice(valid["tool_choice"]):
        valid["tool_choice"] = base["tool_choice"]
    if valid.get("metadata"):
        valid["metadata"] = {key: value for key, value in valid["metadata"].items() if isinstance(value, str)}
    if not _are_typed(valid.get("tools")):
        valid["tools"] = base["tools"]
    if response.get("status") not in _STATUSES:
        valid["status"] = "completed"
    usage = _repaired_usage(response.get("usage"))
    kept = {key: base.get(key) for key in _FIELD_TYPES}
    return response | kept | valid | {"object": "response", "output": list(map(repaired_item, given)), "usage": usage}


def repaired_item(item: object) -> Item:
    """Return an output item with all fields that clients rely on: `item` itself if it has them.

    Raises:
        UpstreamFailure: unreadable, because the item lacks its content.
    """
    if isinstance(item, dict) and is_valid_item(item):
        return item
    repaired: Item = dict(item) if isinstance(item, dict) else {}
    kind = repaired.get("type")
    if isinstance(kind, str):
        repaired["id"] = repaired["id"] if isinstance(repaired.get("id"), str) else new_id(kind)
        repaired["status"] = repaired["status"] if repaired.get("status") in _STATUSES else "completed"
    if kind == "message":
        repaired["role"] = "assistant"
        if isinstance(repaired.get("content"), list):
            repaired["content"] = [
                part if is_valid_part(part) else _repaired_part(part) for part in repaired["content"]
            ]
    if isinstance(kind, str) and kind in _CALL_INPUTS and not isinstance(repaired.get("call_id"), str):
        repaired["call_id"] = repaired["id"]
    if not is_valid_item(repaired):
        raise UpstreamFailure(Cause.UNREADABLE, detail="an output item without its content")
    return repaired


def _repaired_part(part: object) -> object:
    """Return a part without annotations and log probabilities."""
    return part | {"annotations": [], "logprobs": []} if isinstance(part, dict) else part


def _is_placed(fields: JsonObject, indexes: tuple[str, ...]) -> bool:
    if type(fields.get("item_id")) is not str or type(fields.get("output_index")) is not int:
        return False
    return all(type(fields.get(key)) is int for key in indexes)


def _are_parts(parts: object) -> bool:
    return isinstance(parts, list) and all(map(is_valid_part, parts))


def _is_usage(usage: object) -> bool:
    if usage is None:
        return True
    return (
        isinstance(usage, dict)
        and all(type(usage.get(key)) is int for key in _COUNTS)
        and all(_are_counts(usage.get(key), least) for key, least in _DETAILS.items())
    )


def _are_counts(details: object, least: str) -> bool:
    return isinstance(details, dict) and least in details and all(type(count) is int for count in details.values())


def _repaired_usage(usage: object) -> JsonObject | None:
    if _is_usage(usage) or not isinstance(usage, dict):
        return usage if isinstance(usage, dict) else None
    read, written, total = (usage[key] if type(usage.get(key)) is int else None for key in _COUNTS)
    if read is None or written is None:
        return None
    repaired = usage | {"total_tokens": read + written if total is None else total}
    for key, least in _DETAILS.items():
        details = usage[key].items() if isinstance(usage.get(key), dict) else ()
        repaired[key] = {least: 0} | {name: count for name, count in details if type(count) is int}
    return repaired


def _is_choice(given: str | JsonObject) -> bool:
    return given in ("none", "auto", "required") if isinstance(given, str) else isinstance(given.get("type"), str)


def _are_typed(given: object) -> bool:
    return isinstance(given, list) and all(
        isinstance(each, dict) and isinstance(each.get("type"), str) for each in given
    )


def _are_tokens(given: object) -> bool:
    return given is None or (
        isinstance(given, list) and all(isinstance(each, dict) and isinstance(each.get("token"), str) for each in given)
    )
