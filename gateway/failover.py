"""Failover: try the deployments of the chosen model, then those of its stand-ins, until somebody answers.

Before the first content byte nothing of this shows to the client. What is tried again, how often and after how long
is decided by the pure function `retry_delay`; tenacity runs the loop.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from gateway.errors import GatewayError, ProviderRejected, UpstreamsFailed
from gateway.fleet import Clock, LiveDeployment, LiveModel
from gateway.portfolio import RetrySettings
from gateway.relay import Relay
from gateway.request import ChatRequest
from gateway.upstream.answer import Complete, Usage
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.failures import FOR_CLIENT, QUICK_RETRY, TAKEN_OUT, Cause, UpstreamFailure, unexpected
from gateway.upstream.sdk import SdkUpstream

QUICK_RETRY_S = 0.1  # the one retry after a server error comes within this, with full jitter
BACKOFF_S = 0.5  # first backoff after a 429 without Retry-After; doubles, full jitter
MAX_TRIES = 4  # on one deployment, for whatever mix of reasons


@dataclass(frozen=True, slots=True)
class Hop:
    """A model to ask. A stand-in has a distance and a predicted loss against the chosen model, which itself has neither.

    Attributes:
        distance: embedding distance to the chosen model.
        predicted_loss: p_correct of the chosen model minus that of this one, for this query.
    """

    model: LiveModel
    distance: float | None = None
    predicted_loss: float | None = None

    @property
    def stand_in(self) -> bool:
        return self.distance is not None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that failed, for the record."""

    model: str
    deployment: str
    cause: str
    status: int | None
    elapsed_s: float


@dataclass(slots=True)
class Trail:
    """What happened on the way to an answer."""

    attempts: list[Attempt] = field(default_factory=list)
    failures: list[UpstreamFailure] = field(default_factory=list)
    waited_s: float = 0.0  # on upstreams and between retries: everything that is not the gateway's own time


class Served:
    """An answer from some model: `complete`, or `relay` with its first content at hand. The owner closes it.

    Closing ends the call: it frees the deployment's place and tells its breaker how the call went.
    """

    def __init__(self, hop: Hop, live: LiveDeployment, answer: Complete | Relay, clock: Clock) -> None:
        self.hop = hop
        self.deployment = live.spec.id
        self.complete = answer if isinstance(answer, Complete) else None
        self.relay = answer if isinstance(answer, Relay) else None
        self._live = live
        self._clock = clock
        self._failure: UpstreamFailure | None = None

    @property
    def usage(self) -> Usage | None:
        return self.complete.usage if self.complete is not None else self.relay.usage if self.relay else None

    def broke(self, failure: UpstreamFailure) -> None:
        """The stream failed after its first content."""
        self._failure = failure

    async def aclose(self) -> None:
        self._live.finish()
        if self._failure is not None:
            _tell_breaker(self._live, self._failure, self._clock())
        else:
            self._live.breaker.success()
        if self.usage is not None:
            self._live.count_tokens(self.usage.prompt_tokens + self.usage.completion_tokens)
        if self.relay is not None:  # last, since it may be cancelled
            await self.relay.aclose()


class Failover:
    """Asks upstreams in turn.

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
        self._direct = direct
        self._sdk = sdk
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()

    async def answer(self, request: ChatRequest, hops: Iterable[Hop], settings: RetrySettings, trail: Trail) -> Served:
        """The first answer that somebody gives; `hops` is read only as far as needed.

        Raises:
            ProviderRejected: a provider says that the request itself is at fault.
            UpstreamsFailed: nobody answered.
        """
        too_small = 0  # largest context window that the prompt has already overrun
        first: Hop | None = None
        for hop in hops:
            first = first or hop
            if hop.model.spec.context_window <= too_small:
                continue
            for live in hop.model.order(self._rng):
                if live.unavailable() is not None:  # meanwhile: the one before it took its time
                    continue
                try:
                    return await self._ask(request, hop, live, settings, trail)
                except UpstreamFailure as failure:
                    if failure.cause in FOR_CLIENT:
                        raise ProviderRejected(failure.status or 400, failure.error or {}) from failure
                    if failure.cause is Cause.CONTEXT_LENGTH:
                        too_small = hop.model.spec.context_window
                        break
        if not trail.attempts and first is not None:
            # Everybody is cooling down. Refusing outright would turn one bad minute into an outage of our own making.
            for live in first.model.deployments:
                if not live.needs_operator:
                    try:
                        return await self._ask(request, first, live, settings, trail)
                    except UpstreamFailure as failure:
                        if failure.cause in FOR_CLIENT:
                            raise ProviderRejected(failure.status or 400, failure.error or {}) from failure
        raise exhausted(trail)

    async def _ask(
        self, request: ChatRequest, hop: Hop, live: LiveDeployment, settings: RetrySettings, trail: Trail
    ) -> Served:
        """One deployment, with its retries."""
        refused: set[str] = set()  # optional fields that it refused in this request

        def delay(state: RetryCallState) -> float | None:
            failure = state.outcome.exception() if state.outcome else None
            assert isinstance(failure, UpstreamFailure)
            return retry_delay(failure, 1 + state.attempt_number, settings, self._rng)

        async def pause(seconds: float) -> None:
            trail.waited_s += seconds
            await self._sleep(seconds)

        # Most first tries succeed, and setting up the loop would cost each of them a tenth of the gateway's time.
        try:
            return await self._call(request, hop, live, trail, refused)
        except UpstreamFailure as failure:
            seconds = retry_delay(failure, 1, settings, self._rng)
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
                return await self._call(request, hop, live, trail, refused)
        raise AssertionError("tenacity re-raises the last failure")

    async def _call(
        self, request: ChatRequest, hop: Hop, live: LiveDeployment, trail: Trail, refused: set[str]
    ) -> Served:
        upstream = self._direct if live.spec.path == "direct" else self._sdk
        started = self._clock()
        live.start()
        dropped = live.dropped | refused
        relay = None
        try:
            if request.stream:
                source = await upstream.stream(live.spec, request, dropped)
                relay = Relay(source, hop.model.name, usage_asked=request.usage_asked, choices=request.choices)
                await relay.open()
                return Served(hop, live, relay, self._clock)
            return Served(hop, live, await upstream.complete(live.spec, request, dropped), self._clock)
        except BaseException as exc:
            live.finish()
            try:
                if not isinstance(exc, Exception):  # the client left
                    live.breaker.abandon()
                    raise
                now = self._clock()
                if isinstance(exc, UpstreamFailure):
                    failure = exc
                    _tell_breaker(live, failure, now)
                else:
                    failure = unexpected(exc)
                    live.breaker.abandon()
                if failure.field is not None and failure.field in dropped:  # it is not the field then
                    failure = UpstreamFailure(Cause.REJECTED, failure.status, error=failure.error)
                trail.failures.append(failure)
                cause = failure.cause.value
                trail.attempts.append(Attempt(hop.model.name, live.spec.id, cause, failure.status, now - started))
                if failure.field is not None:
                    refused.add(failure.field)
                    if request.asks_properly(failure.field):  # else the client's own value may have been at fault
                        live.dropped |= {failure.field}
                if failure is exc:
                    raise
                raise failure from exc
            finally:
                if relay is not None:  # last, since it may be cancelled
                    await relay.aclose()
        finally:
            trail.waited_s += self._clock() - started


def retry_delay(failure: UpstreamFailure, tries: int, settings: RetrySettings, rng: random.Random) -> float | None:
    """Seconds until the same deployment is asked again after its `tries`-th try failed; None: go on to the next one.

    A 429 is retried after its Retry-After, unless that is longer than the cap, or with full-jitter backoff; a server
    error, refused connection or unreadable answer once, quickly; a refused optional field at once without it. Silence,
    refused keys and errors of the request are not retried.
    """
    if tries >= MAX_TRIES:
        return None
    if failure.cause is Cause.FIELD_REFUSED:
        return 0.0
    if failure.cause is Cause.RATE_LIMITED and tries <= settings.retries:
        if failure.retry_after_s is None:
            return rng.uniform(0.0, BACKOFF_S * 2 ** (tries - 1))
        return failure.retry_after_s if failure.retry_after_s <= settings.max_retry_after_s else None
    if failure.cause in QUICK_RETRY and tries <= min(1, settings.retries):
        return rng.uniform(0.0, QUICK_RETRY_S)
    return None


def exhausted(trail: Trail) -> GatewayError:
    """The error that the client gets when nobody answered: the truest status, and what was tried by public names."""
    for failure in trail.failures:
        if failure.cause is Cause.CONTEXT_LENGTH:
            return ProviderRejected(
                failure.status or 400, {"code": "context_length_exceeded"} | dict(failure.error or {})
            )
    if not trail.attempts:
        return UpstreamsFailed(503, "No deployment of a model that can serve this request is available now.")
    tried: dict[str, list[str]] = {}
    for attempt in trail.attempts:
        tried.setdefault(attempt.model, []).append(attempt.cause)
    what = "; ".join(f"{model}: {', '.join(dict.fromkeys(causes))}" for model, causes in tried.items())
    causes = {failure.cause for failure in trail.failures}
    retry_after_s = None
    if causes == {Cause.RATE_LIMITED}:
        status = 429
        waits = [f.retry_after_s for f in trail.failures if f.retry_after_s is not None]
        retry_after_s = max(1, -int(-min(waits) // 1)) if waits else None
    else:
        status = 504 if causes == {Cause.TIMEOUT} else 503 if causes <= TAKEN_OUT else 502
    return UpstreamsFailed(status, f"Every model that was tried failed. {what}.", retry_after_s=retry_after_s)


def _tell_breaker(live: LiveDeployment, failure: UpstreamFailure, now: float) -> None:
    if failure.cause in TAKEN_OUT:
        live.breaker.take_out(now, failure.cause.value)
    elif failure.cause in QUICK_RETRY or failure.cause in (Cause.TIMEOUT, Cause.RATE_LIMITED):
        live.breaker.failure(now, failure.cause.value, failure.retry_after_s)
    else:  # the request was at fault: that says nothing about the deployment
        live.breaker.abandon()
