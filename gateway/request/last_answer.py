"""What the last answer of a conversation says: the text and the tool calls, by which its next request is recognised.

Clients send an answer back nearly as they got it: without reasoning, without white space at its ends, with ids in their
API's alphabet. Two answers are the same where nothing else differs.
"""

import re
from collections.abc import Collection
from itertools import islice
from typing import Any, NamedTuple

from gateway.core.answer import Complete
from gateway.request.query_text import message_text

TEXT_CHARS = 20_000  # of an answer; two that differ only later are rare, and work per request is bounded
MAX_CALLS = 1_000  # of an answer, likewise
_NOT_IN_EVERY_ID = re.compile(r"[^A-Za-z0-9]")
_THINK, _THINK_END = "<think>", "</think>"


class LastAnswer(NamedTuple):
    """One answer.

    Attributes:
        text: without reasoning and without white space at its ends.
        calls: ids of its tool calls, letters and digits only.
    """

    text: str
    calls: tuple[str, ...] = ()

    @property
    def is_identifiable(self) -> bool:
        """Whether there is anything to recognise it by."""
        return bool(self.text or self.calls)


def answer_in_messages(messages: list[dict[str, Any]]) -> tuple[LastAnswer, str] | None:
    """The last assistant message of a chat request, and the text of the user message that it answers; None without one."""
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
    """A whole answer's, in whatever format the deployment wrote it."""
    fields = complete.fields
    if complete.api == "chat":
        choice = next(iter(_objects(fields.get("choices"))), {})
        message = choice.get("message")
        return last_answer(message_text(message), _chat_calls(message)) if isinstance(message, dict) else LastAnswer("")
    if complete.api == "messages":
        blocks = _objects(fields.get("content"))
        return last_answer(_texts(blocks), [b.get("id") for b in blocks if b.get("type") == "tool_use"])
    if complete.api == "responses":
        items = _objects(fields.get("output"))
        text = "\n".join(_texts(_objects(item.get("content"))) for item in items if item.get("type") == "message")
        return last_answer(text, [item["call_id"] for item in items if "call_id" in item])
    choice = next(iter(_objects(fields.get("choices"))), {})
    return last_answer(str(choice.get("text") or ""), ())


def last_answer(text: str, calls: Collection[Any]) -> LastAnswer:
    text = text.strip()
    if text.startswith(_THINK) and (end := text.find(_THINK_END)) >= 0:
        text = text[end + len(_THINK_END) :].lstrip()
    given = islice(calls, MAX_CALLS)
    ids = sorted({_NOT_IN_EVERY_ID.sub("", call) for call in given if isinstance(call, str)}) if calls else ()
    return LastAnswer(text if len(text) <= TEXT_CHARS else text[:TEXT_CHARS].rstrip(), tuple(ids))


def _chat_calls(message: dict[str, Any]) -> list[Any]:
    return [call.get("id") for call in _objects(message.get("tool_calls"))]


def _texts(parts: list[dict[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
