"""Messages as attributes of spans, in the JSON form of the GenAI conventions; written only if the settings ask for content.

`[{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]`. Bytes of images, audio and files are left out.
"""

from collections.abc import Iterable

import orjson

from gateway.core.json_types import JsonObject, objects_in

MAX_CHARS = 64 << 10  # of all texts of one attribute; the oldest messages are left out first
_INSTRUCTIONS = ("system", "developer")
_MODALITIES = {"image_url": "image", "input_audio": "audio", "file": "file", "video_url": "video"}


def input_messages(messages: Iterable[JsonObject]) -> str:
    """The messages of a chat request."""
    budget = _Budget()
    newest_first = []
    for message in reversed(list(messages)):
        if budget.left <= 0:
            break
        newest_first.append({"role": str(message.get("role", "")), "parts": _parts(message, budget)})
    return orjson.dumps(newest_first[::-1]).decode()


def split_instructions(messages: list[JsonObject]) -> tuple[str | None, list[JsonObject]]:
    """The system instructions, for APIs that have them beside the messages, and the messages without them."""
    count = next((i for i, message in enumerate(messages) if message.get("role") not in _INSTRUCTIONS), len(messages))
    if not count:
        return None, messages
    budget = _Budget()
    parts = [part for message in messages[:count] for part in _parts(message, budget)]
    return orjson.dumps(parts).decode(), messages[count:]


def output_messages(messages: Iterable[JsonObject], finish_reasons: Iterable[str]) -> str:
    """The answer: a message for each choice."""
    budget, reasons = _Budget(), list(finish_reasons)
    written = [
        {
            "role": "assistant",
            "parts": _parts(message, budget),
            "finish_reason": reasons[i] if i < len(reasons) else "",
        }
        for i, message in enumerate(messages)
    ]
    return orjson.dumps(written).decode()


class _Budget:
    """The characters that one attribute may still have."""

    def __init__(self) -> None:
        self.left = MAX_CHARS

    def cut(self, text: object) -> str:
        """The text, cut where the characters end."""
        written = text if isinstance(text, str) else "" if text is None else orjson.dumps(text).decode()
        written, longer = written[: max(0, self.left)], len(written) > self.left
        self.left -= len(written)
        return f"{written}…" if longer else written


def _parts(message: JsonObject, budget: _Budget) -> list[JsonObject]:
    content = message.get("content")
    if message.get("role") == "tool":
        return [{"type": "tool_call_response", "id": message.get("tool_call_id"), "response": budget.cut(content)}]
    parts: list[JsonObject] = []
    if isinstance(content, str) and content:
        parts.append({"type": "text", "content": budget.cut(content)})
    for part in objects_in(content):
        kind = part.get("type")
        if isinstance(part.get("text"), str):
            parts.append({"type": "text", "content": budget.cut(part["text"])})
        elif kind in _MODALITIES:
            parts.append(_reference(part, kind))
    for call in objects_in(message.get("tool_calls")):
        function = call.get("function")
        named = function if isinstance(function, dict) else {}
        arguments = budget.cut(named.get("arguments"))
        parts.append({"type": "tool_call", "id": call.get("id"), "name": named.get("name"), "arguments": arguments})
    return parts


def _reference(part: JsonObject, kind: str) -> JsonObject:
    """An image, audio or file: its address, or only that it was there."""
    link = part.get(kind)
    url = link.get("url") if isinstance(link, dict) else link
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return {"type": "uri", "modality": _MODALITIES[kind], "uri": url[:4096]}
    return {"type": "blob", "modality": _MODALITIES[kind], "content": ""}
