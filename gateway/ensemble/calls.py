"""The calls for one request that an ensemble answers: each goes to one model, and all of them together keep to the limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.answering.attempts import Attempts
from gateway.answering.billed_parts import billed_part
from gateway.answering.billed_usage import billed_usage
from gateway.answering.call_cap import CallCap
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.failover import Dispatch, Failover
from gateway.answering.hedged_calls import silence_s
from gateway.answering.open_call import OpenCall
from gateway.answering.spending import Spending
from gateway.api.dialect import Writer
from gateway.config.settings import Settings
from gateway.core.usage import Usage
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.deployments.live import LiveModel
from gateway.record.request_record import Part
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Turn
from gateway.request.request import Request
from gateway.routing.candidate import Candidate
from gateway.routing.permission import Permission

ALONE = Permission("same_model", "an ensemble asks each of its models by itself")


@dataclass(slots=True)
class Call:
    """A call of one model, and what is known of it so far.

    Attributes:
        model: the name of the model.
        usd: what it is expected to cost; None if its price is not known.
        opened: None before the model has answered.
        stream: its answer, if it is streamed.
    """

    model: str
    usd: float | None
    attempts: Attempts = field(default_factory=Attempts)
    opened: OpenCall | None = None
    stream: ContinuedStream | None = None

    @property
    def open_calls(self) -> list[OpenCall]:
        """Those that wrote the answer: more than one if another deployment of the model continued its stream."""
        if self.stream is not None:
            return self.stream.calls
        return [] if self.opened is None else [self.opened]

    def usages(self, request: Request) -> list[tuple[OpenCall, Usage, bool]]:
        """The tokens of these calls, and whether they are estimates."""
        return [(one, *billed_usage(one, request.requirements.prompt_tokens)) for one in self.open_calls]

    def parts(self, request: Request) -> list[Part]:
        """What is billed for these calls."""
        return [
            billed_part(self.model, one.live.spec, usage, estimated=estimated, extras=one.extras)
            for one, usage, estimated in self.usages(request)
        ]

    async def aclose(self) -> None:
        for one in self.open_calls:
            await one.aclose()


class Calls:
    """Makes the calls for one request.

    Args:
        live: the models of the portfolio by name.
        last: the conversation's last answer; None if it is not known.
        spending: what the request may spend; None if nothing limits it.
        cap: the calls that the request may make.
        max_usd: what all calls together may be expected to cost; None: no limit.
        attempts: of the request.

    Attributes:
        made: all calls, in the order in which they began.
    """

    def __init__(
        self,
        failover: Failover,
        request: ChatRequest,
        settings: Settings,
        live: Mapping[str, LiveModel],
        last: Turn | None,
        spending: Spending | None,
        cap: CallCap,
        max_usd: float | None,
        attempts: Attempts,
    ) -> None:
        self.request = request
        self.settings = settings
        self.cap = cap
        self.made: list[Call] = []
        self.clock = failover.clock
        self._failover = failover
        self._live = live
        self._last = last
        self._spending = spending
        self._max_usd = max_usd
        self._attempts = attempts

    def affordable(self, usd: float | None, calls: int = 1) -> bool:
        """Return True if the limits allow more calls.

        Args:
            usd: what they are expected to cost together; None if that is not known.
        """
        if self.cap.left < calls:
            return False
        if self._max_usd is None:
            return True
        costs = [self._cost(call) for call in self.made]
        known = [cost for cost in (*costs, usd) if cost is not None]
        return len(known) == len(costs) + 1 and sum(known) <= self._max_usd

    def begin(self, model: str, usd: float | None) -> Call:
        """A new call, not made yet; it counts against `max_usd` from now on."""
        call = Call(model, usd, Attempts(trace=self._attempts.trace))
        self.made.append(call)
        return call

    def dispatch(self, call: Call, request: ChatRequest, writer: Writer | None) -> Dispatch:
        """The dispatch of a call over the deployments of its model.

        Args:
            writer: writes a stream; None for a request that is not streamed.
        """
        candidates = [Candidate(self._live[call.model], permission=ALONE)]
        last = self._last if request is self.request else None
        return self._failover.dispatch(
            request, candidates, self.settings, call.attempts, writer, last, self._spending, self.cap
        )

    def silence_s(self, model: str, request: ChatRequest) -> float:
        """Seconds in which the answer of a model must begin before it counts as slow."""
        return silence_s(request, self._live[model].deployments[0])

    def end(self, began: float) -> None:
        """All calls have ended: adds their failures to those of the request.

        Args:
            began: when the first one did, by `clock`.
        """
        of_request = self._attempts
        for call in self.made:
            of_request.entries += call.attempts.entries
            of_request.failures += call.attempts.failures
            of_request.refusal = of_request.refusal or call.attempts.refusal
            # A stream may still break.
            call.attempts.entries, call.attempts.failures = of_request.entries, of_request.failures
        own_s = max((call.attempts.own_s for call in self.made), default=0.0)
        of_request.waited_s += self.clock() - began - own_s
        of_request.own_s += own_s

    def _cost(self, call: Call) -> float | None:
        """What a call has cost, or is expected to cost, USD; None if that is not known."""
        parts = call.parts(self.request)
        known = [part.cost_nusd for part in parts if part.cost_nusd is not None]
        return sum(known) / NUSD_PER_USD if parts and len(known) == len(parts) else call.usd
