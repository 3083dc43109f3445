"""What a successful call gives: a complete answer, or an open stream of chunks. Both upstream paths speak these."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gateway.need import Api
from gateway.upstream.failures import Cause, UpstreamFailure

MAX_TOKENS = 1 << 40  # what is billed for one answer can be no more; a database column holds it


class Usage(NamedTuple):
    """Tokens as the provider billed them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def read(cls, value: Any) -> "Usage | None":
        """The usage object of an answer or chunk; None where there is none that can be read and counted."""
        if not isinstance(value, dict):
            return None
        counts = (value.get("prompt_tokens"), value.get("completion_tokens"))
        if not all(count is None or (isinstance(count, int) and 0 <= count <= MAX_TOKENS) for count in counts):
            return None
        return cls(counts[0] or 0, counts[1] or 0)

    def plus(self, other: "Usage") -> "Usage":
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


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
        fields: a chat chunk: its parsed JSON, or what it means where it is of another format.
        api: the format of `raw`.
    """

    raw: bytes
    fields: dict[str, Any]
    api: Api = "chat"

    @property
    def has_content(self) -> bool:
        """Does a client get anything from it beyond the role: text, reasoning, a tool call, a refusal, an ending?"""
        for choice in self.fields["choices"]:
            if choice.get("finish_reason") is not None:
                return True
            for key, value in (choice.get("delta") or {}).items():
                if value and key != "role":
                    return True
        return False


def is_chunk(fields: dict[str, Any]) -> bool:
    """Has it the form of a chunk: a list of choices, each an object with a numeric index and a delta, if any?"""
    choices = fields.get("choices")
    return isinstance(choices, list) and all(
        isinstance(choice, dict)
        and isinstance(choice.get("delta"), dict | None)
        and isinstance(choice.get("index"), int | None)
        for choice in choices
    )


class ChunkStream(Protocol):
    """An open stream of a provider. The owner closes it."""

    async def read(self, deadline: float) -> list[Chunk] | None:
        """The next chunks; None at the end, whether or not the provider said `[DONE]`.

        Args:
            deadline: until when they must come, by the event loop's clock. Comments are none.

        Raises:
            UpstreamFailure: cut, silent until the deadline, or an in-band error.
        """
        ...

    async def aclose(self) -> None: ...


def check_complete(fields: Any) -> dict[str, Any]:
    """`fields` as a chat completion.

    Raises:
        UpstreamFailure: it has no list of choices with messages: unreadable.
    """
    choices = fields.get("choices") if isinstance(fields, dict) else None
    if not isinstance(choices, list) or not choices or not all(_has_message(choice) for choice in choices):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no choices in the answer")
    return dict(fields)


def _has_message(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("message"), dict)
