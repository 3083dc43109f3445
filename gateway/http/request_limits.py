"""The limits of one request's key and team: admission, what each call may cost, headers, and the settlement."""

from collections.abc import Sequence

from gateway.answering.spending import Spending
from gateway.config.access import Grant
from gateway.http.answer_headers import RawHeaders
from gateway.http.limit_headers import limit_headers
from gateway.http.service import Service
from gateway.limits.hold import Hold
from gateway.limits.standing import counted_standings
from gateway.record.request_record import Part


class RequestLimits:
    """Limits of one request, or of one prompt of a batch.

    Attributes:
        hold: what the request holds; None before `admit`, and if nothing limits it.
    """

    def __init__(self, service: Service, grant: Grant, hold: Hold | None = None) -> None:
        self.hold = hold
        self._service = service
        self._grant = grant

    async def admit(self) -> None:
        """Takes a place and one request of the minute.

        Raises:
            GatewayError: a limit is reached.
        """
        if self._grant.scopes:
            self.hold = await self._service.limiter.admit(self._grant)

    @property
    def lease(self) -> str | None:
        """Under which the store has what the request spends; None if no budget applies."""
        return None if self.hold is None or not self.hold.limits_money else self.hold.lease

    def part(self) -> "RequestLimits":
        """The limits of one prompt of a batch, which is settled on its own."""
        return RequestLimits(self._service, self._grant, None if self.hold is None else self.hold.part())

    @property
    def spending(self) -> Spending | None:
        """What the calls may cost; None if nothing limits it."""
        return None if self.hold is None else Spending(self.hold, self._service.output_lengths)

    @property
    def cost_factor(self) -> float:
        """What the cost weight of a policy is multiplied by: more than 1 if a budget of the key or its team is nearly spent."""
        return self._service.limiter.cost_factor(self._grant)

    def headers(self) -> RawHeaders:
        """The headers that say what is left."""
        if not self._grant.scopes:
            return []
        limiter = self._service.limiter
        slice = limiter.standing(self._grant) if self.hold is None else self.hold.slice
        return limit_headers(counted_standings(slice), limiter.now) if slice.terms.counts else []

    def settle(self, parts: Sequence[Part]) -> None:
        """Counts what was billed; the request is over."""
        if len(parts) == 1 and not parts[0].estimated:
            self._service.output_lengths.add(parts[0].model, parts[0].completion_tokens)
        if self.hold is not None:
            nusd = tokens = 0
            for part in parts:
                nusd += part.cost_nusd or 0
                tokens += part.prompt_tokens + part.completion_tokens
            self.hold.settle(nusd, tokens)
