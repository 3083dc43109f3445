"""Failover: ask the deployments of the chosen model, then those of its stand-ins, until somebody answers.

Before the first content byte nothing of this shows to the client. Where a stream breaks after it, `Pursuit.go_on` finds
somebody who continues it. When the same deployment is asked again is decided in `gateway.retry`; tenacity runs the loop.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

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
from gateway.retry import Budget, retry_delay
from gateway.served import Served, tell_breaker
from gateway.session import Turn
from gateway.splice import Splice, Way
from gateway.tokens import counted
from gateway.trail import CANCELLED, Attempt, Hop, Trail, exhausted
from gateway.transcript import Transcript
from gateway.upstream.answer import Complete
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.failures import FOR_CLIENT, Cause, UpstreamFailure, unexpected
from gateway.upstream.redact import redact
from gateway.upstream.sdk import SdkUpstream

USUAL_TOKENS = 400  # of an answer, where the client sets no lower limit
SLOW_TOKENS_S = 20.0  # a slow model writes so many tokens a second
SLOW = 0.95  # quantile of a deployment's usual times that is still no silence
THINKING = (
    12  # times `timeout` at most may a stream be without content while it shows that it is alive: an hour by default
)
AGAIN = 2  # a stream that broke may be continued by the same deployment so often, where there is nobody else


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
        self._hops: list[Hop] = []  # as far as they have been read
        self._candidates = self._walk(hops)
        self._too_small = 0  # largest context window that the prompt has already overrun
        self._following: tuple[Hop, LiveDeployment] | None = None  # the next candidate, once somebody has looked for it
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
        if (last := await self._last_resort()) is not None:
            hop, live = last
            try:
                return await self._ask(hop, live, self._trail, ask)
            except UpstreamFailure as failure:
                self._judge(failure, hop)
        raise exhausted(self._trail, self._hops)

    async def go_on(self, transcript: Transcript, broke: Served) -> Served:
        """A stream that continues what the client has: by those not asked yet, at last by the one that broke.

        Raises:
            UpstreamFailure: nobody can.
        """
        for hop, live in self._continuing(broke):
            heeded = True
            for way in ways(live, transcript.text):
                if way == "fresh" and not heeded:
                    continue  # it has just been seen
                request = continuation(self._request, transcript, way, live.prefill)
                ask = _Ask(request, transcript, way)
                self._shared.retries.spend()
                try:
                    return await self._ask(hop, live, self._trail, ask)
                except UpstreamFailure as failure:
                    if failure.cause is Cause.CONTENT_FILTER:
                        raise
                    if way == "prefill" and failure.cause in (Cause.REJECTED, Cause.FIELD_REFUSED, Cause.DIVERGED):
                        live.prefill = ""  # refused, or not heeded: it need not be tried again
                        heeded = failure.cause is not Cause.DIVERGED
                    elif failure.cause is not Cause.DIVERGED:
                        break
        raise UpstreamFailure(Cause.UNREADABLE, detail="nobody can go on with the stream")

    def alone(self) -> bool:
        """Is there no other deployment left that could go on with the stream?"""
        if self._following is None:
            self._following = next(self._candidates, None)
        return self._following is None

    def close(self) -> None:
        """Lets go of the candidates that were not needed: suspended, they would hold the request until the garbage collector."""
        self._candidates.close()

    def _walk(self, hops: Iterable[Hop]) -> Generator[tuple[Hop, LiveDeployment], None, None]:
        for hop in hops:
            self._hops.append(hop)
            if hop.barred:
                continue
            for live in hop.model.order(self._shared.rng):
                if hop.model.spec.context_window <= self._too_small:
                    break
                # It was available when the hop began, but the one before it took its time.
                if live.unavailable() is None and live.serves(self._request.need, named=hop.named):
                    yield hop, live

    def _continuing(self, broke: Served) -> Iterator[tuple[Hop, LiveDeployment]]:
        if self._following is not None:
            following, self._following = self._following, None
            yield following
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
            self._too_small = max(self._too_small, hop.model.spec.context_window)

    async def _last_resort(self) -> tuple[Hop, LiveDeployment] | None:
        """Somebody to ask where nobody else is left: the first busy one when it has a place, or one that is cooling down.

        Refusing outright because all are cooling down would turn one bad minute into an outage of our own making.
        """
        asked = {attempt.deployment for attempt in self._trail.attempts}
        lives = [
            (hop, live)
            for hop in self._hops
            if not hop.barred and hop.model.spec.context_window > self._too_small
            for live in hop.model.deployments
            if not live.needs_operator
            and live.spec.id not in asked
            and live.serves(self._request.need, named=hop.named)
        ]
        load = self._settings.load
        for hop, live in lives:
            if live.busy and live.breaker.available(self._clock()):
                started = self._clock()
                try:
                    if await live.place(load.queue_s, load.max_queued):
                        return hop, live
                finally:
                    self._trail.waited_s += self._clock() - started
                break
        return next(((hop, live) for hop, live in lives if not live.limited), None)

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
        refused: set[str] = set()  # optional fields that it refused in this request

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
            return await self._call(hop, live, ask, trail, refused)
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
                return await self._call(hop, live, ask, trail, refused)
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
        seconds = retry_delay(failure, tries, self._settings.retry, self._shared.rng)
        if (
            seconds is None
            or failure.cause is Cause.FIELD_REFUSED
            or self._shared.retries.take(self._settings.retry.budget)
        ):
            return seconds
        return None

    async def _call(self, hop: Hop, live: LiveDeployment, ask: _Ask, trail: Trail, refused: set[str]) -> Served:
        started = self._clock()
        live.start()
        dropped = live.dropped | refused
        api = self._api(live, ask.request)
        request = self._readable(hop, live, ask.request, dropped, api)
        if request is not ask.request:
            ask = replace(ask, request=request)
        try:
            try:
                answer = await self._reach(hop, live, ask, dropped, api)
            except UpstreamFailure as unknown:
                if api == "chat" or unknown.status not in (404, 405, 410):
                    raise
                live.apis -= {api}  # a server that does not know the path, or not the model: chat will show which
                if request.need.api is not None:
                    raise UpstreamFailure(Cause.UNREADABLE, unknown.status, detail=f"no {api} API") from unknown
                api = "chat"
                answer = await self._reach(hop, live, ask, dropped, api)
            live.began(self._clock() - started, stream=self._request.stream)
            return Served(hop, live, answer, self._clock, started)
        except BaseException as exc:
            live.finish()
            elapsed_s = self._clock() - started
            if not isinstance(exc, Exception):
                live.breaker.abandon()
                trail.attempts.append(Attempt(hop, live.spec.id, CANCELLED, None, elapsed_s))
                raise
            failure = self._failed(exc, live, request, dropped, api)
            if failure.field is not None and failure.cause is Cause.FIELD_REFUSED:
                refused.add(failure.field)
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
        self, exc: Exception, live: LiveDeployment, request: ChatRequest, dropped: frozenset[str], api: Api
    ) -> UpstreamFailure:
        """What went wrong with a call, as its deployment shall remember it and the client may hear of it."""
        if not isinstance(exc, UpstreamFailure):
            live.breaker.abandon()
            return unexpected(exc)
        tell_breaker(live, exc, self._clock())
        redact(exc, live.spec, request.fields)
        field = exc.field
        if field is None or exc.cause is not Cause.FIELD_REFUSED:
            if exc.cause is Cause.REJECTED and SIGNATURES not in dropped and is_signature_error(exc.error or {}):
                again = unsigned(request) is not None
                return UpstreamFailure(Cause.FIELD_REFUSED, exc.status, field=SIGNATURES) if again else exc
            return exc
        if api != "chat" or field in dropped or not request.has(field):  # it is not the field then
            return UpstreamFailure(Cause.REJECTED, exc.status, error=exc.error, reason=exc.reason)
        if request.asks_properly(field):  # else the client's own value may have been at fault
            live.dropped |= {field}
        return exc

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
