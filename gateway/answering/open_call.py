"""A call that was answered: its answer, and what its deployment learns when the call ends."""

from gateway.answering.attempts import CallStart
from gateway.answering.call_failure import update_breaker
from gateway.answering.relay import Relay
from gateway.api.answer_text import answer_chars
from gateway.core.answer import Complete
from gateway.core.extras import Extras, extras_of
from gateway.core.usage import Usage
from gateway.core.vocabulary import CHARS_PER_TOKEN, Clock
from gateway.deployments.live import LiveDeployment
from gateway.limits.hold import Hold
from gateway.provider_errors.failures import UpstreamFailure
from gateway.routing.candidate import Candidate


class OpenCall:
    """An answer from one model: `complete`, or `relay` with its first content at hand. The owner closes it.

    Closing ends the call: the deployment may take another one, and its circuit breaker learns the outcome.

    Args:
        hold: what the call holds of the deployment's own limits; None if it has none.

    Attributes:
        failure: why the stream broke; None if it did not.
        start: of the call.
        answered_at: when the answer, or its first content, was at hand, monotonic seconds.
        ended_at: when the provider's answer was complete or given up; None before.
        left_out: fields of the client's request that the deployment was not sent, or not as the client wrote them.
    """

    def __init__(
        self,
        candidate: Candidate,
        live: LiveDeployment,
        answer: Complete | Relay,
        clock: Clock,
        start: CallStart,
        hold: Hold | None = None,
    ) -> None:
        self.candidate = candidate
        self.live = live
        self.complete = answer if isinstance(answer, Complete) else None
        self.relay = answer if isinstance(answer, Relay) else None
        self.failure: UpstreamFailure | None = None
        self.left_out: tuple[str, ...] = ()
        self.start = start
        self.answered_at = clock()
        self.ended_at = self.answered_at if self.complete is not None else None
        self._clock = clock
        self._hold = hold
        self._closed = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since the call began."""
        return self._clock() - self.start.at

    @property
    def deployment(self) -> str:
        """The deployment's id."""
        return self.live.spec.id

    @property
    def usage(self) -> Usage | None:
        """The tokens that the provider billed; None if it has not reported them.

        Zeros are no report if the answer has content: some servers write them when they have not counted, in streams with every
        chunk. An answer without content may have cost nothing.
        """
        reported = self.complete.usage if self.complete is not None else self.relay.usage if self.relay else None
        return None if reported is not None and not reported.total_tokens and self.written_tokens else reported

    @property
    def extras(self) -> Extras:
        """What the provider billed beside tokens."""
        if self.complete is not None:
            return extras_of(self.complete.fields)
        if self.relay is None:
            return Extras()
        extras = extras_of({"usage": self.relay.usage_fields, "service_tier": self.relay.service_tier})
        return extras._replace(has_images=extras.has_images or self.relay.transcript.has_images)

    @property
    def written_tokens(self) -> int:
        """An estimate of the tokens of the answer so far, from its text."""
        if self.complete is not None:
            return -(-answer_chars(self.complete) // CHARS_PER_TOKEN)
        return self.relay.estimate if self.relay is not None else 0

    @property
    def cut(self) -> bool:
        """True if the answer is not complete: its stream broke, or the client disconnected."""
        return self.failure is not None or (self.relay is not None and not self.relay.transcript.ended)

    async def aclose(self) -> None:
        """Ends the call. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        if self.ended_at is None:
            self.ended_at = self._clock()
        if self._hold is not None:
            usage = self.usage
            used = usage.prompt_tokens + usage.completion_tokens if usage is not None else self._hold.tokens
            self._hold.settle(0, used)
        self.live.finish()
        if self.failure is not None:
            update_breaker(self.live, self.failure, self._clock())
        else:
            self.live.succeeded()
        if self.relay is not None:  # last, because it may be cancelled
            await self.relay.aclose()
