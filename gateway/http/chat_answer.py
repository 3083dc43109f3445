"""The answer to one chat request, from the choice of the model to the last call's end."""

from dataclasses import replace

from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.failover import Pursuit
from gateway.answering.open_call import OpenCall
from gateway.api.dialect import Writer
from gateway.http.accounting import RequestLog
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation


class Answering:
    """Chooses a model and asks it and its stand-ins. An async context manager: the end of its block closes the answer.

    Args:
        writer: of a stream.
        books: where all of this is written down; the answer is `books.served`, and its stream `books.stream`.
    """

    def __init__(
        self,
        request: ChatRequest,
        conversation: Conversation,
        writer: Writer,
        request_log: RequestLog,
        service: Service,
    ) -> None:
        self._request = request
        self._conversation = conversation
        self._writer = writer
        self._request_log = request_log
        self._service = service
        self._pursuit: Pursuit | None = None

    async def __aenter__(self) -> OpenCall:
        """The answer: whole, or a stream with its first content at hand.

        Raises:
            GatewayError: there is none.
        """
        request_log, request, conversation = self._request_log, self._request, self._conversation
        request_log.request = request
        routing = request_log.in_force.routing
        settings = request_log.in_force.portfolio.settings
        request_log.decision = decision = await routing.decide(request, conversation)
        if (
            decision.scores is not None and decision.scores.requirements is not request.requirements
        ):  # its tokens have been counted
            request_log.request = request = replace(request, requirements=decision.scores.requirements)
        candidates = routing.candidates(request, decision)
        self._pursuit = pursuit = self._service.failover.pursue(
            request, candidates, settings, request_log.trail, self._writer, conversation.last
        )
        try:
            request_log.served = served = await pursuit.answer()
        except BaseException:
            pursuit.close()
            raise
        if served.relay is not None:
            request_log.stream = ContinuedStream(
                served,
                pursuit,
                settings.stream_recovery,
                request_log.trail,
                prompt_tokens=request.requirements.prompt_tokens,
            )
        return served

    async def __aexit__(self, *exc: object) -> None:
        assert self._pursuit is not None
        self._pursuit.close()
        if (opened := self._request_log.stream or self._request_log.served) is not None:
            await opened.aclose()
