"""Reads the message of a choice, and the text and reasoning in its content, in all forms that providers use."""

from collections.abc import Mapping

from gateway.bodies import lenient_json
from gateway.core.json_types import JsonObject

_REASONING_TYPES = frozenset({"thinking", "reasoning", "summary_text", "reasoning_text"})
_TEXT_KEYS = ("text", "thinking", "summary", "reasoning", "content")  # of a reasoning part
_MAX_DEPTH = 6  # of parts within parts


def message_of(choice: Mapping[str, object], *, begun: bool) -> JsonObject:
    """Return the delta or message of a choice; providers write it under different keys.

    Args:
        begun: earlier chunks had text, so a complete message would only repeat it.
    """
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta
    if isinstance(delta, str):
        return {"content": delta}
    if isinstance(message := choice.get("message"), dict):
        return {} if begun else message
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}


def text_and_reasoning(content: object) -> tuple[str | list[JsonObject], str]:
    """Return the text of a `content` that is not a string, and the reasoning in it.

    A list that has pictures or sound is returned as a list of its objects, without reasoning. Any other value is returned as
    JSON text.
    """
    if isinstance(content, dict):
        return (content["text"], "") if isinstance(content.get("text"), str) else (_as_json(content), "")
    if not isinstance(content, list):
        return _as_json(content), ""
    text, reasoning = "", ""
    for part in content:
        if isinstance(part, dict) and isinstance(kind := part.get("type"), str) and kind in _REASONING_TYPES:
            reasoning += _reasoning_text(part)
        elif isinstance(part, str):
            text += part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            text += part["text"]
        elif isinstance(part, dict):
            return [part for part in content if isinstance(part, dict)], ""
    return text, reasoning


def _as_json(content: object) -> str:
    return lenient_json.dumps(content).decode()


def _reasoning_text(part: object, depth: int = 0) -> str:
    """Return the text of a reasoning part, which may contain further parts."""
    if isinstance(part, str):
        return part
    if isinstance(part, list) and depth < _MAX_DEPTH:
        return "".join(_reasoning_text(each, depth + 1) for each in part)
    if isinstance(part, dict) and depth < _MAX_DEPTH:
        return next((words for key in _TEXT_KEYS if (words := _reasoning_text(part.get(key), depth + 1))), "")
    return ""
