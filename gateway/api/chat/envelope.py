"""The envelope of a chat chunk or answer: its id, creation time, object type and usage. Also the log probabilities of choices.

Typed clients refuse a chunk if one of these fields has another type than OpenAI's, so wrong values are converted or left out.
"""

import time
import uuid
from collections.abc import Mapping
from typing import TypeGuard, TypeVar

from gateway.core.chat_types import ChatChunk, ChatUsage, Logprobs
from gateway.core.json_types import JsonObject
from gateway.core.usage import WRITTEN_BY_TTL

Enveloped = TypeVar("Enveloped", JsonObject, ChatChunk)
CHUNK = "chat.completion.chunk"
ANSWER = "chat.completion"
LEGACY = "text_completion"
MAX_NUMBER = 1 << 53  # the largest integer that every JSON parser reads exactly
_TEXTS = ("system_fingerprint", "service_tier")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def has_normal_envelope(fields: Mapping[str, object], kind: str) -> bool:
    """Return True if every field of the envelope has OpenAI's type. Fast, since it is called for each chunk."""
    if type(fields.get("id")) is not str or type(fields.get("created")) is not int or fields.get("object") != kind:
        return False
    for key in _TEXTS:
        if key in fields and type(fields[key]) is not str and fields[key] is not None:
            return False
    usage = fields.get("usage")
    return usage is None or _is_normal_usage(usage)


class Envelope:
    """Normalizes the envelopes of one answer. An id or a time that the provider does not send is generated once per answer.

    Args:
        kind: the `object` of each chunk or answer.
    """

    __slots__ = ("_created", "_id", "_kind")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._id = ""
        self._created = 0

    def normalize(self, fields: Enveloped) -> Enveloped:
        """Return the chunk or answer with a normal envelope; the same object if nothing has to change."""
        if has_normal_envelope(fields, self._kind):
            return fields
        new = fields | {"id": self._id_of(fields.get("id")), "created": self._created_at(fields.get("created"))}
        new["object"] = self._kind
        if not isinstance(new.get("system_fingerprint"), str | None):
            new.pop("system_fingerprint")
        if not isinstance(new.get("service_tier"), str | None):
            new.pop("service_tier")
        if new.get("usage") is not None and (usage := normalize_usage(new["usage"])) is not None:
            new["usage"] = usage
        else:
            new.pop("usage", None)
        return new

    def _id_of(self, given: object) -> str:
        if isinstance(given, str) and given:
            return given
        if type(given) is int:
            return str(given)
        self._id = self._id or f"{'cmpl' if self._kind == LEGACY else 'chatcmpl'}-{uuid.uuid4().hex}"
        return self._id

    def _created_at(self, given: object) -> int:
        number = _integer(given)
        if number:
            return number
        self._created = self._created or int(time.time())
        return self._created


def normalize_usage(usage: object) -> ChatUsage | None:
    """Return a usage object with integer counts; None if no count can be read."""
    if _is_normal_usage(usage):
        return usage
    if not isinstance(usage, dict):
        return None
    prompt, completion, total = (_integer(usage.get(key)) for key in _COUNTS)
    if prompt is None and completion is None:
        return None
    prompt, completion = prompt or 0, completion or 0
    new: JsonObject = usage | {"prompt_tokens": prompt, "completion_tokens": completion}
    new["total_tokens"] = prompt + completion if total is None else total
    for key in _DETAILS:
        details = new.get(key)
        if isinstance(details, dict):
            new[key] = {name: count for name, given in details.items() if (count := _detail(name, given)) is not None}
        elif details is not None:
            del new[key]
    return new if _is_normal_usage(new) else None


def normalize_logprobs(value: object) -> Logprobs | None:
    """Return the log probabilities of a choice; None if a client could not read them."""
    return value if _are_logprobs(value) else None


def _are_logprobs(value: object) -> TypeGuard[Logprobs]:
    if not isinstance(value, dict):
        return False
    lists = [tokens for key in ("content", "refusal") if (tokens := value.get(key)) is not None]
    return bool(lists) and all(_are_token_logprobs(tokens, deep=True) for tokens in lists)


def _is_normal_usage(usage: object) -> TypeGuard[ChatUsage]:
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
        for name, count in details.items():
            if type(count) is not int and count is not None and not (type(count) is dict and name in WRITTEN_BY_TTL):
                return False
    return True


def _detail(name: str, given: object) -> int | JsonObject | None:
    """Return a count, or the counts under a name that may have several; None for other values."""
    return given if type(given) is dict and name in WRITTEN_BY_TTL else _integer(given)


def _are_token_logprobs(value: object, *, deep: bool = False) -> bool:
    return isinstance(value, list) and all(
        isinstance(token, dict)
        and isinstance(token.get("token"), str)
        and type(token.get("logprob")) in (int, float)
        and isinstance(token.get("bytes"), list | None)
        and (not deep or token.get("top_logprobs") is None or _are_token_logprobs(token["top_logprobs"]))
        for token in value
    )


def _integer(value: object) -> int | None:
    """Return the integer that `7`, `7.0` or `"7"` means; None for other values and for larger integers than `MAX_NUMBER`."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else None
