"""What stands around the choices of a chat chunk or answer: id, time, kind, usage; and the log probabilities beside them.

Typed clients refuse a chunk in which one of these has another type than OpenAI's, so whatever is wrong is put right or left out.
"""

import time
import uuid
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.json_types import JsonObject

Framed = TypeVar("Framed", JsonObject, ChatChunk)
CHUNK = "chat.completion.chunk"
ANSWER = "chat.completion"
LEGACY = "text_completion"
MAX_NUMBER = 1 << 53  # whole numbers that every JSON parser reads exactly
_TEXTS = ("system_fingerprint", "service_tier")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def is_framed(fields: Mapping[str, Any], kind: str) -> bool:
    """Whether all is right around the choices. Quick, since every chunk is asked this."""
    if type(fields.get("id")) is not str or type(fields.get("created")) is not int or fields.get("object") != kind:
        return False
    for key in _TEXTS:
        if key in fields and type(fields[key]) is not str and fields[key] is not None:
            return False
    usage = fields.get("usage")
    return usage is None or _is_counted(usage)


class Frame:
    """Frames what belongs to one answer: what a server does not say is made up once.

    Args:
        kind: the `object` of each chunk or answer.
    """

    __slots__ = ("_created", "_id", "_kind")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._id = ""
        self._created = 0

    def framed(self, fields: Framed) -> Framed:
        """The chunk or answer as it must be around its choices: `fields` itself, where that is right."""
        if is_framed(fields, self._kind):
            return fields
        new = fields | {"id": self._name(fields.get("id")), "created": self._time(fields.get("created"))}
        new["object"] = self._kind
        if not isinstance(new.get("system_fingerprint"), str | None):
            new.pop("system_fingerprint")
        if not isinstance(new.get("service_tier"), str | None):
            new.pop("service_tier")
        if new.get("usage") is not None and (usage := mended_usage(new["usage"])) is not None:
            new["usage"] = usage
        else:
            new.pop("usage", None)
        return new

    def _name(self, given: Any) -> str:
        if isinstance(given, str) and given:
            return given
        if type(given) is int:
            return str(given)
        self._id = self._id or f"{'cmpl' if self._kind == LEGACY else 'chatcmpl'}-{uuid.uuid4().hex}"
        return self._id

    def _time(self, given: Any) -> int:
        number = _whole_number(given)
        if number:
            return number
        self._created = self._created or int(time.time())
        return self._created


def mended_usage(usage: object) -> ChatUsage | None:
    """A usage object with counts that are whole numbers; None where it has none that can be read."""
    if _is_counted(usage):
        return usage
    if not isinstance(usage, dict):
        return None
    prompt, completion, total = (_whole_number(usage.get(key)) for key in _COUNTS)
    if prompt is None and completion is None:
        return None
    prompt, completion = prompt or 0, completion or 0
    new: Any = usage | {"prompt_tokens": prompt, "completion_tokens": completion}
    new["total_tokens"] = prompt + completion if total is None else total
    for key in _DETAILS:
        details = new.get(key)
        if isinstance(details, dict):
            new[key] = {name: count for name, count in details.items() if count is None or type(count) is int}
        elif details is not None:
            del new[key]
    counted: ChatUsage = new
    return counted


def mended_logprobs(value: Any) -> Any:
    """The log probabilities of a choice; None where they are none that a client could read."""
    if not isinstance(value, dict) or not any(isinstance(value.get(key), list) for key in ("content", "refusal")):
        return None
    lists = [value.get(key) for key in ("content", "refusal")]
    return value if all(tokens is None or _are_tokens(tokens, deep=True) for tokens in lists) else None


def _is_counted(usage: object) -> TypeGuard[ChatUsage]:
    if type(usage) is not dict:
        return False
    for key in _COUNTS:
        count = usage.get(key)
        if type(count) is not int or count < 0:
            return False
    for key in _DETAILS:
        details = usage.get(key)
        if details is None:
            continue
        if type(details) is not dict:
            return False
        for count in details.values():
            if type(count) is not int and count is not None:
                return False
    return True


def _are_tokens(value: Any, *, deep: bool = False) -> bool:
    return isinstance(value, list) and all(
        isinstance(token, dict)
        and isinstance(token.get("token"), str)
        and type(token.get("logprob")) in (int, float)
        and isinstance(token.get("bytes"), list | None)
        and (not deep or token.get("top_logprobs") is None or _are_tokens(token["top_logprobs"]))
        for token in value
    )


def _whole_number(value: Any) -> int | None:
    """The number that a value stands for, as `7`, `7.0` and `"7"`; None where it stands for none, or one that is too large."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else None
