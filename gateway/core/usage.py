"""The tokens that a provider bills for one call, read from the `usage` object of a chat completion in the words of each provider.

Messages and Responses have counts of other names; `gateway.api.messages.usage` and `gateway.api.responses.usage` translate them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gateway.core.chat_types import ChatUsage
from gateway.core.json_types import JsonObject

MAX_TOKENS = 1 << 40  # upper limit for one answer; fits into a database column
# In `prompt_tokens_details` (OpenAI and most others) or beside it (Moonshot and Together, DeepSeek, litellm, Mistral).
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "num_cached_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
WRITTEN_BY_TTL = ("cache_write_tokens_details", "cache_creation_token_details", "cache_creation")
_WRITES = frozenset({*_WRITTEN, *WRITTEN_BY_TTL})
_USUAL = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_NOTHING: JsonObject = {}
_LONG_TTL = ("ephemeral_1h_input_tokens", "ephemeral_12h_input_tokens", "ttl_12h_tokens")
_SHORT_TTL = ("ephemeral_5m_input_tokens", "ephemeral_30m_input_tokens", "ttl_30m_tokens")


class Usage(NamedTuple):
    """Tokens as the provider billed them.

    The details of `Usage.read` add up to no more than the prompt and the completion, so that each token has one price.

    Attributes:
        prompt_tokens: all input tokens, those of the cache included.
        completion_tokens: all output tokens, reasoning included.
        cached_tokens: prompt tokens that the provider read from its cache.
        cache_write_5m_tokens: prompt tokens that it wrote into its cache for the usual time: 5 minutes at Anthropic, 30 at OpenAI.
        cache_write_1h_tokens: those that it wrote for longer: 1 hour at Anthropic, 12 hours at OpenAI.
        reasoning_tokens: output tokens that are reasoning.
        prompt_audio_tokens: prompt tokens that are audio and not of the cache.
        completion_audio_tokens: output tokens that are audio.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_audio_tokens: int = 0
    completion_audio_tokens: int = 0

    @classmethod
    def read(cls, value: object) -> "Usage | None":
        """Read the usage object of a chat completion or chunk; return None if it is missing or a count of it is invalid."""
        if not isinstance(value, dict) or (value.get("prompt_tokens"), value.get("completion_tokens")) == (None, None):
            return None
        prompt, completion = token_count(value.get("prompt_tokens")), token_count(value.get("completion_tokens"))
        if prompt is None or completion is None:
            return None
        in_prompt, in_completion = (
            _details(value, "prompt_tokens_details"),
            _details(value, "completion_tokens_details"),
        )
        others = _NOTHING if _USUAL.issuperset(value) else value  # a fast way to find nothing in most usage objects
        reasoning = _first(in_completion, "reasoning_tokens") or _first(others, "reasoning_tokens")
        cached = _first(in_prompt, *_CACHED) or _first(others, *_CACHED)
        short, long = _written(others, in_prompt)
        beside = (token_count(value.get("total_tokens")) or 0) - prompt - completion
        if beside <= 0 and others is _NOTHING and not in_prompt and not in_completion:
            return cls(prompt, completion)
        if beside > 0 and beside == cached + short + long != reasoning:
            prompt += beside  # some gateways count the prompt as Anthropic does, without the cache
        elif beside > 0 and reasoning in (0, beside):
            # xAI and Gemini do not include reasoning in completion_tokens, as their total shows; Gemini does not even name it.
            reasoning, completion = beside, completion + beside
        cached = min(cached, prompt)
        long = min(long, prompt - cached)
        short = min(short, prompt - cached - long)
        audio = min(_first(in_prompt, "audio_tokens"), prompt - cached - long - short)
        reasoning = min(reasoning, completion)
        spoken = min(_first(in_completion, "audio_tokens"), completion - reasoning)
        return cls(prompt, completion, cached, short, long, reasoning, audio, spoken)

    @property
    def cache_write_tokens(self) -> int:
        """Prompt tokens that the provider wrote into its cache."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: "Usage") -> "Usage":
        return Usage(*(one + another for one, another in zip(self, other, strict=True)))

    def in_chat(self) -> ChatUsage:
        """The usage object of a chat completion, from which `read` makes the same usage. Details are left out if all are 0."""
        fields: ChatUsage = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
        }
        in_prompt: JsonObject = {
            "cached_tokens": self.cached_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "audio_tokens": self.prompt_audio_tokens,
        }
        in_completion = {"reasoning_tokens": self.reasoning_tokens, "audio_tokens": self.completion_audio_tokens}
        if any(in_prompt.values()):
            fields["prompt_tokens_details"] = in_prompt
        if self.cache_write_1h_tokens:  # as litellm writes it
            in_prompt["cache_creation_token_details"] = {
                "ephemeral_5m_input_tokens": self.cache_write_5m_tokens,
                "ephemeral_1h_input_tokens": self.cache_write_1h_tokens,
            }
        if any(in_completion.values()):
            fields["completion_tokens_details"] = in_completion
        return fields


def token_count(value: object) -> int | None:
    """Return a number of tokens; 0 for null, None if the value is invalid. Some servers write whole numbers as 7.0."""
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def _first(counts: Mapping[str, object], *keys: str) -> int:
    """Return the first count under one of these keys that is more than 0; 0 if there is none."""
    if not counts:
        return 0
    for key in keys:
        if key in counts and (count := token_count(counts[key])):
            return count
    return 0


def _written(usage: JsonObject, in_prompt: JsonObject) -> tuple[int, int]:
    """Return the tokens written into the cache for the usual time, and for longer. Without details all are of the usual time."""
    if not usage and _WRITES.isdisjoint(in_prompt):
        return 0, 0
    total = _first(in_prompt, *_WRITTEN) or _first(usage, *_WRITTEN)
    for key in WRITTEN_BY_TTL:
        by_ttl = _details(in_prompt, key) or _details(usage, key)
        if short_or_long := sum(_first(by_ttl, name) for name in (*_SHORT_TTL, *_LONG_TTL)):
            long = sum(_first(by_ttl, name) for name in _LONG_TTL)
            return max(total, short_or_long) - long, long
    return total, 0


def _details(counts: JsonObject, key: str) -> JsonObject:
    details = counts.get(key)
    return details if isinstance(details, dict) else {}
