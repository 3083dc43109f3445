"""Failover: ask the deployments of the chosen model, then those of its stand-ins, until somebody answers.

Before the first content byte nothing of this shows to the client. Where a stream breaks after it, `Pursuit.go_on` finds
somebody who continues it. When the same deployment is asked again is decided in `gateway.retry`; tenacity runs the loop.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from gateway.continuation import continuation, ways
from gateway.errors import ProviderRejected
from gateway.fleet import Clock, LiveDeployment
from gateway.portfolio import Settings
from gateway.relay import Relay
from gateway.request import ChatRequest
from gateway.retry import Budget, retry_delay
from gateway.splice import Splice, Way
from gateway.trail import CANCELLED, HEDGED, Attempt, Hop, Trail, exhausted
from gateway.transcript import Transcript
from gateway.upstream.answer import Complete, Usage
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.failures import FOR_CLIENT, QUICK_RETRY, TAKEN_OUT, Cause, UpstreamFailure, unexpected
from gateway.upstream.redact import redacted
from gateway.upstream.sdk import SdkUpstream

AGAIN = 2  # a stream that broke may be continued by the same deployment so often, where there is nobody else


class Served:
    """An answer from some model: `complete`, or `relay` with its first content at hand. The owner closes it.

    Closing ends the call: it frees the deployment's place and tells its breaker how the call went.
    """

    def __init__(self, hop: Hop, live: LiveDeployment, answer: Complete | Relay, clock: Clock, started: float) -> None:
        self.hop = hop
        self.live = live
        self.complete = answer if isinstance(answer, Complete) else None
        self.relay = answer if isinstance(answer, Relay) else None
        self.failure: UpstreamFailure | None = None
        self._clock = clock
        self._started = started
        self._closed = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was called."""
        return self._clock() - self._started

    @property
    def deployment(self) -> str:
        return self.live.spec.id

    @property
    def usage(self) -> Usage | None:
        """As the provider billed it; None where it did not say, or not yet."""
        return self.complete.usage if self.complete is not None else self.relay.usage if self.relay else None

    def broke(self, failure: UpstreamFailure) -> None:
        """The stream failed after its first content."""
        self.failure = failure

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.live.finish()
        if self.failure is not None:
            tell_breaker(self.live, self.failure, self._clock())
        else:
            self.live.breaker.success()
        if self.usage is not None:
            self.live.count_tokens(self.usage.prompt_tokens + self.usage.completion_tokens)
        if self.relay is not None:  # last, since it may be cancelled
            await self.relay.aclose()


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

    def pursue(self, request: ChatRequest, hops: Iterable[Hop], settings: Settings, trail: Trail) -> "Pursuit":
        """The pursuit of an answer to `request`; `hops` is read only as far as needed."""
        return Pursuit(self, request, hops, settings, trail)


class Pursuit:
    """One request on its way through the deployments that may answer it. Each is asked once, with its retries."""

    def __init__(
        self, failover: Failover, request: ChatRequest, hops: Iterable[Hop], settings: Settings, trail: Trail
    ) -> None:
        self._shared = failover
        self._clock = failover.clock
        self._request = request
        self._settings = settings
        self._trail = trail
        self._hops: list[Hop] = []  # as far as they have been read
        self._candidates = self._walk(hops)
        self._too_small = 0  # largest context window that the prompt has already overrun
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
                wait_s = None if self._settings.hedging is None else self._hedge_after(live)
                if wait_s is None:
                    return await self._ask(hop, live, ask, self._trail)
                return await self._hedged(hop, live, ask, wait_s)
            except UpstreamFailure as failure:
                self._judge(failure, hop)
                self._shared.retries.spend()  # whoever is asked next
        if not self._trail.attempts and (last := await self._last_resort()) is not None:
            hop, live = last
            try:
                return await self._ask(hop, live, ask, self._trail)
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
                    return await self._ask(hop, live, ask, self._trail)
                except UpstreamFailure as failure:
                    if failure.cause is Cause.CONTENT_FILTER:
                        raise
                    if way == "prefill" and failure.cause in (Cause.REJECTED, Cause.FIELD_REFUSED, Cause.DIVERGED):
                        live.prefill = ""  # refused, or not heeded: it need not be tried again
                        heeded = failure.cause is not Cause.DIVERGED
                    elif failure.cause is not Cause.DIVERGED:
                        break
        raise UpstreamFailure(Cause.UNREADABLE, detail="nobody can go on with the stream")

    def _walk(self, hops: Iterable[Hop]) -> Iterator[tuple[Hop, LiveDeployment]]:
        for hop in hops:
            self._hops.append(hop)
            if hop.barred:
                continue
            for live in hop.model.order(self._shared.rng):
                if hop.model.spec.context_window <= self._too_small:
                    break
                if live.unavailable() is None:  # meanwhile: the one before it took its time
                    yield hop, live

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
        if failure.cause in FOR_CLIENT:
            raise ProviderRejected(failure.status or 400, failure.error or {}, failure.cause.value) from failure
        if failure.cause is Cause.CONTEXT_LENGTH:
            self._too_small = max(self._too_small, hop.model.spec.context_window)

    async def _last_resort(self) -> tuple[Hop, LiveDeployment] | None:
        """Somebody to ask where nobody was free: the first busy one when it has a place, or one that is cooling down.

        Refusing outright because all are cooling down would turn one bad minute into an outage of our own making.
        """
        lives = [
            (hop, d) for hop in self._hops if not hop.barred for d in hop.model.deployments if not d.needs_operator
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

    def _hedge_after(self, live: LiveDeployment) -> float | None:
        """Seconds after which a stand-in is asked too; None where the deployment's usual time is not known yet."""
        assert self._settings.hedging is not None
        return live.usual_s(self._settings.hedging.quantile, stream=self._request.stream)

    async def _hedged(self, hop: Hop, live: LiveDeployment, ask: _Ask, wait_s: float) -> Served:
        """Asks a second one beside the first if that is slow, and keeps whoever begins first.

        Raises:
            UpstreamFailure: all that were asked failed.
        """
        assert self._settings.hedging is not None
        started = self._clock()
        asked: dict[asyncio.Task[Served], tuple[Hop, LiveDeployment, Trail]] = {}

        def start(hop: Hop, live: LiveDeployment) -> None:
            trail = Trail()
            asked[asyncio.create_task(self._ask(hop, live, ask, trail))] = (hop, live, trail)

        winner: Served | None = None
        failure: UpstreamFailure | None = None
        try:
            start(hop, live)
            done, running = await asyncio.wait(asked, timeout=wait_s)
            if running and self._shared.hedges.take(self._settings.hedging.budget):
                second = next(self._candidates, None)
                if second is not None:
                    self._shared.retries.spend()
                    start(*second)
                    running = set(asked)
            while winner is None and (done or running):
                for task in done:
                    try:
                        winner = task.result()
                        break
                    except UpstreamFailure as exc:
                        failure = exc
                        self._judge(exc, asked[task][0])
                done = set()
                if winner is None and running:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._trail.waited_s += self._clock() - started
            for task, (other, deployment, trail) in asked.items():
                self._trail.attempts += trail.attempts
                self._trail.failures += trail.failures
                if not task.done():
                    elapsed_s = self._clock() - started
                    self._trail.attempts.append(Attempt(other, deployment.spec.id, HEDGED, None, elapsed_s))
            await _end(asked, winner)
        if winner is None:
            assert failure is not None
            raise failure
        return winner

    async def _ask(self, hop: Hop, live: LiveDeployment, ask: _Ask, trail: Trail) -> Served:
        """One deployment, with its retries."""
        refused: set[str] = set()  # optional fields that it refused in this request

        async def pause(seconds: float) -> None:
            trail.waited_s += seconds
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
        relay = None
        try:
            if self._request.stream:
                relay = await self._stream(hop, live, ask, dropped)
                answer: Relay | Complete = relay
            else:
                upstream = self._shared.direct if live.spec.path == "direct" else self._shared.sdk
                answer = await upstream.complete(live.spec, ask.request, dropped)
            live.began(self._clock() - started, stream=self._request.stream)
            return Served(hop, live, answer, self._clock, started)
        except BaseException as exc:
            live.finish()
            now = self._clock()
            if not isinstance(exc, Exception):
                live.breaker.abandon()
                trail.attempts.append(Attempt(hop, live.spec.id, CANCELLED, None, now - started))
                raise
            if isinstance(exc, UpstreamFailure):
                failure = exc
                failure.error = None if exc.error is None else redacted(exc.error, live.spec)
                tell_breaker(live, failure, now)
            else:
                failure = unexpected(exc)
                live.breaker.abandon()
            if failure.field is not None and (failure.field in dropped or not ask.request.has(failure.field)):
                failure = UpstreamFailure(
                    Cause.REJECTED, failure.status, error=failure.error
                )  # it is not the field then
            trail.failures.append(failure)
            trail.attempts.append(
                Attempt(
                    hop, live.spec.id, failure.cause.value, failure.status, now - started, ask.transcript is not None
                )
            )
            if failure.field is not None:
                refused.add(failure.field)
                if ask.request.asks_properly(failure.field):  # else the client's own value may have been at fault
                    live.dropped |= {failure.field}
            if failure is exc:
                raise
            raise failure from exc
        finally:
            trail.waited_s += self._clock() - started

    async def _stream(self, hop: Hop, live: LiveDeployment, ask: _Ask, dropped: frozenset[str]) -> Relay:
        spec = live.spec
        loop = asyncio.get_running_loop()
        if spec.path == "direct":
            deadline = loop.time() + spec.first_token_timeout_s
            source = await self._shared.direct.stream(spec, ask.request, deadline, dropped)
        else:
            await self._shared.sdk.load()
            deadline = loop.time() + spec.first_token_timeout_s
            source = await self._shared.sdk.stream(spec, ask.request, deadline, dropped)
        splice = None if ask.transcript is None else Splice(ask.transcript.pieces, ask.way)
        transcript = ask.transcript or Transcript(ask.request)
        relay = Relay(source, hop.model.name, transcript, spec.idle_timeout_s, splice)
        try:
            await relay.open(deadline)
        except BaseException:
            await relay.aclose()
            raise
        return relay


async def _end(asked: Iterable["asyncio.Task[Served]"], winner: Served | None) -> None:
    """Ends all calls but the winner's; all of them when cancelled oneself meanwhile."""
    tasks = list(asked)
    for task in tasks:
        task.cancel()
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        winner = None
        raise
    finally:
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is None and task.result() is not winner:
                await task.result().aclose()


def tell_breaker(live: LiveDeployment, failure: UpstreamFailure, now: float) -> None:
    """What a failed call says about the deployment."""
    if failure.cause in TAKEN_OUT:
        live.breaker.take_out(now, failure.cause.value)
    elif failure.cause in QUICK_RETRY or failure.cause in (Cause.TIMEOUT, Cause.RATE_LIMITED):
        live.breaker.failure(now, failure.cause.value, failure.retry_after_s)
    else:  # the request was at fault: that says nothing about the deployment
        live.breaker.abandon()
