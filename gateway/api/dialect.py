"""The interface of an API format. Internally a request is a chat request, and an answer is chat chunks or a chat completion.

A dialect reads a client's request into a chat request, and writes the answer in the client's format. If the upstream also speaks
that format, the bytes of its answer are relayed; their chat equivalent comes with them, for failover and accounting.
"""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from gateway.bodies.sse import Event
from gateway.core.answer import Chunk, Complete
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.errors import GatewayError
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest
from gateway.request.request import Request

Headers = Mapping[bytes, bytes]
RequestT = TypeVar("RequestT", bound=Request)


class Format(Protocol[RequestT]):
    """The format of the requests and complete answers of one endpoint. One object serves all requests."""

    @property
    def api(self) -> Api: ...

    async def parse(self, body: bytes, headers: Headers) -> RequestT:
        """Return the request.

        Args:
            headers: of the client's request; names in lower case.

        Raises:
            InvalidRequest: the request is invalid; `param` names the field as the client wrote it.
        """
        ...

    def complete_answer(self, request: RequestT, complete: Complete, model: str) -> bytes:
        """Return the body of an answer that is not streamed.

        Args:
            complete: the upstream's answer: in this format if `complete.api` is the same as `api`, else a chat completion.
            model: the portfolio's name of the model that answered.
        """
        ...

    def error(self, error: GatewayError, request_id: str) -> bytes:
        """Return the body of an error response in this format."""
        ...


class Dialect(Format[ChatRequest], Protocol):
    """The format of an endpoint that serves chat requests, and that can stream their answers."""

    def writer(self, request: ChatRequest) -> "Writer":
        """Return the writer of the stream of one answer."""
        ...

    async def finished(
        self, request: ChatRequest, answer: "bytes | Writer", headers: Headers, session: str | None
    ) -> None:
        """Called when an answer is complete, before its end is sent. A format may store the answer for later requests.

        Never raises.

        Args:
            answer: the body that the client gets, or the writer of its stream.
            headers: of the request; they identify the client.
            session: of the conversation.
        """
        ...

    def error_event(self, error: GatewayError) -> bytes:
        """Return the last event of a stream that ends early, for callers that do not have its `Writer`."""
        ...


class Writer(Protocol):
    """Writes the stream of one client; several models may contribute to it. It returns complete events."""

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        """Return the events for a chunk; may be empty.

        Args:
            chunk: as received. If `chunk.api` is the writer's format and `chunk.raw` is not empty, these bytes are relayed with
                the model's name replaced. The writer still records what they open and close, since another model may continue
                the stream with chat chunks.
            fields: the chat chunk that the client is to get. It may differ from `chunk.fields`: a continued stream keeps its
                first id. Has no usage, unless `chunk` is relayed unchanged.
            model: the portfolio's name of the model that wrote the chunk.
        """
        ...

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        """Return the end of a complete answer.

        Args:
            usage: of all models together, in the form of chat completions; None if it is not known.
            model: the model that wrote last.
        """
        ...

    def error(self, error: GatewayError) -> bytes:
        """Return the end of an answer that is cut off. Clients must be able to distinguish it from a proper end."""
        ...


class Reader(Protocol):
    """Reads one upstream stream of a format. It returns each event as a `Chunk`, with the chat equivalent."""

    def read(self, event: Event) -> Chunk | None:
        """Return the chunk for an event that has data; None for a keep-alive event without content, such as a ping.

        `Chunk.fields` has `choices: []` if chat has no equivalent. `Chunk.raw` is empty if the event must not be relayed.

        Raises:
            UpstreamFailure: the event is an error.
            ValueError: the event cannot be read.
        """
        ...

    @property
    def ended(self) -> bool:
        """True if the last event of a complete stream has been read."""
        ...
