"""Failover: ask the deployments of the chosen model, then those of its stand-ins, until one of them answers.

Before the first content byte nothing of this shows to the client. Where a stream breaks after it, `Pursuit.go_on` finds a
deployment that continues it. When the same deployment is asked again is decided in `gateway.retry` (tenacity runs the loop),
how it is asked then in `gateway.adaptation`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from gateway.adaptation import Changes, adapted, change_for, left_out
from gateway.candidates import Candidates
from gateway.continuation import continuation, ways
from gateway.dialects.dialect import Writer
from gateway.dialects.signatures import SIGNATURES, is_signature_error, unsigned
from gateway.errors import ProviderRejected
from gateway.fleet import Clock, LiveDeployment
from gateway.need import Api
from gateway.output_limit import is_doubtful, limited
from gateway.portfolio import Settings
from gateway.race import Race
from gateway.relay import Relay
from gateway.request import ChatRequest
from gateway.retry import ASKED_OTHERWISE, WAITING, Budget, retry_delay
from gateway.served import Served, digest, tell_breaker
from gateway.session import Turn
from gateway.splice import Splice, Way
from gateway.tokens import counted
from gateway.trail import CANCELLED, Attempt, Hop, Trail, exhausted
from gateway.transcript import Transcript
from gateway.upstream.answer import Complete
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.failures import FOR_CLIENT, TAKEN_OUT, Cause, UpstreamFailure, unexpected, without_echo
from gateway.upstream.redact import redact
from gateway.upstream.sdk import SdkUpstream

USUAL_TOKENS = 400  # of an answer, where the client sets no lower limit
SLOW_TOKENS_S = 20.0  # a slow model writes so many tokens a second
SLOW = 0.95  # quantile of a deployment's usual times that is still no silence
THINKING = 12  # times `timeout`, at most: a stream without content that shows life; an hour by default
MOST_UNSUPPORTED = 10  # models that are asked although each says that it cannot take the request
NO_PATH = (404, 405, 410, 501)  # statuses of a server that may lack the path of an API
AGAIN = 2  # a stream that broke may be continued by the same deployment so often, where there is nobody else

log = logging.getLogger("locus.failover")

REFUSING = TAKEN_OUT | {Cause.REFUSED}
SHARED = TAKEN_OUT | {Cause.FIELD_REFUSED}  # change what the requests of all clients meet
CHANGEABLE = frozenset({Cause.FIELD_REFUSED, Cause.VALUE_REFUSED, Cause.UNSUPPORTED, Cause.REJECTED})
_NO_PREFILL = CHANGEABLE | {Cause.DIVERGED}


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a deployment is asked for: the client's request, or to go on with what it has of the answer."""

    request: ChatRequest
    transcript: Transcript | None = None
    way: Way = "fresh"


class Failover:
    """Asks upstreams in turn. Holds what all requests share: the clients, the budgets, time and chance.

    Args:
        direct, sdk: the two upstream paths.
        clock, sleep, rng: time and chance, injected for tests.
    """

    def __init__(
        self,
        direct: DirectUpstream,
        sdk: SdkUpstream,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.direct = direct
        self.sdk = sdk
        self.clock = clock
        self.sleep = sleep
        self.rng = rng or random.Random()
        self.retries = Budget(clock)
        self.hedges = Budget(clock, reserve=1)

    def pursue(
        self,
        request: ChatRequest,
        hops: Iterable[Hop],
        settings: Settings,
        trail: Trail,
        writer: Writer,
        last: Turn | None = None,
    ) -> "Pursuit":
        """The pursuit of an answer.

        Args:
            hops: read only as far as needed.
            writer: of a stream.
            last: the conversation's last answer; None where it is not known.
        """
        return Pursuit(self, request, hops, settings, trail, writer, last)


class Pursuit:
    """One request on its way through the deployments that may answer it. Each is asked once, with its retries."""

    def __init__(
        self,
        failover: Failover,
        request: ChatRequest,
        hops: Iterable[Hop],
        settings: Settings,
        trail: Trail,
        writer: Writer,
        last: Turn | None,
    ) -> None:
        self._shared = failover
        self._clock = failover.clock
        self._request = request
        self._need = request.need  # with the prompt's tokens counted, once that mattered
        self._settings = settings
        self._trail = trail
        self._writer = writer
        self._last = last
        self._candidates = Candidates(request, hops, failover.clock, failover.rng)
        self._unsupported = 0  # models that could not take the request
        self._again = 0  # times that a deployment was asked to go on with its own broken stream

    async def answer(self) -> Served:
        """The first answer that somebody gives.

        Raises:
            ProviderRejected: a provider says that the request itself is at fault.
            UpstreamsFailed: nobody answered.
        """
        self._shared.retries.request()
        self._shared.hedges.request()
        ask = _Ask(self._request)
        for hop, live in self._candidates:
            try:
                return await self._raced(hop, live, ask)
            except UpstreamFailure as failure:
                self._judge(failure, hop)
                self._shared.retries.spend()  # whoever is asked next
        waited = False
        while rest := self._candidates.last_resort():
            hop, live = rest[0]
            self._candidates.give(rest[0])
            if live.busy:  # only the first is waited for
                if waited or not await self._place(live):
                    waited = True
                    continue
                waited = True
            try:
                return await self._ask(hop, live, self._trail, ask)
            except UpstreamFailure as failure:
                self._judge(failure, hop)
        raise exhausted(self._trail, self._candidates.hops)

    async def go_on(self, transcript: Transcript, broke: Served) -> Served:
        """A stream that continues what the client has: by those not asked yet, at last by the one that broke.

        Raises:
            UpstreamFailure: nobody can.
        """
        for hop, live in self._continuing(broke):
            heeded, refused = True, False
            for way in ways(live, transcript.text):
                if way == "fresh" and not heeded:
                    continue  # it has just been seen
                request = continuation(self._request, transcript, way, live.prefill)
                ask = _Ask(request, transcript, way)
                self._shared.retries.spend()
                try:
                    served = await self._ask(hop, live, self._trail, ask)
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
                    return served
        raise UpstreamFailure(Cause.UNREADABLE, detail="nobody can go on with the stream")

    def alone(self) -> bool:
        """Is there no other deployment left that could go on with the stream?"""
        return not self._candidates.more()

    def close(self) -> None:
        """Lets go of the candidates that were not needed: suspended, they would hold the request until the garbage collector."""
        self._candidates.close()

    def _continuing(self, broke: Served) -> Iterator[tuple[Hop, LiveDeployment]]:
        while (candidate := next(self._candidates, None)) is not None:  # `yield from` would close them with this
            yield candidate
        assert broke.failure is not None
        silent = broke.failure.cause is Cause.TIMEOUT  # and would be again
        if not silent and self._again < AGAIN and broke.live.unavailable() is None:
            self._again += 1
            yield broke.hop, broke.live

    def _judge(self, failure: UpstreamFailure, hop: Hop) -> None:
        """What a failure means for the rest of the pursuit."""
        if failure.cause in FOR_CLIENT or (failure.cause is Cause.UNSUPPORTED and hop.named):
            raise ProviderRejected(failure.status or 400, failure.error or {}, failure.cause.value) from failure
        if failure.cause is Cause.CONTEXT_LENGTH:
            self._candidates.overran(hop)
        elif failure.cause is Cause.UNSUPPORTED:
            self._unsupported += 1
            if self._unsupported >= MOST_UNSUPPORTED:
                raise exhausted(self._trail, self._candidates.hops) from failure

    async def _place(self, live: LiveDeployment) -> bool:
        """Waits for a call of a busy deployment to end."""
        load = self._settings.load
        started = self._clock()
        try:
            return await live.place(load.queue_s, load.max_queued)
        finally:
            self._trail.waited_s += self._clock() - started

    async def _raced(self, hop: Hop, live: LiveDeployment, ask: _Ask) -> Served:
        """Asks the next ones beside the first where that is slow, and keeps whoever answers first.

        Raises:
            UpstreamFailure: all that were asked failed.
        """
        hedging = self._settings.hedging
        async with Race(partial(self._ask, ask=ask), self._judge, self._trail, self._clock) as race:
            race.start(hop, live)
            if hedging is not None:
                usual_s = live.usual_s(hedging.quantile, stream=self._request.stream)
                if usual_s is not None:
                    if (served := await race.result(usual_s)) is not None:
                        return served
                    if self._shared.hedges.take(hedging.budget):
                        self._join(race)
            wait_s, paused_s = self._silence_s(live), 0.0
            while (served := await race.result(wait_s)) is None:
                if race.paused_s > paused_s:  # it keeps to a Retry-After, which is no silence
                    wait_s, paused_s = race.paused_s - paused_s, race.paused_s
                    continue
                race.silent()
                live = self._join(race) or live
                wait_s, paused_s = self._silence_s(live), race.paused_s
            return served

    def _join(self, race: Race) -> LiveDeployment | None:
        """The next candidate joins the race; None where there is none."""
        following = next(self._candidates, None)
        if following is None:
            return None
        self._shared.retries.spend()
        race.start(*following)
        return following[1]

    def _silence_s(self, live: LiveDeployment) -> float:
        """How long an answer may take to begin before somebody else is asked too.

        Until then nobody can tell a slow answer from none. So the slow one is not given up: for a stream the limit is the first
        token's, for a whole answer that and the time to write what was asked for, or twice what the deployment usually takes.
        """
        if self._request.stream:
            return live.spec.first_token_timeout_s
        tokens = min(self._request.need.output_tokens or USUAL_TOKENS, USUAL_TOKENS)
        usual_s = live.usual_s(SLOW, stream=False) or 0.0
        return max(live.spec.first_token_timeout_s + tokens / SLOW_TOKENS_S, 2 * usual_s)

    async def _ask(self, hop: Hop, live: LiveDeployment, trail: Trail, ask: _Ask) -> Served:
        """One deployment, with its retries."""
        if ask.request.need.output_tokens is not None:
            ask = await self._limited(ask, hop)
        changes = Changes()

        async def pause(seconds: float) -> None:
            trail.waited_s += seconds
            trail.paused_s += seconds
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
            return await self._call(hop, live, ask, trail, changes)
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
                served = await self._call(hop, live, ask, trail, changes)
                for name in changes.lasting:  # proved: it was refused with them, and answers without
                    if name not in live.dropped:
                        log.warning("%s is asked without `%s` from now on, which it refused", live.spec.id, name)
                    live.unknown_fields.note(name)
                return served
        raise AssertionError("tenacity re-raises the last failure")

    async def _limited(self, ask: _Ask, hop: Hop) -> _Ask:
        """With a limit of the answer's length for which the model has room."""
        model = hop.model.spec
        if is_doubtful(self._need, model):
            self._need = await counted(self._need)
        need = self._need
        if ask.transcript is not None:
            need = replace(need, prompt_tokens=need.prompt_tokens + ask.transcript.contents)
        request = limited(ask.request, need, model)
        return ask if request is ask.request else replace(ask, request=request)

    def _retry_after(self, failure: UpstreamFailure, tries: int) -> float | None:
        """`retry_delay` within the budget of all requests."""
        alone = failure.cause in WAITING and not self._candidates.left()
        seconds = retry_delay(failure, tries, self._settings.retry, self._shared.rng, alone=alone)
        if (
            seconds is None
            or failure.cause in ASKED_OTHERWISE
            or self._shared.retries.take(self._settings.retry.budget)
        ):
            return seconds
        return None

    async def _call(self, hop: Hop, live: LiveDeployment, ask: _Ask, trail: Trail, changes: Changes) -> Served:
        started = self._clock()
        live.start()
        dropped = live.dropped
        if changes.names:
            dropped |= changes.names
        api = self._api(live, ask.request)
        request = self._readable(hop, live, ask.request, dropped, api)
        if dropped and api == "chat":
            request = adapted(request, dropped, changes.limit)
        if request is not ask.request:
            ask = replace(ask, request=request)
        try:
            try:
                answer = await self._reach(hop, live, ask, dropped, api)
            except UpstreamFailure as unknown:
                # A server that does not know the path, or not the model: chat will show which.
                if api == "chat" or request.need.api is not None or unknown.status not in NO_PATH:
                    raise
                path, api = api, "chat"
                answer = await self._reach(hop, live, ask, dropped, api)
                if without_echo(unknown, _as_written(request)) is unknown:  # else it has named a thing of this request
                    live.unknown_apis.note(path)
            live.began(self._clock() - started, stream=self._request.stream)
            served = Served(hop, live, answer, self._clock, started)
            if dropped and api == "chat":
                served.left_out = left_out(self._request, dropped)
            return served
        except BaseException as exc:
            live.finish()
            elapsed_s = self._clock() - started
            if not isinstance(exc, Exception):
                live.breaker.abandon()
                trail.attempts.append(Attempt(hop, live.spec.id, CANCELLED, None, elapsed_s))
                raise
            failure = self._failed(exc, hop, live, request, dropped, api, changes)
            trail.failures.append(failure)
            late = ask.transcript is not None
            cause, status, reason = failure.cause.value, failure.status, failure.reason
            trail.attempts.append(Attempt(hop, live.spec.id, cause, status, elapsed_s, late, reason))
            if failure is exc:
                raise
            raise failure from exc
        finally:
            trail.waited_s += self._clock() - started

    def _api(self, live: LiveDeployment, request: ChatRequest) -> Api:
        """The client's own format where the deployment speaks it, else chat."""
        native = request.native
        return "chat" if native is None or native.api not in live.apis else native.api

    def _readable(
        self, hop: Hop, live: LiveDeployment, request: ChatRequest, dropped: frozenset[str], api: Api
    ) -> ChatRequest:
        """The request without reasoning that this deployment would not accept.

        That is what another model thought, and signatures that a translation to chat has carried along for those who know it.
        """
        last = self._last
        if (last is not None and last.model != hop.model.name) or SIGNATURES in dropped:
            return unsigned(request) or request
        if api == "chat" and request.native is not None and live.spec.path == "direct":
            request = unsigned(request, text=False) or request
        if last is not None and last.mixed:
            return unsigned(request, finished=True) or request
        return request

    async def _reach(
        self, hop: Hop, live: LiveDeployment, ask: _Ask, dropped: frozenset[str], api: Api
    ) -> Relay | Complete:
        spec = live.spec
        if self._request.stream:
            return await self._stream(hop, live, ask, dropped, api)
        if spec.path == "direct" or api != "chat":
            return await self._shared.direct.complete(spec, ask.request, dropped, api)
        return await self._shared.sdk.complete(spec, ask.request, dropped)

    def _failed(
        self,
        exc: Exception,
        hop: Hop,
        live: LiveDeployment,
        request: ChatRequest,
        dropped: frozenset[str],
        api: Api,
        changes: Changes,
    ) -> UpstreamFailure:
        """What went wrong with a call, and what is changed in the next one where that may help."""
        if not isinstance(exc, UpstreamFailure):
            live.breaker.abandon()
            return unexpected(exc)
        failure = exc
        if failure.cause in SHARED:  # a client must not put these words into the provider's mouth
            own = without_echo(failure, _as_written(request))
            failure.cause, failure.field = own.cause, own.field
        if api != "chat" and failure.status in NO_PATH:
            live.breaker.abandon()  # perhaps only this path is unknown
        else:
            tell_breaker(live, failure, self._clock(), digest(request) if failure.cause in REFUSING else b"")
        redact(failure, live.spec, request.fields)
        if failure.cause not in CHANGEABLE:
            return failure
        if SIGNATURES not in dropped and is_signature_error(failure.error or {}) and unsigned(request) is not None:
            changes.names |= {SIGNATURES}
            return UpstreamFailure(Cause.FIELD_REFUSED, failure.status, field=SIGNATURES)
        change = change_for(failure, request, dropped, free=not hop.named) if api == "chat" else None
        if change is not None:
            changes.add(change)
            cause = Cause.FIELD_REFUSED if change.lasting else Cause.VALUE_REFUSED
            return replace(failure, cause=cause, field=change.name)
        # What a stand-in refuses in words that are not known may be its own rule, since the client has not chosen it.
        of_model = failure.status in (400, 422) if hop.stand_in else failure.cause is not Cause.REJECTED
        unsupported = failure.cause is Cause.UNSUPPORTED or (of_model and not hop.named)
        cause = Cause.UNSUPPORTED if unsupported else Cause.REJECTED
        return failure if cause is failure.cause else replace(failure, cause=cause)

    async def _stream(self, hop: Hop, live: LiveDeployment, ask: _Ask, dropped: frozenset[str], api: Api) -> Relay:
        spec = live.spec
        loop = asyncio.get_running_loop()
        # One that begins a stream is not given up for being slow: the next one joins it. To go on with one, it is.
        patience_s = spec.timeout_s if ask.transcript is None else spec.first_token_timeout_s
        if spec.path == "direct" or api != "chat":
            deadline = loop.time() + patience_s
            source = await self._shared.direct.stream(spec, ask.request, deadline, dropped, api)
        else:
            await self._shared.sdk.load()
            deadline = loop.time() + patience_s
            source = await self._shared.sdk.stream(spec, ask.request, deadline, dropped)
        splice = None if ask.transcript is None else Splice(ask.transcript.pieces, ask.way)
        transcript = ask.transcript or Transcript(ask.request)
        relay = Relay(
            source,
            hop.model.name,
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


def _as_written(request: ChatRequest) -> dict[str, Any]:
    """The fields as the client wrote them."""
    return request.fields if request.native is None else request.native.fields
