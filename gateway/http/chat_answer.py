"""The answer to one chat request: decide -> call. From the choice of the model until the last call has ended."""

from dataclasses import replace

from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.failover import Dispatch
from gateway.answering.open_call import OpenCall
from gateway.api.dialect import Writer
from gateway.http.accounting import RequestLog
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.request.interpretation import at_cost


class ChatAnswer:
    """Chooses a model, and calls it or its stand-ins. An async context manager: the end of its block closes the answer.

    Args:
        writer: writes the stream, if the answer is streamed.
        request_log: everything is recorded there; the answer is `request_log.open_call`, its stream `request_log.stream`.
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
        self._dispatch: Dispatch | None = None

    async def __aenter__(self) -> OpenCall:
        """The answered call: complete, or a stream whose first content has arrived.

        Raises:
            GatewayError: no model answered.
        """
        request_log, conversation = self._request_log, self._conversation
        settings = request_log.in_force.portfolio.settings
        request = await self._decide()
        assert request_log.decision is not None
        candidates = request_log.in_force.routing.candidates(request, request_log.decision)
        self._dispatch = dispatch = self._service.failover.dispatch(
            request,
            candidates,
            settings,
            request_log.attempts,
            self._writer,
            conversation.last_turn,
            request_log.limits.spending,
        )
        try:
            request_log.open_call = open_call = await dispatch.answer()
        except BaseException:
            dispatch.close()
            raise
        if open_call.relay is not None:
            request_log.stream = ContinuedStream(
                open_call,
                dispatch,
                settings.stream_recovery,
                request_log.attempts,
                prompt_tokens=request.requirements.prompt_tokens,
            )
        return open_call

    async def __aexit__(self, *exc: object) -> None:
        assert self._dispatch is not None
        self._dispatch.close()
        if (opened := self._request_log.stream or self._request_log.open_call) is not None:
            await opened.aclose()

    async def _decide(self) -> ChatRequest:
        """Chooses the model; returns the request, with its tokens counted if the choice needed them."""
        request_log = self._request_log
        request_log.request = request = at_cost(request_log.limits.cost_factor, self._request)
        began = self._service.clock()
        try:
            request_log.decision = decision = await request_log.in_force.routing.decide(request, self._conversation)
        finally:
            request_log.decided = began, self._service.clock()
        request_log.in_force.routing.count_choice(decision)
        if decision.scores is not None and decision.scores.requirements is not request.requirements:
            request_log.request = request = replace(request, requirements=decision.scores.requirements)
        return request
