"""Starts a second call beside a slow one: for speed, if the portfolio enables hedging, and always after a long silence."""

from functools import partial

from gateway.answering.attempts import Attempts
from gateway.answering.call_context import RequestContext
from gateway.answering.call_request import CallRequest
from gateway.answering.hedge import Hedge, Judge
from gateway.answering.open_call import OpenCall
from gateway.answering.retry_loop import RetryLoop
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS
from gateway.deployments.live import LiveDeployment
from gateway.request.request import Request
from gateway.routing.candidate import Candidate

SLOW_TOKENS_PER_S = 20.0  # output speed of a slow model
SLOW_QUANTILE = 0.95  # quantile of a deployment's usual times that is not yet silence


class HedgedCalls:
    """Calls deployments for one request, more than one at a time where the first is slow.

    Args:
        judge: called with every failure; what it raises ends all calls.
    """

    __slots__ = ("_attempts", "_context", "_judge", "_retry_loop")

    def __init__(self, context: RequestContext, retry_loop: RetryLoop, attempts: Attempts, judge: Judge) -> None:
        self._context = context
        self._retry_loop = retry_loop
        self._attempts = attempts
        self._judge = judge

    async def first_answer(self, candidate: Candidate, live: LiveDeployment, call_request: CallRequest) -> OpenCall:
        """Calls one deployment, then the next ones of the call order beside it while none answers.

        Raises:
            UpstreamFailure: all that were called failed.
        """
        context, clock = self._context, self._context.resources.clock
        hedging, stream = context.settings.hedging, context.request.stream
        async with Hedge(
            partial(self._retry_loop.call, call_request=call_request), self._judge, self._attempts, clock
        ) as hedge:
            hedge.start(candidate, live)
            if hedging is not None:
                usual_s = live.usual_time_s(hedging.quantile, stream=stream)
                if usual_s is not None:
                    if (open_call := await hedge.result(usual_s)) is not None:
                        return open_call
                    if context.resources.hedges.take(hedging.budget):
                        self._start_next(hedge)
            wait_s, paused_s = silence_s(context.request, live), 0.0
            while (open_call := await hedge.result(wait_s)) is None:
                if hedge.paused_s > paused_s:  # the call waits for a Retry-After, which is no silence
                    wait_s, paused_s = hedge.paused_s - paused_s, hedge.paused_s
                    continue
                hedge.mark_silent()
                live = self._start_next(hedge) or live
                wait_s, paused_s = silence_s(context.request, live), hedge.paused_s
            return open_call

    def _start_next(self, hedge: Hedge) -> LiveDeployment | None:
        """Calls the next deployment too; None if there is none."""
        following = next(self._context.call_order, None)
        if following is None:
            return None
        self._context.resources.retries.count_extra_call()
        hedge.start(*following)
        return following[1]


def silence_s(request: Request, live: LiveDeployment) -> float:
    """Seconds in which an answer must begin before the next deployment is called too.

    A slow answer looks like none until then, so the slow call is kept. For a stream the limit is the timeout of the first
    token. For a complete answer it is that and the time to write the tokens that were asked for, or twice the deployment's
    usual time.
    """
    if request.stream:
        return live.spec.first_token_timeout_s
    tokens = min(request.requirements.output_tokens or EXPECTED_OUTPUT_TOKENS, EXPECTED_OUTPUT_TOKENS)
    least_s = live.spec.first_token_timeout_s + tokens / SLOW_TOKENS_PER_S
    if 2 * live.longest_time_s(stream=False) <= least_s:  # as nearly always, so the times need not be sorted
        return least_s
    return max(least_s, 2 * (live.usual_time_s(SLOW_QUANTILE, stream=False) or 0.0))
