"""One deployment is asked, and again where that helps: when is decided in `gateway.answering.retry`, in what other way in
`gateway.answering.adaptation`; tenacity runs the loop. What a failed call says about the deployment is noted here.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from gateway.answering.adaptation import Changes, adapted, change_for, left_out
from gateway.answering.attempts import CANCELLED, Attempt, Attempts
from gateway.answering.call_order import CallOrder
from gateway.answering.open_call import OpenCall, digest, tell_breaker
from gateway.answering.relay import Relay
from gateway.answering.retry import ASKED_OTHERWISE, WAITING, Budget, retry_delay
from gateway.answering.splice import Splice, Way
from gateway.answering.transcript import Transcript
from gateway.api.dialect import Writer
from gateway.api.signatures import SIGNATURES, is_signature_error, unsigned
from gateway.bodies.offload import offloaded
from gateway.config.portfolio import Settings
from gateway.core.answer import Complete
from gateway.core.vocabulary import Api, Clock
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import TAKEN_OUT, Cause, UpstreamFailure, unexpected, without_echo
from gateway.request.conversation import Turn
from gateway.request.output_limit import is_doubtful, limited
from gateway.request.prompt_length import counted
from gateway.request.request import Request
from gateway.routing.candidate import Candidate
from gateway.upstream.redact import redact
from gateway.upstream.upstreams import Upstreams

log = logging.getLogger("locus.failover")

THINKING = 12  # times `timeout`, at most: a stream without content that shows life; an hour by default
NO_PATH = (404, 405, 410, 501)  # statuses of a server that may lack the path of an API
REFUSING = TAKEN_OUT | {Cause.REFUSED}
SHARED = TAKEN_OUT | {Cause.FIELD_REFUSED}  # change what the requests of all clients meet
CHANGEABLE = frozenset({Cause.FIELD_REFUSED, Cause.VALUE_REFUSED, Cause.UNSUPPORTED, Cause.REJECTED})
# What a request may name, and a provider no longer have.
_NAMED_THING = re.compile(
    r"\b(?:files?|images?|documents?|items?|responses?|containers?|skills?|threads?|conversations?|uploads?|vector|prompt)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a deployment is asked for: the client's request, or to go on with what it has of the answer."""

    request: Request
    transcript: Transcript | None = None
    way: Way = "fresh"


class Shared:
    """What all requests share: the clients, the budgets, time and chance.

    Args:
        upstreams: the clients of all providers.
        clock, sleep, rng: time and chance, injected for tests.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.upstreams = upstreams
        self.clock = clock
        self.sleep = sleep
        self.rng = rng or random.Random()
        self.retries = Budget(clock)
        self.hedges = Budget(clock, reserve=1)


class Caller:
    """Asks deployments for one request.

    Args:
        candidates: those that may be asked; where none is left, a failing one is waited for.
        writer: of a stream; None for a request that is not streamed.
        last: the conversation's last answer; None where it is not known.
    """

    def __init__(
        self,
        shared: Shared,
        request: Request,
        settings: Settings,
        call_order: CallOrder,
        writer: Writer | None,
        last: Turn | None,
    ) -> None:
        self._shared = shared
        self._clock = shared.clock
        self._request = request
        self._requirements = request.requirements  # with the prompt's tokens counted, once that mattered
        self._settings = settings
        self._call_order = call_order
        self._writer = writer
        self._last = last

    def alone(self) -> bool:
        """Whether no other deployment is left that could continue the stream."""
        return not self._call_order.more()

    async def ask(self, candidate: Candidate, live: LiveDeployment, attempts: Attempts, ask: Ask) -> OpenCall:
        """One deployment, with its retries."""
        if ask.request.requirements.output_tokens is not None:
            ask = await self._limited(ask, candidate)
        changes = Changes()

        async def pause(seconds: float) -> None:
            attempts.waited_s += seconds
            attempts.paused_s += seconds
            await self._shared.sleep(seconds)

        delays: dict[int, float | None] = {}

        def delay(state: RetryCallState) -> float | None:
            failure = state.outcome.exception() if state.outcome else None
            assert isinstance(failure, UpstreamFailure)
            if state.attempt_number not in delays:  # asked twice, for whether and for when
                delays[state.attempt_number] = self._retry_after(failure, 1 + state.attempt_number)
            return delays[state.attempt_number]

        # Most first tries succeed, and setting up the loop would cost each of them a tenth of the gateway's time.
        try:
            return await self._call(candidate, live, ask, attempts, changes)
        except UpstreamFailure as failure:
            seconds = self._retry_after(failure, 1)
            if seconds is None:
                raise
            await pause(seconds)
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(lambda exc: isinstance(exc, UpstreamFailure)),
            stop=lambda state: delay(state) is None,
            wait=lambda state: delay(state) or 0.0,
            sleep=pause,
            reraise=True,
        ):
            with attempt:
                open_call = await self._call(candidate, live, ask, attempts, changes)
                for name in changes.lasting:  # proved: it was refused with them, and answers without
                    if name not in live.dropped:
                        log.warning("%s is asked without `%s` from now on, which it refused", live.spec.id, name)
                    live.unknown_fields.note(name)
                return open_call
        raise AssertionError("tenacity re-raises the last failure")

    async def _limited(self, ask: Ask, candidate: Candidate) -> Ask:
        """With a limit of the answer's length for which the model has room."""
        model = candidate.model.spec
        size = len(ask.request.body)
        if await offloaded(size, is_doubtful, self._requirements, model):
            self._requirements = await counted(self._requirements)
        requirements = self._requirements
        if ask.transcript is not None:
            requirements = replace(requirements, prompt_tokens=requirements.prompt_tokens + ask.transcript.contents)
        request = await offloaded(size, limited, ask.request, requirements, model)
        return ask if request is ask.request else replace(ask, request=request)

    def _retry_after(self, failure: UpstreamFailure, tries: int) -> float | None:
        """`retry_delay` within the budget of all requests."""
        alone = failure.cause in WAITING and not self._call_order.left()
        seconds = retry_delay(failure, tries, self._settings.retry, self._shared.rng, alone=alone)
        if (
            seconds is None
            or failure.cause in ASKED_OTHERWISE
            or self._shared.retries.take(self._settings.retry.budget)
        ):
            return seconds
        return None

    async def _call(
        self, candidate: Candidate, live: LiveDeployment, ask: Ask, attempts: Attempts, changes: Changes
    ) -> OpenCall:
        started = self._clock()
        live.start()
        dropped = live.dropped
        if changes.names:
            dropped |= changes.names
        api = self._api(live, ask.request)
        request = ask.request
        try:
            request = await offloaded(
                len(request.body), self._prepared, candidate, live, request, dropped, api, changes
            )
            if request is not ask.request:
                ask = replace(ask, request=request)
            try:
                answer = await self._reach(candidate, live, ask, dropped, api)
            except UpstreamFailure as unknown:
                # A server that does not know the path, or not the model: chat will show which.
                if api == request.api or request.requirements.api is not None or unknown.status not in NO_PATH:
                    raise
                path, api = api, request.api
                answer = await self._reach(candidate, live, ask, dropped, api)
                if await offloaded(len(request.body), _lacks_path, unknown, request):
                    live.unknown_apis.note(path)
            live.began(self._clock() - started, stream=self._request.stream)
            open_call = OpenCall(candidate, live, answer, self._clock, started)
            if dropped and api == request.api:
                open_call.left_out = left_out(self._request, dropped)
            return open_call
        except BaseException as exc:
            live.finish()
            elapsed_s = self._clock() - started
            try:
                if not isinstance(exc, Exception):
                    raise
                failure = await self._failed(exc, candidate, live, request, dropped, api, changes)
            except BaseException:
                live.breaker.abandon()
                attempts.entries.append(Attempt(candidate, live.spec.id, CANCELLED, None, elapsed_s))
                raise
            attempts.failures.append(failure)
            late = ask.transcript is not None
            cause, status, reason = failure.cause.value, failure.status, failure.reason
            attempts.entries.append(Attempt(candidate, live.spec.id, cause, status, elapsed_s, late, reason))
            if failure is exc:
                raise
            raise failure from exc
        finally:
            attempts.waited_s += self._clock() - started

    def _api(self, live: LiveDeployment, request: Request) -> Api:
        """The client's own format where the deployment speaks it, else the format of the translated request."""
        native = request.native
        return request.api if native is None or native.api not in live.apis else native.api

    def _prepared(
        self,
        candidate: Candidate,
        live: LiveDeployment,
        request: Request,
        dropped: frozenset[str],
        api: Api,
        changes: Changes,
    ) -> Request:
        """The request as this deployment takes it. Runs in a thread where the request is large."""
        request = self._readable(candidate, live, request, dropped, api)
        return adapted(request, dropped, changes.limit) if dropped and api == request.api else request

    def _readable(
        self, candidate: Candidate, live: LiveDeployment, request: Request, dropped: frozenset[str], api: Api
    ) -> Request:
        """The request without reasoning that this deployment would not accept.

        That is what another model thought, and signatures that a translation to chat has carried along for those who know it.
        """
        last = self._last
        if (last is not None and last.model != candidate.model.name) or SIGNATURES in dropped:
            return unsigned(request) or request
        if api == "chat" and request.native is not None and live.spec.path == "direct":
            request = unsigned(request, text=False) or request
        if last is not None and last.mixed:
            return unsigned(request, finished=True) or request
        return request

    async def _reach(
        self, candidate: Candidate, live: LiveDeployment, ask: Ask, dropped: frozenset[str], api: Api
    ) -> Relay | Complete:
        spec = live.spec
        if self._request.stream:
            return await self._stream(candidate, live, ask, dropped, api)
        upstream = await self._shared.upstreams.choose(spec, api)
        return await upstream.complete(spec, ask.request, dropped, api)

    async def _failed(
        self,
        exc: Exception,
        candidate: Candidate,
        live: LiveDeployment,
        request: Request,
        dropped: frozenset[str],
        api: Api,
        changes: Changes,
    ) -> UpstreamFailure:
        """What went wrong with a call, and what is changed in the next one where that may help."""
        if not isinstance(exc, UpstreamFailure):
            live.breaker.abandon()
            return unexpected(exc)
        failure, size = exc, len(request.body)
        which = await offloaded(size, _examined, failure, live, request)
        if api != request.api and failure.status in NO_PATH:
            live.breaker.abandon()  # perhaps only this path is unknown
        else:
            tell_breaker(live, failure, self._clock(), which)
        if failure.cause not in CHANGEABLE:
            return failure
        signed = SIGNATURES not in dropped and is_signature_error(failure.error or {})
        if signed and await offloaded(size, unsigned, request) is not None:
            changes.names |= {SIGNATURES}
            return UpstreamFailure(Cause.FIELD_REFUSED, failure.status, field=SIGNATURES)
        change = None
        if api == request.api:
            change = await offloaded(size, change_for, failure, request, dropped, free=not candidate.named)
        if change is not None:
            changes.add(change)
            cause = Cause.FIELD_REFUSED if change.lasting else Cause.VALUE_REFUSED
            return replace(failure, cause=cause, field=change.name)
        # What a stand-in refuses in words that are not known may be its own rule, since the client has not chosen it.
        of_model = failure.status in (400, 422) if candidate.stand_in else failure.cause is not Cause.REJECTED
        unsupported = failure.cause is Cause.UNSUPPORTED or (of_model and not candidate.named)
        cause = Cause.UNSUPPORTED if unsupported else Cause.REJECTED
        return failure if cause is failure.cause else replace(failure, cause=cause)

    async def _stream(
        self, candidate: Candidate, live: LiveDeployment, ask: Ask, dropped: frozenset[str], api: Api
    ) -> Relay:
        spec = live.spec
        loop = asyncio.get_running_loop()
        # One that begins a stream is not given up for being slow: the next one joins it. To go on with one, it is.
        patience_s = spec.timeout_s if ask.transcript is None else spec.first_token_timeout_s
        upstream = await self._shared.upstreams.choose(spec, api)
        deadline = loop.time() + patience_s
        source = await upstream.stream(spec, ask.request, deadline, dropped, api)
        splice = None if ask.transcript is None else Splice(ask.transcript.pieces, ask.way)
        transcript = ask.transcript or Transcript(ask.request)
        assert self._writer is not None, "a stream needs its writer"
        relay = Relay(
            source,
            candidate.model.name,
            transcript,
            self._writer,
            spec.idle_timeout_s,
            THINKING * spec.timeout_s,
            self.alone,
            splice,
        )
        try:
            await relay.open(deadline)
        except BaseException:
            await relay.aclose()
            raise
        return relay


def _examined(failure: UpstreamFailure, live: LiveDeployment, request: Request) -> bytes:
    """Takes the request's own words and the deployment's secrets out of a failure.

    Returns:
        the request's digest, where the failure may take the deployment out.
    """
    if failure.cause in SHARED:  # a client must not put these words into the provider's mouth
        own = without_echo(failure, _as_written(request))
        failure.cause, failure.field, failure.error = own.cause, own.field, own.error
    redact(failure, live.spec, request.fields)
    return digest(request) if failure.cause in REFUSING else b""


def _lacks_path(failure: UpstreamFailure, request: Request) -> bool:
    """Whether a server says that it does not have the path or the model, rather than a thing that this request names."""
    if failure.cause is not Cause.NOT_FOUND and _NAMED_THING.search(failure.reason):
        return False
    return without_echo(failure, _as_written(request)) is failure


def _as_written(request: Request) -> dict[str, Any]:
    """The fields as the client wrote them."""
    return request.fields if request.native is None else request.native.fields
