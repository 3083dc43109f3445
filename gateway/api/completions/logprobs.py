"""Log probabilities in the form of chat completions and in that of legacy completions. Pure."""

from itertools import accumulate
from typing import Any


def to_legacy(logprobs: Any, offset: int) -> dict[str, Any] | None:
    """The legacy form of a chat choice's log probabilities; None where there are none.

    Args:
        offset: characters of the choice before these tokens.
    """
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content or not all(_has_token(entry) for entry in content):
        return None
    tokens = [entry["token"] for entry in content]
    return {
        "tokens": tokens,
        "token_logprobs": [entry["logprob"] for entry in content],
        "top_logprobs": [_top(entry.get("top_logprobs")) for entry in content],
        "text_offset": list(accumulate(map(len, tokens[:-1]), initial=offset)),
    }


def to_chat(logprobs: Any) -> dict[str, Any] | None:
    """The chat form of a legacy choice's log probabilities; None where there are none that can be read."""
    if not isinstance(logprobs, dict):
        return None
    tokens, values, top = (logprobs.get(key) for key in ("tokens", "token_logprobs", "top_logprobs"))
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        return None
    if not isinstance(top, list) or len(top) != len(tokens):
        top = [None] * len(tokens)
    content = []
    for token, value, others in zip(tokens, values, top, strict=True):
        if not isinstance(token, str) or not isinstance(value, float | int):
            return None  # as of the first token of an echoed prompt
        alternatives = others.items() if isinstance(others, dict) else ()
        content.append(_entry(token, value) | {"top_logprobs": [_entry(*other) for other in alternatives]})
    return {"content": content, "refusal": None}


def _entry(token: str, logprob: Any) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _has_token(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("token"), str) and "logprob" in entry


def _top(alternatives: Any) -> dict[str, Any]:
    known = alternatives if isinstance(alternatives, list) else []
    return {entry["token"]: entry["logprob"] for entry in known if _has_token(entry)}
