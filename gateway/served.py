"""An answered call: what it gave, and the bookkeeping at its deployment when it ends."""

from gateway.fleet import Clock, LiveDeployment
from gateway.relay import Relay
from gateway.trail import Hop
from gateway.upstream.answer import Complete, Usage
from gateway.upstream.failures import QUICK_RETRY, TAKEN_OUT, Cause, UpstreamFailure


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


def tell_breaker(live: LiveDeployment, failure: UpstreamFailure, now: float) -> None:
    """What a failed call says about the deployment."""
    if failure.cause in TAKEN_OUT:
        live.breaker.take_out(now, failure.cause.value)
    elif failure.cause in QUICK_RETRY or failure.cause in (Cause.TIMEOUT, Cause.RATE_LIMITED, Cause.OVERLOADED):
        live.breaker.failure(now, failure.cause.value, failure.retry_after_s)
    else:  # the request was at fault: that says nothing about the deployment
        live.breaker.abandon()
