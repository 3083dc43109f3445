"""Converts log probabilities between the forms of chat completions and of legacy completions. Pure."""

from itertools import accumulate
from typing import TypeGuard

from gateway.api.completions.text_completion import LegacyLogprobs
from gateway.core.chat_types import Logprobs, TokenLogprob


def legacy_logprobs(logprobs: object, offset: int) -> LegacyLogprobs | None:
    """Return the legacy form of a chat choice's log probabilities; None if there are none, or they are invalid.

    Args:
        offset: number of characters of the choice before these tokens.
    """
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not _are_entries(content) or not content:
        return None
    tokens = [entry["token"] for entry in content]
    return {
        "tokens": tokens,
        "token_logprobs": [entry["logprob"] for entry in content],
        "top_logprobs": [_alternatives(entry.get("top_logprobs")) for entry in content],
        "text_offset": list(accumulate(map(len, tokens[:-1]), initial=offset)),
    }


def chat_logprobs(logprobs: object) -> Logprobs | None:
    """Return the chat form of a legacy choice's log probabilities; None if there are none, or they are invalid."""
    if not isinstance(logprobs, dict):
        return None
    tokens, values, top = (logprobs.get(key) for key in ("tokens", "token_logprobs", "top_logprobs"))
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        return None
    if not isinstance(top, list) or len(top) != len(tokens):
        top = [None] * len(tokens)
    content = []
    for token, value, alternatives in zip(tokens, values, top, strict=True):
        if not isinstance(token, str) or not isinstance(value, float | int):
            return None  # the first token of an echoed prompt has no log probability
        entry = _entry(token, value)
        others = alternatives.items() if isinstance(alternatives, dict) else ()
        entry["top_logprobs"] = [_entry(*other) for other in others]
        content.append(entry)
    return {"content": content, "refusal": None}


def _entry(token: str, logprob: float) -> TokenLogprob:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _is_entry(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("token"), str) and "logprob" in value


def _are_entries(value: object) -> TypeGuard[list[TokenLogprob]]:
    return isinstance(value, list) and all(map(_is_entry, value))


def _alternatives(entries: object) -> dict[str, float]:
    """Return the log probability of each alternative token."""
    known = entries if isinstance(entries, list) else []
    return {entry["token"]: entry["logprob"] for entry in known if _is_entry(entry)}
