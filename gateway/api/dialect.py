"""What an API format must bring. Inside the gateway a request is a chat request, and an answer chat chunks or a completion.

A dialect reads a client's request into a chat request, and writes the answer in the client's format. Where the upstream
speaks the client's format too, its bytes pass: they carry their chat equivalent along, which failover and accounting read.
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
    """The format of one endpoint's requests and whole answers. One object serves all requests."""

    @property
    def api(self) -> Api: ...

    async def parse(self, body: bytes, headers: Headers) -> RequestT:
        """The request.

        Args:
            headers: the client's, names in lower case.

        Raises:
            InvalidRequest: it cannot be read; `param` names the field as the client wrote it.
        """
        ...

    def whole(self, request: RequestT, complete: Complete, model: str) -> bytes:
        """The body of an answer that is not streamed.

        Args:
            complete: in this format already where `complete.api` is this dialect's, else a chat completion.
            model: the portfolio's name of the model that answered.
        """
        ...

    def error(self, error: GatewayError, request_id: str) -> bytes:
        """The body of an error answer, in this format's shape."""
        ...


class Dialect(Format[ChatRequest], Protocol):
    """The format of an endpoint whose requests are chats, and whose answers may be streamed."""

    def writer(self, request: ChatRequest) -> "Writer":
        """The writer of the stream of one answer."""
        ...

    async def finished(
        self, request: ChatRequest, answer: "bytes | Writer", headers: Headers, session: str | None
    ) -> None:
        """Called when an answer is complete, before its end is sent: a format may store it for later requests. Never fails.

        Args:
            answer: the body that the client gets, or the writer of its stream.
            headers: of the request; they name the client.
            session: of the conversation.
        """
        ...

    def error_event(self, error: GatewayError) -> bytes:
        """The last event of a stream that ends early, for a stream that was not written by a `Writer` of this format."""
        ...


class Writer(Protocol):
    """One client's stream, by however many models it is written. Bytes that it returns are whole events."""

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        """The events for a chunk; may be empty.

        Args:
            chunk: as it came. Where `chunk.api` is the writer's and it has bytes of its own (`chunk.raw`), those pass, but
                for the model's name; the writer still notes what they open and close, since another model may go on with
                chat chunks.
            fields: the chat chunk that the client shall get; it may differ from `chunk.fields`, as where a continued stream
                keeps its first id. Never has usage, unless `chunk` passes as it is.
            model: the portfolio's name of the model that wrote it.
        """
        ...

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        """The end of a whole answer.

        Args:
            usage: in the form of chat completions, of all models together; None where it is not known.
            model: the one that wrote last.
        """
        ...

    def error(self, error: GatewayError) -> bytes:
        """The end of an answer that broke off. Must not look like a proper one."""
        ...


class Reader(Protocol):
    """Reads one upstream stream of this format. Wraps each event as a `Chunk` with its chat equivalent."""

    def read(self, event: Event) -> Chunk | None:
        """The chunk of an event that has data. `fields` is a chat chunk, with `choices: []` where chat knows nothing of it.

        Without bytes of its own (`raw`) where the client may not get the event as it is. None where it is a sign of life that
        says nothing, such as a ping in a format without any.

        Raises:
            UpstreamFailure: an error inside the stream.
            ValueError: it cannot be read.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether the last event of a proper stream has been read."""
        ...
