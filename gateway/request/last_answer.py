"""Extracts the text and the tool calls of an answer, which identify the conversation of a later request.

Clients return an answer nearly as they received it. They may remove reasoning and the white space at its ends, and change ids to
the alphabet of their API. Answers that differ in nothing else count as equal.
"""

import re
from collections.abc import Collection
from itertools import islice
from typing import NamedTuple

from gateway.core.answer import Complete
from gateway.core.json_types import JsonObject, objects_in
from gateway.request.query_text import message_text

TEXT_CHARS = 20_000  # of an answer that are compared; bounds the work per request
MAX_CALLS = 1_000  # of an answer that are compared
_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]")
_THINK, _THINK_END = "<think>", "</think>"


class LastAnswer(NamedTuple):
    """The parts of one answer that identify it.

    Attributes:
        text: the text without reasoning, and without white space at its ends.
        calls: the sorted ids of its tool calls, reduced to letters and digits.
    """

    text: str
    calls: tuple[str, ...] = ()

    @property
    def is_identifiable(self) -> bool:
        """True if the answer has text or tool calls."""
        return bool(self.text or self.calls)


def answer_in_messages(messages: list[JsonObject]) -> tuple[LastAnswer, str] | None:
    """Return the last assistant message of a chat request, and the text of the user message that it answers; or None."""
    last: LastAnswer | None = None
    for message in reversed(messages):
        role = message["role"]
        if last is None:
            if role == "assistant":
                last = last_answer(message_text(message), _chat_calls(message))
        elif role == "user":
            return last, message_text(message)
    return None if last is None else (last, "")


def answer_in_response(complete: Complete) -> LastAnswer:
    """Return the identifying parts of a complete response in any API format."""
    fields = complete.fields
    if complete.api == "chat":
        choice = next(iter(objects_in(fields.get("choices"))), {})
        message = choice.get("message")
        return last_answer(message_text(message), _chat_calls(message)) if isinstance(message, dict) else LastAnswer("")
    if complete.api == "messages":
        blocks = objects_in(fields.get("content"))
        return last_answer(_texts(blocks), [b.get("id") for b in blocks if b.get("type") == "tool_use"])
    if complete.api == "responses":
        items = objects_in(fields.get("output"))
        text = "\n".join(_texts(objects_in(item.get("content"))) for item in items if item.get("type") == "message")
        return last_answer(text, [item["call_id"] for item in items if "call_id" in item])
    choice = next(iter(objects_in(fields.get("choices"))), {})
    return last_answer(str(choice.get("text") or ""), ())


def last_answer(text: str, calls: Collection[object]) -> LastAnswer:
    """Return the identifying parts of an answer, given its text and the ids of its tool calls."""
    text = text.strip()
    if text.startswith(_THINK) and (end := text.find(_THINK_END)) >= 0:
        text = text[end + len(_THINK_END) :].lstrip()
    first_calls = islice(calls, MAX_CALLS)
    ids = sorted({_NOT_ALPHANUMERIC.sub("", call) for call in first_calls if isinstance(call, str)}) if calls else ()
    return LastAnswer(text if len(text) <= TEXT_CHARS else text[:TEXT_CHARS].rstrip(), tuple(ids))


def _chat_calls(message: JsonObject) -> list[object]:
    return [call.get("id") for call in objects_in(message.get("tool_calls"))]


def _texts(parts: list[JsonObject]) -> str:
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))
