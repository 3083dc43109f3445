"""Failover: calls the deployments of the chosen model, then those of its stand-ins, until one of them answers.

The story of one request, each step with its module:

1. `Dispatch.answer` takes one deployment after another from the call order (`call_order`).
2. Each is called with its retries (`retry_loop`, by the rules of `retry`). One call prepares the request for the deployment,
   sends it and notes the outcome (`upstream_call`). A deployment that is slow gets a second one beside it (`hedged_calls`).
3. A failure is judged: the client gets the provider's refusal, or the next deployment is called.
4. If none is left, those that were skipped as busy or cooling down are called as a last resort.
5. If all failed, `attempts.all_failed` makes the client's error.

Before the first content byte the client sees none of this. A stream that breaks after it is continued by another deployment:
`Dispatch.continue_stream` finds that deployment, and `continued_stream` is the stream that the client reads.
"""

from collections.abc import Iterable, Iterator

from gateway.answering.attempts import Attempts, all_failed, stated_window
from gateway.answering.call_cap import CallCap
from gateway.answering.call_context import RequestContext, Resources
from gateway.answering.call_failure import CHANGEABLE
from gateway.answering.call_order import CallOrder, Target
from gateway.answering.call_request import CallRequest
from gateway.answering.continuation import continuation, ways
from gateway.answering.hedged_calls import HedgedCalls
from gateway.answering.open_call import OpenCall
from gateway.answering.place_wait import PlaceWait
from gateway.answering.retry_loop import RetryLoop
from gateway.answering.spending import Spending
from gateway.answering.transcript import Transcript
from gateway.api.dialect import Writer
from gateway.bodies.offload import offloaded
from gateway.config.settings import Settings
from gateway.core.errors import ProviderRejected
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import NO_FAILOVER, NOT_CALLED, Cause, UpstreamFailure
from gateway.request.conversation import Turn
from gateway.request.request import Request
from gateway.routing.candidate import Candidate

MAX_UNSUPPORTED = 10  # models that are called although each before said that it cannot serve the request
MAX_SELF_CONTINUATIONS = 2  # times that a deployment may continue its own broken stream if no other is left

_NO_PREFILL = CHANGEABLE | {Cause.DIVERGED}


class Failover(Resources):
    """Answers requests by the deployments of a portfolio."""

    def dispatch(
        self,
        request: Request,
        candidates: Iterable[Candidate],
        settings: Settings,
        attempts: Attempts,
        writer: Writer | None,
        last: Turn | None = None,
        spending: Spending | None = None,
        cap: CallCap | None = None,
    ) -> "Dispatch":
        """The dispatch of one request; nothing is called yet.

        Args:
            candidates: the models that may answer, the best first; read only as far as needed.
            attempts: gets every call that fails.
            writer: writes a stream in the client's format; None for a request that is not streamed.
            last: the conversation's last answer; None if it is not known.
            spending: what the request may spend; None if nothing limits it.
            cap: the calls that are left to the request; None if only the retry rules limit them.
        """
        call_order = CallOrder(request, candidates, self.clock, self.rng)
        attempts.skipped = call_order.skipped
        context = RequestContext(self, request, settings, call_order, writer, last, spending, cap=cap)
        return Dispatch(context, attempts)


class Dispatch:
    """One request on its way through the deployments that may answer it. Each is called once, with its retries."""

    def __init__(self, context: RequestContext, attempts: Attempts) -> None:
        self._context = context
        self._resources = context.resources
        self._call_order = context.call_order
        self._attempts = attempts
        self._retry_loop = RetryLoop(context)
        self._unsupported = 0  # models that could not serve the request
        self._self_continuations = 0

    async def answer(self) -> OpenCall:
        """The first answer of a deployment.

        Raises:
            ProviderRejected: a provider says that the request itself is at fault.
            UpstreamsFailed: no deployment answered.
        """
        self._resources.retries.count_request()
        self._resources.hedges.count_request()
        call_request = CallRequest(self._context.request)
        hedged_calls = HedgedCalls(self._context, self._retry_loop, self._attempts, self._judge)
        for candidate, live in self._call_order:
            try:
                return await hedged_calls.first_answer(candidate, live, call_request)
            except UpstreamFailure as failure:  # judged already
                if failure.cause not in NOT_CALLED:
                    self._resources.retries.count_extra_call()  # for the next deployment, if there is one
        return await self._last_resort(call_request)

    async def continue_stream(self, transcript: Transcript, broken: OpenCall) -> OpenCall:
        """A stream that continues what the client has: by a deployment not called yet, at last by the one that broke.

        Raises:
            UpstreamFailure: no model can.
        """
        for candidate, live in self._continuing(broken):
            prefill_refused, continues = False, True
            for way in ways(live, transcript.text):
                if way == "fresh" and not continues:
                    continue  # the deployment has just begun a fresh answer, and it was another one
                size = len(self._context.request.body)
                request = await offloaded(size, continuation, self._context.request, transcript, way, live.prefill)
                self._resources.retries.count_extra_call()
                try:
                    open_call = await self._call(candidate, live, CallRequest(request, transcript, way))
                except UpstreamFailure as failure:
                    if failure.cause is Cause.CONTENT_FILTER:
                        raise
                    if way == "prefill" and failure.cause in _NO_PREFILL:
                        prefill_refused = True
                        continues = failure.cause is not Cause.DIVERGED
                    elif failure.cause is not Cause.DIVERGED:
                        break
                else:
                    if prefill_refused:  # or ignored, and another way succeeds: prefill need not be tried again
                        live.no_prefill.note("prefill")
                    return open_call
        raise UpstreamFailure(Cause.UNREADABLE, detail="no other model could continue it")

    def close(self) -> None:
        """Frees the candidates that were not needed; call it when the request ends."""
        self._call_order.close()

    async def _call(self, candidate: Candidate, live: LiveDeployment, call_request: CallRequest) -> OpenCall:
        return await self._retry_loop.call(candidate, live, self._attempts, call_request)

    async def _last_resort(self, call_request: CallRequest) -> OpenCall:
        """The first answer of a deployment that was skipped as busy, cooling down or taken out of service.

        Raises:
            ProviderRejected, UpstreamsFailed: as `answer`.
        """
        wait = PlaceWait(self._context.settings, self._resources.clock)
        while skipped := self._call_order.last_resort():
            candidate, live = skipped[0]
            self._call_order.give(skipped[0])
            if live.limits.busy and not await wait.place(live, self._attempts):
                continue
            try:
                return await self._call(candidate, live, call_request)
            except UpstreamFailure as failure:
                self._judge(failure, candidate)
            finally:
                live.limits.pass_turn()  # perhaps no call was made: the client left, or a limit refused it
        raise all_failed(self._attempts, self._call_order.candidates)

    def _continuing(self, broken: OpenCall) -> Iterator[Target]:
        """The deployments that may continue a broken stream."""
        while (
            call := next(self._call_order, None)
        ) is not None:  # `yield from` would close the order with this generator
            yield call
        assert broken.failure is not None
        silent = broken.failure.cause is Cause.TIMEOUT  # and would be silent again
        if not silent and self._self_continuations < MAX_SELF_CONTINUATIONS and broken.live.unavailable() is None:
            self._self_continuations += 1
            yield broken.candidate, broken.live

    def _judge(self, failure: UpstreamFailure, candidate: Candidate) -> None:
        """Decides what a failure means for the rest of the dispatch.

        Raises:
            ProviderRejected: the request is at fault, so that no other deployment is called.
            UpstreamsFailed: too many models cannot serve the request.
        """
        if failure.cause in NO_FAILOVER or (failure.cause is Cause.UNSUPPORTED and candidate.named):
            raise ProviderRejected(failure.status or 400, failure.error or {}, failure.cause.value) from failure
        if failure.cause is Cause.CONTEXT_LENGTH:
            self._call_order.overran(candidate, stated_window(failure.client_message))
        elif failure.cause is Cause.UNSUPPORTED:
            self._unsupported += 1
            if self._unsupported >= MAX_UNSUPPORTED:
                raise all_failed(self._attempts, self._call_order.candidates) from failure
