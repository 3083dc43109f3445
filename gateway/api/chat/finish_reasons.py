"""Finish reasons: the words that providers use for the end of a choice -> OpenAI's.

`finish_reason("MAX_TOKENS")` is `"length"`.
"""

from gateway.provider_errors.failures import Cause, UpstreamFailure

_NO_REASON = frozenset({"", "null", "none"})  # values that mean: not finished
_OPENAI_WORDS = {  # the words of other providers, and OpenAI's for the same
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
}
_WORDS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})  # OpenAI's own words
_FAILED = frozenset(
    {
        "abort",
        "aborted",
        "cancelled",
        "canceled",
        "failed",
        "failure",
        "insufficient_system_resource",
        "malformed_function_call",
    }
)


def finish_reason(value: object) -> str | None:
    """Return the OpenAI finish reason for a provider's own word; None if the choice has not ended. An unknown word stays as it is.

    Raises:
        UpstreamFailure: the word reports a failure of the provider, such as `network_error`.
    """
    if not isinstance(value, str) or (word := value.strip().lower()) in _NO_REASON:
        return None
    if "error" in word or word in _FAILED:
        raise UpstreamFailure(Cause.SERVER_ERROR, detail="finish reason error")
    return word if word in _WORDS else _OPENAI_WORDS.get(word, value)
