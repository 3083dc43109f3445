"""What one request may spend: before each call its cost is reserved, as it is expected and in the worst case.

If a reservation is refused, the deployment counts as unavailable for this request, as at one of its own limits: a cheaper stand-in
may still answer.
"""

from gateway.answering.call_request import CallRequest
from gateway.answering.expected_tokens import expected_tokens
from gateway.config.portfolio import Deployment, Model
from gateway.config.price import FREE, Price
from gateway.core.errors import GatewayError, QuotaUsedUp
from gateway.core.extras import service_tier
from gateway.core.printable import printable
from gateway.core.usage import Usage
from gateway.limits.hold import Hold, Reservation
from gateway.limits.output_lengths import OutputLengths
from gateway.provider_errors.failures import Cause, UpstreamFailure


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
        tier = service_tier(call_request.request.fields.get("service_tier"))
        price = None if deployment.price is None else deployment.price.of_service(tier)
        what = deployment.id if tier is None else f"{deployment.id} for the service_tier `{printable(tier)[:32]}`"
        of_table = deployment.price is not None and deployment.price.of_table
        if of_table and "image_output" in call_request.request.requirements.capabilities:
            price, what = None, f"images by {deployment.id}"
        if price is None and self._hold.limits_money and model.unpriced == "refuse":
            message = (
                f"The price of {what} is not known, so it cannot be called within a budget: set its `price`, or "
                "`unpriced: free`, in the portfolio file."
            )
            self.refusal = self.refusal or QuotaUsedUp(message)
            raise UpstreamFailure(Cause.BUDGET, reason=message)
        expected, worst, tokens = self._amounts(model, price or FREE, call_request)
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
        expected = expected_tokens(model, call_request, self._lengths)
        if not self._hold.limits_money:
            return 0, 0, expected.likely
        worst = price.highest_nusd(expected.longest_prompt, expected.most)
        if expected.usual is None:
            return worst, worst, expected.likely
        return price.cost_nusd(Usage(expected.prompt, min(expected.usual, expected.most))), worst, expected.likely
