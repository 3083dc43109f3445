"""The answer to one chat request, from the choice of the model to the last call's end."""

from dataclasses import replace

from gateway.books import Books
from gateway.dialects.dialect import Writer
from gateway.failover import Pursuit
from gateway.recovery import RecoveredStream
from gateway.request import ChatRequest
from gateway.served import Served
from gateway.service import Service
from gateway.session import Conversation


class Answering:
    """Chooses a model and asks it and its stand-ins. An async context manager: the end of its block closes the answer.

    Args:
        writer: of a stream.
        books: where all of this is written down; the answer is `books.served`, and its stream `books.stream`.
    """

    def __init__(
        self, request: ChatRequest, conversation: Conversation, writer: Writer, books: Books, service: Service
    ) -> None:
        self._request = request
        self._conversation = conversation
        self._writer = writer
        self._books = books
        self._service = service
        self._pursuit: Pursuit | None = None

    async def __aenter__(self) -> Served:
        """The answer: whole, or a stream with its first content at hand.

        Raises:
            GatewayError: there is none.
        """
        books, request, conversation = self._books, self._request, self._conversation
        books.request = request
        routing = books.in_force.routing
        settings = books.in_force.portfolio.settings
        books.decision = decision = await routing.decide(request, conversation)
        if decision.scores is not None and decision.scores.need is not request.need:  # its tokens have been counted
            books.request = request = replace(request, need=decision.scores.need)
        hops = routing.hops(request, decision)
        self._pursuit = pursuit = self._service.failover.pursue(
            request, hops, settings, books.trail, self._writer, conversation.last
        )
        try:
            books.served = served = await pursuit.answer()
        except BaseException:
            pursuit.close()
            raise
        if served.relay is not None:
            books.stream = RecoveredStream(
                served, pursuit, settings.stream_recovery, books.trail, prompt_tokens=request.need.prompt_tokens
            )
        return served

    async def __aexit__(self, *exc: object) -> None:
        assert self._pursuit is not None
        self._pursuit.close()
        if (opened := self._books.stream or self._books.served) is not None:
            await opened.aclose()
