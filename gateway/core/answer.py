"""The results of a successful call: a complete answer, or an open stream of chunks."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.core.chat_types import ChatChunk
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api

_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
MAX_TOKENS = 1 << 40  # upper limit for one answer; fits into a database column


class Usage(NamedTuple):
    """Tokens as the provider billed them.

    Attributes:
        completion_tokens: including reasoning tokens.
        cached_tokens: prompt tokens that the provider read from its cache.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @classmethod
    def read(cls, value: object) -> "Usage | None":
        """Read the usage object of an answer or chunk; return None if it is missing or invalid.

        Zeros are treated as missing: some servers write them into every chunk, or when they have not counted.
        """
        if not isinstance(value, dict):
            return None
        prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
        if prompt is None or completion is None or not prompt + completion:
            return None
        if (details := value.get("completion_tokens_details")) and isinstance(details, dict):
            # xAI does not include reasoning in completion_tokens, as its total shows; others do.
            reasoning, total = _count(details.get("reasoning_tokens")), _count(value.get("total_tokens"))
            if reasoning and total == prompt + completion + reasoning:
                completion += reasoning
        return cls(prompt, completion, min(_cached(value), prompt))

    def plus(self, other: "Usage") -> "Usage":
        return Usage(*(one + another for one, another in zip(self, other, strict=True)))


def _count(value: object) -> int | None:
    """Return a number of tokens; 0 for null, None if the value is invalid. Some servers write whole numbers as 7.0."""
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MAX_TOKENS else None


def _cached(usage: JsonObject) -> int:
    """Return the cached tokens under the names that OpenAI, Moonshot, DeepSeek and litellm (for Anthropic) use."""
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict) and (count := _count(details.get("cached_tokens"))):
        return count
    for key in _CACHED:
        if key in usage and (count := _count(usage[key])):
            return count
    return 0


@dataclass(frozen=True, slots=True)
class Complete:
    """A complete answer: its JSON as received and as parsed.

    Attributes:
        api: the API format of the answer.
        usage: as the provider billed it; None if it did not report usage.
    """

    body: bytes
    fields: JsonObject
    usage: Usage | None
    api: Api = "chat"


class Chunk(NamedTuple):
    """One event of a stream.

    Attributes:
        raw: its bytes as received; empty if they must not be relayed.
        fields: a chat chunk as `gateway.api.chat.chunk_normalizer` makes it; translated if `raw` has another format.
        api: the API format of `raw`.
    """

    raw: bytes
    fields: ChatChunk
    api: Api = "chat"

    @property
    def has_content(self) -> bool:
        """True if it contains more than the role: text, reasoning, a tool call, a refusal or a finish reason."""
        for choice in self.fields["choices"]:
            if choice.get("finish_reason") is not None:
                return True
            for key, value in choice["delta"].items():
                if value and key != "role":
                    return True
        return False


class ChunkStream(Protocol):
    """An open stream of a provider. The caller that opened it closes it.

    Attributes:
        size: bytes that the last read processed.
    """

    size: int

    async def read(self, deadline: float) -> list[Chunk] | None:
        """Return the next chunks; None at the end of the stream, with or without `[DONE]`.

        An empty list means that bytes arrived that are not a chunk: a comment, a ping or part of an event.

        Args:
            deadline: time by which bytes must arrive, in seconds of the event loop's clock.

        Raises:
            UpstreamFailure: the stream was cut, was silent until the deadline, or contained an error event.
        """
        ...

    async def aclose(self) -> None: ...
