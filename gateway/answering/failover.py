"""Failover: ask the deployments of the chosen model, then those of its stand-ins, until one of them answers.

Before the first content byte a client sees none of this. Where a stream breaks after it, `Dispatch.continue_stream` finds
a deployment that continues it. `gateway.answering.calling` asks one deployment, again where that helps.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from gateway.answering.attempts import Attempts, all_failed
from gateway.answering.call_order import CallOrder
from gateway.answering.calling import CHANGEABLE, Ask, Caller, Shared
from gateway.answering.continuation import continuation, ways
from gateway.answering.hedge import Hedge
from gateway.answering.open_call import OpenCall
from gateway.answering.transcript import Transcript
from gateway.api.dialect import Writer
from gateway.bodies.offload import offloaded
from gateway.config.portfolio import Settings
from gateway.core.errors import ProviderRejected
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import FOR_CLIENT, Cause, UpstreamFailure
from gateway.request.conversation import Turn
from gateway.request.request import Request
from gateway.routing.candidate import Candidate

USUAL_TOKENS = 400  # of an answer, where the client sets no lower limit
SLOW_TOKENS_S = 20.0  # a slow model writes so many tokens a second
SLOW = 0.95  # quantile of a deployment's usual times that is still no silence
MOST_UNSUPPORTED = 10  # models that are asked although each says that it cannot take the request
AGAIN = 2  # a stream that broke may be continued by the same deployment so often, where there is no other

_NO_PREFILL = CHANGEABLE | {Cause.DIVERGED}


class Failover(Shared):
    """Asks upstreams in turn."""

    def dispatch(
        self,
        request: Request,
        candidates: Iterable[Candidate],
        settings: Settings,
        attempts: Attempts,
        writer: Writer | None,
        last: Turn | None = None,
    ) -> "Dispatch":
        """The dispatch of one request.

        Args:
            candidates: read only as far as needed.
            writer: of a stream; None for a request that is not streamed.
            last: the conversation's last answer; None where it is not known.
        """
        return Dispatch(self, request, candidates, settings, attempts, writer, last)


class Dispatch:
    """One request on its way through the deployments that may answer it. Each is asked once, with its retries."""

    def __init__(
        self,
        failover: Failover,
        request: Request,
        candidates: Iterable[Candidate],
        settings: Settings,
        attempts: Attempts,
        writer: Writer | None,
        last: Turn | None,
    ) -> None:
        self._shared = failover
        self._clock = failover.clock
        self._request = request
        self._settings = settings
        self._attempts = attempts
        self._call_order = CallOrder(request, candidates, failover.clock, failover.rng)
        self._caller = Caller(failover, request, settings, self._call_order, writer, last)
        self._unsupported = 0  # models that could not take the request
        self._again = 0  # times that a deployment was asked to continue its own broken stream

    async def answer(self) -> OpenCall:
        """The first answer that a deployment gives.

        Raises:
            ProviderRejected: a provider says that the request itself is at fault.
            UpstreamsFailed: no deployment answered.
        """
        self._shared.retries.request()
        self._shared.hedges.request()
        ask = Ask(self._request)
        for candidate, live in self._call_order:
            try:
                return await self._hedged(candidate, live, ask)
            except UpstreamFailure:  # the hedge has judged it, by the model that failed
                self._shared.retries.spend()  # whichever is asked next
        waited = False
        while rest := self._call_order.last_resort():
            candidate, live = rest[0]
            self._call_order.give(rest[0])
            if live.busy:  # only the first is waited for
                if waited or not await self._place(live):
                    waited = True
                    continue
                waited = True
            try:
                return await self._caller.ask(candidate, live, self._attempts, ask)
            except UpstreamFailure as failure:
                self._judge(failure, candidate)
        raise all_failed(self._attempts, self._call_order.candidates)

    async def continue_stream(self, transcript: Transcript, broke: OpenCall) -> OpenCall:
        """A stream that continues what the client has: by those not asked yet, at last by the one that broke.

        Raises:
            UpstreamFailure: no model can.
        """
        for candidate, live in self._continuing(broke):
            heeded, refused = True, False
            for way in ways(live, transcript.text):
                if way == "fresh" and not heeded:
                    continue  # it has just been seen
                size = len(self._request.body)
                request = await offloaded(size, continuation, self._request, transcript, way, live.prefill)
                ask = Ask(request, transcript, way)
                self._shared.retries.spend()
                try:
                    open_call = await self._caller.ask(candidate, live, self._attempts, ask)
                except UpstreamFailure as failure:
                    if failure.cause is Cause.CONTENT_FILTER:
                        raise
                    if way == "prefill" and failure.cause in _NO_PREFILL:
                        refused = True
                        heeded = failure.cause is not Cause.DIVERGED
                    elif failure.cause is not Cause.DIVERGED:
                        break
                else:
                    if refused:  # or not heeded, and another way leads on: that one need not be tried again
                        live.no_prefill.note("prefill")
                    return open_call
        raise UpstreamFailure(Cause.UNREADABLE, detail="no other model could continue it")

    def close(self) -> None:
        """Lets go of the candidates that were not needed: suspended, they would hold the request until the garbage collector."""
        self._call_order.close()

    def _continuing(self, broke: OpenCall) -> Iterator[tuple[Candidate, LiveDeployment]]:
        while (call := next(self._call_order, None)) is not None:  # `yield from` would close them with this
            yield call
        assert broke.failure is not None
        silent = broke.failure.cause is Cause.TIMEOUT  # and would be again
        if not silent and self._again < AGAIN and broke.live.unavailable() is None:
            self._again += 1
            yield broke.candidate, broke.live

    def _judge(self, failure: UpstreamFailure, candidate: Candidate) -> None:
        """What a failure means for the rest of the dispatch."""
        if failure.cause in FOR_CLIENT or (failure.cause is Cause.UNSUPPORTED and candidate.named):
            raise ProviderRejected(failure.status or 400, failure.error or {}, failure.cause.value) from failure
        if failure.cause is Cause.CONTEXT_LENGTH:
            self._call_order.overran(candidate)
        elif failure.cause is Cause.UNSUPPORTED:
            self._unsupported += 1
            if self._unsupported >= MOST_UNSUPPORTED:
                raise all_failed(self._attempts, self._call_order.candidates) from failure

    async def _place(self, live: LiveDeployment) -> bool:
        """Waits for a call of a busy deployment to end."""
        load = self._settings.load
        started = self._clock()
        try:
            return await live.place(load.queue_s, load.max_queued)
        finally:
            self._attempts.waited_s += self._clock() - started

    async def _hedged(self, candidate: Candidate, live: LiveDeployment, ask: Ask) -> OpenCall:
        """Asks the next ones beside the first where that is slow, and keeps the one that answers first.

        Raises:
            UpstreamFailure: all that were asked failed.
        """
        hedging = self._settings.hedging
        async with Hedge(partial(self._caller.ask, ask=ask), self._judge, self._attempts, self._clock) as hedge:
            hedge.start(candidate, live)
            if hedging is not None:
                usual_s = live.usual_s(hedging.quantile, stream=self._request.stream)
                if usual_s is not None:
                    if (open_call := await hedge.result(usual_s)) is not None:
                        return open_call
                    if self._shared.hedges.take(hedging.budget):
                        self._join(hedge)
            wait_s, paused_s = self._silence_s(live), 0.0
            while (open_call := await hedge.result(wait_s)) is None:
                if hedge.paused_s > paused_s:  # it keeps to a Retry-After, which is no silence
                    wait_s, paused_s = hedge.paused_s - paused_s, hedge.paused_s
                    continue
                hedge.silent()
                live = self._join(hedge) or live
                wait_s, paused_s = self._silence_s(live), hedge.paused_s
            return open_call

    def _join(self, hedge: Hedge) -> LiveDeployment | None:
        """The next candidate joins the hedge; None where there is none."""
        following = next(self._call_order, None)
        if following is None:
            return None
        self._shared.retries.spend()
        hedge.start(*following)
        return following[1]

    def _silence_s(self, live: LiveDeployment) -> float:
        """How long an answer may take to begin before the next deployment is asked too.

        Until then a slow answer looks like none. So the slow one is not given up: for a stream the limit is the first
        token's, for a whole answer that and the time to write what was asked for, or twice what the deployment usually takes.
        """
        if self._request.stream:
            return live.spec.first_token_timeout_s
        tokens = min(self._request.requirements.output_tokens or USUAL_TOKENS, USUAL_TOKENS)
        usual_s = live.usual_s(SLOW, stream=False) or 0.0
        return max(live.spec.first_token_timeout_s + tokens / SLOW_TOKENS_S, 2 * usual_s)
