"""Calls one deployment, and again where `gateway.answering.retry` says that this may help. Tenacity drives the loop.

Tenacity is set up only for a second call. For a call that succeeds at once it would cost 17 µs of CPU time more (for an empty
coroutine: 17.3 µs instead of 0.14), a third of what all of failover takes for such a request. For a call that fails and is not
retried it would cost 75 µs more (232 µs instead of 157 with the next deployment's answer), in an outage, when load is highest.
One function, `_seconds`, decides every delay.
"""

import logging
from dataclasses import replace
from math import inf

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from gateway.answering.adaptation import Changes
from gateway.answering.attempts import Attempt, Attempts
from gateway.answering.call_context import RequestContext
from gateway.answering.call_request import CallRequest
from gateway.answering.open_call import OpenCall
from gateway.answering.retry import SENT_CHANGED, WAITING, retry_delay
from gateway.answering.upstream_call import UpstreamCall
from gateway.bodies.offload import offloaded
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import UpstreamFailure
from gateway.request.output_limit import needs_exact_prompt_tokens, with_fitting_output_limit
from gateway.request.prompt_length import with_exact_prompt_tokens
from gateway.routing.candidate import Candidate

log = logging.getLogger("locus.failover")

_RETRY = retry_if_exception_type(UpstreamFailure)


class RetryLoop:
    """Calls deployments for one request, each with its retries."""

    __slots__ = ("_context", "_requirements")

    def __init__(self, context: RequestContext) -> None:
        self._context = context
        self._requirements = context.request.requirements  # with the prompt's tokens counted, once a limit is doubtful

    async def call(
        self, candidate: Candidate, live: LiveDeployment, attempts: Attempts, call_request: CallRequest
    ) -> OpenCall:
        """The deployment's answer.

        Args:
            attempts: gets the failed calls, and the time that passed.

        Raises:
            UpstreamFailure: of the last call; or a limit of the key or team refused it.
        """
        spending = self._context.spending
        if spending is None:
            return await self._call(candidate, live, attempts, call_request)
        refused_before = spending.refusal is not None
        try:
            reservation = await spending.reserve(candidate.model.spec, live.spec, call_request)
        except UpstreamFailure as failure:
            if not refused_before:
                after_content = call_request.transcript is not None
                cause, reason = failure.cause.value, failure.reason
                attempts.entries.append(Attempt(candidate, live.spec.id, cause, None, 0.0, after_content, reason))
            attempts.refusal = spending.refusal
            raise
        try:
            return await self._call(candidate, live, attempts, call_request)
        except UpstreamFailure:  # if it is cancelled, the provider may bill it
            spending.release(reservation)
            raise

    async def _call(
        self, candidate: Candidate, live: LiveDeployment, attempts: Attempts, call_request: CallRequest
    ) -> OpenCall:
        if call_request.request.requirements.output_tokens is not None:
            call_request = await self._with_output_limit(call_request, candidate)
        changes = Changes()

        async def pause(seconds: float) -> None:
            attempts.waited_s += seconds
            attempts.paused_s += seconds
            await self._context.resources.sleep(seconds)

        try:
            return await UpstreamCall(self._context, candidate, live, call_request, attempts, changes).open()
        except UpstreamFailure as failure:
            if (seconds := self._seconds(failure, 1)) == inf:
                raise
        await pause(seconds)
        async for attempt in AsyncRetrying(retry=_RETRY, wait=self._wait, stop=_no_delay, sleep=pause, reraise=True):
            with attempt:
                open_call = await UpstreamCall(self._context, candidate, live, call_request, attempts, changes).open()
                _learn(live, changes)
                return open_call
        raise AssertionError("tenacity raises the last failure")

    def _wait(self, state: RetryCallState) -> float:
        """The delay after a failed attempt of tenacity, whose first attempt is the second call."""
        failure = state.outcome.exception() if state.outcome else None
        assert isinstance(failure, UpstreamFailure)
        return self._seconds(failure, state.attempt_number + 1)

    def _seconds(self, failure: UpstreamFailure, calls: int) -> float:
        """Seconds until the same deployment is called again after its `calls`-th call failed; infinite for no further call.

        Takes the call from the budget of all requests.
        """
        context, settings = self._context, self._context.settings
        if context.cap is not None and context.cap.left <= 0:
            return inf
        alone = failure.cause in WAITING and not context.call_order.left()
        seconds = retry_delay(failure, calls, settings, context.resources.rng, alone=alone)
        if seconds is None:
            return inf
        free = failure.cause in SENT_CHANGED
        return seconds if free or context.resources.retries.take(settings.retry_budget) else inf

    async def _with_output_limit(self, call_request: CallRequest, candidate: Candidate) -> CallRequest:
        """The request with a limit of the answer's length that fits into the model's context window."""
        model = candidate.model.spec
        size = len(call_request.request.body)
        if await offloaded(size, needs_exact_prompt_tokens, self._requirements, model):
            self._requirements = await with_exact_prompt_tokens(self._requirements)
        requirements = self._requirements
        if call_request.transcript is not None:
            tokens = requirements.prompt_tokens + call_request.transcript.contents
            requirements = replace(requirements, prompt_tokens=tokens)
        request = await offloaded(size, with_fitting_output_limit, call_request.request, requirements, model)
        return call_request if request is call_request.request else replace(call_request, request=request)


def _no_delay(state: RetryCallState) -> bool:
    """Stops the loop. Tenacity computes the wait before it asks whether to stop."""
    return state.upcoming_sleep == inf


def _learn(live: LiveDeployment, changes: Changes) -> None:
    """Notes what the deployment refuses, which is now certain: it refused a request with it, and answers without it."""
    for name in changes.lasting:
        if name not in live.dropped_fields:
            log.warning("%s is called without `%s` from now on, which it refused", live.spec.id, name)
        live.unknown_fields.note(name)
