"""What a successful call gives: a complete answer, or an open stream of chunks. Both upstream paths speak these."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gateway.core.vocabulary import Api

_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
MAX_TOKENS = 1 << 40  # what is billed for one answer can be no more; a database column holds it


class Usage(NamedTuple):
    """Tokens as the provider billed them.

    Attributes:
        completion_tokens: with those of reasoning.
        cached_tokens: of the prompt, what the provider had in its cache.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @classmethod
    def read(cls, value: Any) -> "Usage | None":
        """The usage object of an answer or chunk; None where there is none that can be read and counted.

        Zeros count nothing: some servers write them into every chunk, or where they have not counted.
        """
        if not isinstance(value, dict):
            return None
        prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
        if prompt is None or completion is None or not prompt + completion:
            return None
        if (details := value.get("completion_tokens_details")) and isinstance(details, dict):
            # xAI counts reasoning beside the completion, as its total shows; others count it within.
            reasoning, total = _count(details.get("reasoning_tokens")), _count(value.get("total_tokens"))
            if reasoning and total == prompt + completion + reasoning:
                completion += reasoning
        return cls(prompt, completion, min(_cached(value), prompt))

    def plus(self, other: "Usage") -> "Usage":
        return Usage(*(one + another for one, another in zip(self, other, strict=True)))


def _count(value: Any) -> int | None:
    """A number of tokens; 0 where there is none, None where it cannot be one. Some servers write whole numbers as 7.0."""
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MAX_TOKENS else None


def _cached(usage: dict[str, Any]) -> int:
    """As OpenAI, Moonshot, DeepSeek and litellm's translations of Anthropic name it."""
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict) and (count := _count(details.get("cached_tokens"))):
        return count
    for key in _CACHED:
        if key in usage and (count := _count(usage[key])):
            return count
    return 0


@dataclass(frozen=True, slots=True)
class Complete:
    """A whole answer: its JSON as received, and as parsed.

    Attributes:
        api: the format that it is in.
        usage: as the provider billed it; None where it did not say.
    """

    body: bytes
    fields: dict[str, Any]
    usage: Usage | None
    api: Api = "chat"


class Chunk(NamedTuple):
    """One event of a stream.

    Attributes:
        raw: its bytes as received; empty where they may not be passed on.
        fields: a chat chunk in the form of `gateway.api.chat.wellformed`: its parsed JSON, or what it means where it is of
            another format.
        api: the format of `raw`.
    """

    raw: bytes
    fields: dict[str, Any]
    api: Api = "chat"

    @property
    def has_content(self) -> bool:
        """Whether a client gets anything from it beyond the role: text, reasoning, a tool call, a refusal, an ending."""
        for choice in self.fields["choices"]:
            if choice.get("finish_reason") is not None:
                return True
            for key, value in choice["delta"].items():
                if value and key != "role":
                    return True
        return False


class ChunkStream(Protocol):
    """An open stream of a provider. The owner closes it.

    Attributes:
        size: bytes that the last read worked on.
    """

    size: int

    async def read(self, deadline: float) -> list[Chunk] | None:
        """The next chunks; None at the end, whether or not the provider said `[DONE]`.

        An empty list is a sign of life: bytes that are no chunk, such as a comment, a ping or part of an event.

        Args:
            deadline: until when something must come, by the event loop's clock.

        Raises:
            UpstreamFailure: cut, silent until the deadline, or an in-band error.
        """
        ...

    async def aclose(self) -> None: ...
