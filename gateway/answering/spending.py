"""What one request may spend: before each call its cost is reserved, as it is expected and in the worst case.

If a reservation is refused, the deployment counts as unavailable for this request, as at one of its own limits: a cheaper stand-in
may still answer.
"""

from gateway.answering.call_request import CallRequest
from gateway.config.portfolio import Deployment, Model
from gateway.config.price import FREE, Price
from gateway.core.errors import GatewayError, QuotaUsedUp
from gateway.core.usage import Usage
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS
from gateway.limits.hold import Hold, Reservation
from gateway.limits.output_lengths import OutputLengths
from gateway.provider_errors.failures import Cause, UpstreamFailure

PROMPT_MARGIN = 2  # an estimate of the prompt's tokens may be too low by this factor: texts differ by language


class Spending:
    """The reservations of one request.

    Args:
        hold: what the request holds of the limits of its key and team.
        lengths: of recent answers.

    Attributes:
        refusal: the client's error if no call could be afforded; None if none was refused.
    """

    def __init__(self, hold: Hold, lengths: OutputLengths) -> None:
        self.refusal: GatewayError | None = None
        self._hold = hold
        self._lengths = lengths
        self._refused: tuple[int, int] | None = None

    async def reserve(self, model: Model, deployment: Deployment, call_request: CallRequest) -> Reservation:
        """Reserves what a call may cost.

        Raises:
            UpstreamFailure: a limit refuses it, or the price is not known although a budget applies.
        """
        if deployment.price is None and self._hold.limits_money and model.unpriced == "refuse":
            message = (
                f"The price of {deployment.id} is not known, so it cannot be called within a budget: set its `price`, or "
                "`unpriced: free`, in the portfolio file."
            )
            self.refusal = self.refusal or QuotaUsedUp(message)
            raise UpstreamFailure(Cause.BUDGET, reason=message)
        expected, worst, tokens = self._amounts(model, deployment.price or FREE, call_request)
        if self._refused is not None and expected >= self._refused[0] and worst >= self._refused[1]:
            raise self._failure()
        try:
            return await self._hold.reserve(expected, worst, tokens)
        except GatewayError as error:
            self.refusal = error
            self._refused = expected, worst
            raise self._failure() from error

    def release(self, reservation: Reservation) -> None:
        """Gives back the reservation of a call that failed before any content."""
        self._hold.release(reservation)

    def _failure(self) -> UpstreamFailure:
        assert self.refusal is not None
        return UpstreamFailure(Cause.BUDGET, reason=self.refusal.message)

    def _amounts(self, model: Model, price: Price, call_request: CallRequest) -> tuple[int, int, int]:
        """Expected and highest cost in nano-USD, and expected tokens."""
        requirements = call_request.request.requirements
        prompt = requirements.prompt_tokens
        if call_request.transcript is not None:
            prompt += call_request.transcript.contents
        longest = prompt if requirements.prompt_tokens_exact else PROMPT_MARGIN * prompt
        most = 0
        if call_request.request.api != "embeddings":
            largest = model.max_output_tokens or max(1, model.context_window - prompt)
            most = min(requirements.output_tokens or largest, largest) * (call_request.request.fields.get("n") or 1)
        usual = self._lengths.expected(model.name)
        likely = most if usual is None else min(usual, most)
        tokens = prompt + min(most, EXPECTED_OUTPUT_TOKENS if usual is None else usual)
        if not self._hold.limits_money:
            return 0, 0, tokens
        worst = price.highest_nusd(longest, most)
        return (worst if usual is None else price.cost_nusd(Usage(prompt, likely))), worst, tokens
