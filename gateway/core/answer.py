"""The results of a successful call: a complete answer, or an open stream of chunks."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.core.chat_types import ChatChunk
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.core.vocabulary import Api


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
