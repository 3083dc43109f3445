"""An answered call: what it gave, and the bookkeeping at its deployment when it ends."""

import logging
from hashlib import blake2b

from gateway.answering.relay import Relay
from gateway.core.answer import Complete, Usage
from gateway.core.vocabulary import Clock
from gateway.deployments.breaker import Refusal
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import TAKEN_OUT, Cause, UpstreamFailure
from gateway.request.query_text import message_text
from gateway.request.request import Request
from gateway.routing.candidate import Candidate

log = logging.getLogger("locus.deployments")

DIGEST_CHARS = 20_000  # of each turn
FAILING = frozenset(
    {
        Cause.RATE_LIMITED,
        Cause.OVERLOADED,
        Cause.SERVER_ERROR,
        Cause.CONNECTION,
        Cause.TIMEOUT,
        Cause.UNREADABLE,
    }
)  # the deployment is at fault


class OpenCall:
    """An answer from some model: `complete`, or `relay` with its first content at hand. The owner closes it.

    Closing ends the call: it frees the deployment's place and tells its breaker how the call went.

    Attributes:
        left_out: fields of the client's that the deployment was not sent.
    """

    def __init__(
        self, candidate: Candidate, live: LiveDeployment, answer: Complete | Relay, clock: Clock, started: float
    ) -> None:
        self.candidate = candidate
        self.live = live
        self.complete = answer if isinstance(answer, Complete) else None
        self.relay = answer if isinstance(answer, Relay) else None
        self.failure: UpstreamFailure | None = None
        self.left_out: tuple[str, ...] = ()
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
            self.live.succeeded()
        if self.usage is not None:
            self.live.count_tokens(self.usage.prompt_tokens + self.usage.completion_tokens)
        if self.relay is not None:  # last, since it may be cancelled
            await self.relay.aclose()


def digest(request: Request) -> bytes:
    """What tells one request from another: how its conversation begins, so that the next turn is no other request."""
    texts = []
    for turn in request.fields.get("messages") or ():
        texts.append(message_text(turn)[:DIGEST_CHARS])
        if turn.get("role") == "user":
            break
    if not texts:  # a request for embeddings
        given = request.fields.get("input")
        first = given[0] if isinstance(given, list) and given else given
        texts.append((first if isinstance(first, str) else repr(first))[:DIGEST_CHARS])
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def tell_breaker(
    live: LiveDeployment, failure: UpstreamFailure, now: float, request: bytes = b"", *, ours: bool = False
) -> None:
    """What a failed call says about the deployment.

    What changes by it is logged, with the provider's words: `redact` must have been called before.

    Args:
        request: digest that tells one request from another.
        ours: the request was the gateway's own, so that a refusal cannot be about what a client put into it.
    """
    cause = failure.cause
    was_open, was_out = live.breaker.open_until is not None, live.breaker.taken_out
    if cause in TAKEN_OUT:
        live.refused(Refusal(cause.value, request, in_words=True))
    elif cause is Cause.REFUSED:
        live.refused(Refusal(f"{cause.value} with status {failure.status}", request, in_words=ours))
    elif cause in FAILING:
        live.breaker.failure(now, cause.value, failure.retry_after_s)
    elif cause in (Cause.LOCAL, Cause.DIVERGED):
        live.breaker.abandon()
    else:  # the request was at fault
        live.breaker.answered()
    until = live.breaker.open_until
    if until is not None and (not was_open or (live.breaker.taken_out and not was_out)):
        what = "is taken out" if live.breaker.taken_out else "cools down"
        said = f": {failure.reason}" if failure.reason else ""
        log.warning("%s %s for %.0f s: %s%s", live.spec.id, what, until - now, failure, said)
