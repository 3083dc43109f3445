"""One call of one deployment: prepares the request, sends it, and notes the outcome at the deployment and in the attempts."""

import asyncio
from dataclasses import replace

from gateway.answering.adaptation import Changes, change_for, left_out
from gateway.answering.attempts import CANCELLED, Attempt, Attempts, CallStart
from gateway.answering.call_context import RequestContext
from gateway.answering.call_failure import (
    CHANGEABLE,
    PATH_UNKNOWN,
    lacks_path,
    redact_and_digest,
    refusal_of_model,
    update_breaker,
)
from gateway.answering.call_request import CallRequest
from gateway.answering.expected_tokens import expected_tokens
from gateway.answering.open_call import OpenCall
from gateway.answering.prepared_request import call_api, prepared
from gateway.answering.relay import Relay
from gateway.answering.splice import Splice
from gateway.answering.transcript import Transcript
from gateway.api.reasoning import SIGNATURES, is_reasoning_error, without_reasoning
from gateway.bodies.offload import offloaded
from gateway.config.access import Grant
from gateway.config.secret import Secret
from gateway.core.answer import Complete
from gateway.deployments.live import LiveDeployment
from gateway.limits.hold import Hold
from gateway.provider_errors.failures import Cause, UpstreamFailure, unexpected
from gateway.routing.candidate import Candidate

THINKING_TIMEOUTS = (
    12  # longest time without content for a stream that shows signs of life, in `timeout`s: an hour by default
)


class UpstreamCall:
    """A call that is made once.

    Args:
        attempts: gets this call if it fails or is cancelled, and the time that it took.
        changes: what is changed in the request for this deployment; a refused call adds what to change in the next one.
    """

    __slots__ = (
        "_api",
        "_attempts",
        "_call_request",
        "_candidate",
        "_changes",
        "_context",
        "_dropped",
        "_live",
        "_own_s",
        "_start",
    )

    def __init__(
        self,
        context: RequestContext,
        candidate: Candidate,
        live: LiveDeployment,
        call_request: CallRequest,
        attempts: Attempts,
        changes: Changes,
    ) -> None:
        self._context = context
        self._candidate = candidate
        self._live = live
        self._call_request = call_request
        self._attempts = attempts
        self._changes = changes
        self._api = call_api(live, call_request.request)
        self._dropped = live.dropped_fields | changes.names if changes.names else live.dropped_fields
        self._start = CallStart(0.0)
        self._own_s = 0.0  # until the upstream was ready to be called

    async def open(self) -> OpenCall:
        """The answer, complete or as a stream with its first content at hand. Call it once.

        Raises:
            UpstreamFailure: the call failed; the deployment's circuit breaker and the attempts have it already. Or it was not
                made, since a limit of the deployment is reached (`Cause.AT_LIMIT`), or the request has no call left
                (`Cause.BUDGET`).
        """
        context, live, clock = self._context, self._live, self._context.resources.clock
        if context.cap is not None:
            context.cap.take()
        hold = None if (grant := live.limits.grant) is None else await self._take(grant)
        self._start = self._attempts.calling = start = CallStart.at_time(clock(), self._attempts.trace)
        live.start()
        try:
            answer = await self._answer()
            if not context.own:
                live.record_time(clock() - start.at, stream=context.request.stream)
            open_call = OpenCall(self._candidate, live, answer, clock, self._start, hold)
            if self._dropped and self._api == self._call_request.request.api:
                open_call.left_out = left_out(context.request, self._dropped)
            return open_call
        except BaseException as exc:
            if hold is not None:  # a call that is given up may take tokens all the same
                hold.settle(0, 0 if isinstance(exc, UpstreamFailure) else hold.tokens)
            live.finish()
            failure = await self._note(exc)
            if failure is exc:
                raise
            raise failure from exc
        finally:
            self._attempts.calling = None
            self._attempts.waited_s += clock() - start.at - self._own_s
            self._attempts.own_s += self._own_s

    async def _take(self, grant: Grant) -> Hold:
        """Takes what the call needs of the deployment's limits; what may be called later is noted in the call order."""
        context, model = self._context, self._candidate.model.spec
        tokens = expected_tokens(model, self._call_request, context.resources.lengths).likely
        try:
            return await context.resources.limits.take(self._live, grant, tokens)
        except UpstreamFailure:
            if context.cap is not None:
                context.cap.give_back()
            context.call_order.not_called((self._candidate, self._live))
            raise

    async def _answer(self) -> Complete | Relay:
        """Sends the request in the client's own format if possible; in the translated one if the server lacks that path."""
        request, context, live = self._call_request.request, self._context, self._live
        ready = await offloaded(
            len(request.body),
            prepared,
            request,
            self._candidate,
            live,
            context.last,
            self._dropped,
            self._api,
            self._changes.limit,
        )
        if ready is not request:
            self._call_request = replace(self._call_request, request=ready)
        try:
            return await self._send()
        except UpstreamFailure as failure:
            # The server lacks the path, or the model: the translated call shows which.
            if self._api == ready.api or ready.requirements.api is not None or failure.status not in PATH_UNKNOWN:
                raise
            if context.cap is not None:
                if context.cap.left <= 0:
                    raise
                context.cap.take()
            path, self._api = self._api, ready.api
            self._add_attempt(failure.cause.value, failure.status)  # its reason is not redacted yet
            self._start = self._attempts.calling = CallStart.at_time(
                self._context.resources.clock(), self._attempts.trace
            )
            answer = await self._send()
            if await offloaded(len(ready.body), lacks_path, failure, ready):
                live.unknown_apis.note(path)
            return answer

    async def _send(self) -> Complete | Relay:
        spec, resources = self._live.spec, self._context.resources
        if (trace := self._attempts.trace) is not None:
            told = {name: Secret(value) for name, value in trace.headers(self._start.span_id).items()}
            spec = replace(spec, headers={**spec.headers, **told})
        began = resources.clock()
        try:
            upstream = await resources.upstreams.choose(spec, self._api)
        finally:
            self._own_s += resources.clock() - began
        if not self._context.request.stream:
            return await upstream.complete(spec, self._call_request.request, self._dropped, self._api)
        call_request = self._call_request
        # A slow first stream is kept, because another call begins beside it. A slow continuation is given up.
        timeout_s = spec.timeout_s if call_request.transcript is None else spec.first_token_timeout_s
        deadline = asyncio.get_running_loop().time() + timeout_s
        source = await upstream.stream(spec, call_request.request, deadline, self._dropped, self._api)
        assert self._context.writer is not None, "a stream needs its writer"
        relay = Relay(
            source,
            self._candidate.model.name,
            call_request.transcript or Transcript(call_request.request),
            self._context.writer,
            spec.idle_timeout_s,
            THINKING_TIMEOUTS * spec.timeout_s,
            self._context.no_other_deployment,
            None if call_request.transcript is None else Splice(call_request.transcript.pieces, call_request.way),
        )
        try:
            await relay.open(deadline)
        except BaseException:
            await relay.aclose()
            raise
        return relay

    async def _note(self, exc: BaseException) -> UpstreamFailure:
        """Puts the failed call into the attempts, and returns its failure.

        Raises:
            BaseException: `exc` itself if it is no failure but, for example, a cancellation.
        """
        try:
            if not isinstance(exc, Exception):
                raise exc
            failure = await self._classify(exc)
        except BaseException:
            self._live.breaker.abandon()
            self._add_attempt(CANCELLED)
            raise
        self._attempts.failures.append(failure)
        after_content = self._call_request.transcript is not None
        self._add_attempt(failure.cause.value, failure.status, after_content, failure.reason)
        return failure

    def _add_attempt(
        self, cause: str, status: int | None = None, after_content: bool = False, reason: str = ""
    ) -> None:
        elapsed_s = self._context.resources.clock() - self._start.at
        self._attempts.entries.append(
            Attempt(
                self._candidate, self._live.spec.id, cause, status, elapsed_s, after_content, reason, call=self._start
            )
        )

    async def _classify(self, exc: Exception) -> UpstreamFailure:
        """The failure, reported to the circuit breaker; for a refusal, with what is to be changed in the next call."""
        live, request = self._live, self._call_request.request
        if not isinstance(exc, UpstreamFailure):
            live.breaker.abandon()
            return unexpected(exc)
        digest = await offloaded(len(request.body), redact_and_digest, exc, live, request)
        if self._api != request.api and exc.status in PATH_UNKNOWN:
            live.breaker.abandon()  # perhaps the server lacks only this path
        else:
            update_breaker(live, exc, self._context.resources.clock(), digest)
        return await self._refused(exc) if exc.cause in CHANGEABLE else exc

    async def _refused(self, failure: UpstreamFailure) -> UpstreamFailure:
        """A refusal of the request: notes a change with which the deployment may accept it, if one is known."""
        request, size, changes = self._call_request.request, len(self._call_request.request.body), self._changes
        signed = SIGNATURES not in self._dropped and is_reasoning_error(failure.error or {})
        if signed and await offloaded(size, without_reasoning, request) is not None:
            changes.names |= {SIGNATURES}
            return UpstreamFailure(Cause.FIELD_REFUSED, failure.status, field=SIGNATURES)
        if self._api == request.api:
            free = not self._candidate.named
            change = await offloaded(size, change_for, failure, request, self._dropped, free=free)
            if change is not None:
                changes.add(change)
                cause = Cause.FIELD_REFUSED if change.lasting else Cause.VALUE_REFUSED
                return replace(failure, cause=cause, field=change.name)
        return refusal_of_model(failure, self._candidate)
