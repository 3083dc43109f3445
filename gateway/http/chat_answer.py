"""The answer to one chat request: decide -> call one model, or an ensemble. From the choice until the last call has ended."""

from dataclasses import replace

from gateway.answering.call_cap import CallCap
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.failover import Dispatch
from gateway.answering.open_call import OpenCall
from gateway.api.dialect import Writer
from gateway.ensemble.calls import Calls
from gateway.ensemble.ensemble_answer import EnsembleAnswer
from gateway.ensemble.plan import Plan, plan
from gateway.http.accounting import RequestLog
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.request.interpretation import at_cost
from gateway.routing.decision import Decision
from gateway.routing.requested_policy import requested_ensemble


class ChatAnswer:
    """Chooses a model, and calls it or its stand-ins. An async context manager: the end of its block closes the answer.

    Args:
        writer: writes the stream, if the answer is streamed.
        request_log: everything is recorded there; the answer is `request_log.open_call`, and what the client gets is
            `request_log.stream` or `request_log.complete`.
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
        self._ensemble: EnsembleAnswer | None = None
        self._cap: CallCap | None = None

    async def __aenter__(self) -> OpenCall:
        """The answered call: complete, or a stream whose first content has arrived.

        Raises:
            GatewayError: no model answered.
        """
        request_log = self._request_log
        request = await self._decide()
        assert request_log.decision is not None
        ensemble = requested_ensemble(request_log.in_force.portfolio, request, request_log.decision.policy)
        if ensemble is not None:
            planned = plan(ensemble, request_log.decision, request)
            if planned.members and (opened := await self._ask_ensemble(request, planned)) is not None:
                return opened
        return await self._ask_one(request, request_log.decision)

    async def __aexit__(self, *exc: object) -> None:
        if self._dispatch is not None:
            self._dispatch.close()
        if self._ensemble is not None:
            await self._ensemble.aclose()
        if (opened := self._request_log.stream or self._request_log.open_call) is not None:
            await opened.aclose()

    async def _ask_ensemble(self, request: ChatRequest, planned: Plan) -> OpenCall | None:
        """Asks several models; returns None if none of them answered."""
        request_log, routing = self._request_log, self._request_log.in_force.routing
        assert request_log.decision is not None
        self._cap = CallCap(planned.ensemble.max_calls)
        calls = Calls(
            self._service.failover,
            request,
            request_log.in_force.portfolio.settings,
            dict(zip(routing.names, routing.live, strict=True)),
            self._conversation.last_turn,
            request_log.limits.spending,
            self._cap,
            planned.ensemble.max_usd,
            request_log.attempts,
        )
        self._ensemble = ensemble = EnsembleAnswer(planned, calls, self._writer, request_log.decision.price_of)
        request_log.member_calls = calls.made
        try:
            await ensemble.answer()
        except BaseException:
            await ensemble.aclose()
            raise
        request_log.ensemble = ensemble.outcome
        request_log.open_call, request_log.stream = ensemble.opened, ensemble.stream
        request_log.complete = ensemble.complete
        return ensemble.opened

    async def _ask_one(self, request: ChatRequest, decision: Decision) -> OpenCall:
        """Asks the chosen model or its stand-ins, except models that an ensemble has asked already."""
        request_log = self._request_log
        settings = request_log.in_force.portfolio.settings
        candidates = request_log.in_force.routing.candidates(request, decision)
        if self._ensemble is not None:
            asked = self._ensemble.asked
            candidates = (one for one in candidates if one.model.name not in asked)
        self._dispatch = dispatch = self._service.failover.dispatch(
            request,
            candidates,
            settings,
            request_log.attempts,
            self._writer,
            self._conversation.last_turn,
            request_log.limits.spending,
            self._cap,
        )
        try:
            request_log.open_call = open_call = await dispatch.answer()
        except BaseException:
            dispatch.close()
            if self._ensemble is not None:
                await self._ensemble.aclose()
            raise
        request_log.complete = open_call.complete
        if open_call.relay is not None:
            request_log.stream = ContinuedStream(
                open_call,
                dispatch,
                settings.stream_recovery,
                request_log.attempts,
                prompt_tokens=request.requirements.prompt_tokens,
            )
        return open_call

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
