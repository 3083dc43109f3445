"""The usage of a Message <-> the tokens that it was billed for."""

from collections.abc import Mapping

from gateway.api.messages.types import MessageUsage
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage, token_count

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def read_usage(counts: object) -> Usage | None:
    """Return the tokens that the usage of a Message reports; None if it has no counts, or counts that no provider could bill.

    There `input_tokens` excludes tokens read from a cache or written to it.
    """
    if not isinstance(counts, dict) or not any(key in counts for key in _COUNTS[:2]):
        return None
    valid = [count for key in _COUNTS if (count := token_count(counts.get(key))) is not None]
    if len(valid) < len(_COUNTS):
        return None
    uncached, output, read, written = valid
    by_ttl, thinking = counts.get("cache_creation"), counts.get("output_tokens_details")
    return Usage.read(
        {
            "prompt_tokens": uncached + read + written,
            "completion_tokens": output,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written, "cache_creation": by_ttl},
            "reasoning_tokens": thinking.get("thinking_tokens") if isinstance(thinking, dict) else None,
        }
    )


def added_usage(counts: JsonObject, later: object) -> JsonObject:
    """Return the usage of a stream after one more event. Its counts are totals, and some events have zeros for what came before."""
    if not isinstance(later, dict):
        return counts
    return counts | {key: value for key, value in later.items() if value or counts.get(key) is None}


def billed_usage(message: Mapping[str, object]) -> Usage | None:
    """Return the tokens that a complete Message was billed for; None if it does not report them."""
    return read_usage(message.get("usage"))


def message_usage(usage: object) -> MessageUsage:
    """Return the usage of a chat completion as that of a Message."""
    billed = Usage.read(usage) or Usage()
    counts: MessageUsage = {
        "input_tokens": billed.prompt_tokens - billed.cached_tokens - billed.cache_write_tokens,
        "output_tokens": billed.completion_tokens,
        "cache_creation_input_tokens": billed.cache_write_tokens,
        "cache_read_input_tokens": billed.cached_tokens,
    }
    if billed.cache_write_1h_tokens:
        counts["cache_creation"] = {
            "ephemeral_5m_input_tokens": billed.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": billed.cache_write_1h_tokens,
        }
    if billed.reasoning_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": billed.reasoning_tokens}
    return counts
