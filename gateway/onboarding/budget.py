"""What probes and judgements may cost: the highest cost of each call is reserved before it is made. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from gateway.answering.expected_tokens import PROMPT_MARGIN
from gateway.config.portfolio import Deployment, Model
from gateway.config.price import FREE
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.onboarding.probe_calls import Question

TEMPLATE_TOKENS = 256  # that a provider's chat template and its description of tools add at most


class PriceUnknown(Exception):
    """The price of a deployment is not known, so that no limit in USD can be kept."""

    def __init__(self, deployments: Iterable[str]) -> None:
        super().__init__(
            f"the price of {', '.join(deployments)} is not known, so the limit in USD cannot be kept: set `price: {{input: …, "
            "output: …}` of the model in the portfolio file (USD per million tokens), or `unpriced: free` "
            "(for once `locus onboard --unpriced free`) if it costs nothing"
        )


def check_prices(model: Model, unpriced: str | None) -> None:
    """
    Args:
        unpriced: of the job; None: as the portfolio says of the model.

    Raises:
        PriceUnknown: the price of a deployment is not known, and does not count as free.
    """
    unknown = [deployment.id for deployment in model.deployments if deployment.price is None]
    if unknown and (unpriced or model.unpriced) != "free":
        raise PriceUnknown(unknown)


def highest_nusd(deployments: Iterable[Deployment], question: Question) -> int:
    """The most that a question to one of these deployments can cost, nano-USD; an unknown price counts as free."""
    prompt = question.chat_request("probe").requirements.prompt_tokens
    longest = PROMPT_MARGIN * prompt + TEMPLATE_TOKENS
    prices = [deployment.price or FREE for deployment in deployments]
    return max(price.highest_nusd(longest, question.max_tokens) for price in prices)


def highest_known_nusd(model: Model, question: Question) -> int | None:
    """The most that a question to a model can cost, nano-USD; None if a price is not known, and does not count as free."""
    try:
        check_prices(model, None)
    except PriceUnknown:
        return None
    return highest_nusd(model.deployments, question)


@dataclass(frozen=True, slots=True)
class Reserved:
    """What is reserved for one call.

    Attributes:
        highest_nusd: its highest cost by the price and the limits of the request.
        nusd: what is reserved; more, if calls have cost more than that before.
    """

    highest_nusd: int
    nusd: int


class Budget:
    """The USD of one model's probes.

    Args:
        usd: the limit.

    Attributes:
        spent_nusd: the cost of calls that have ended.
        reserved_nusd: the highest cost of those that have not, and of those whose end is not known.
    """

    def __init__(self, usd: float, spent_nusd: int = 0, reserved_nusd: int = 0) -> None:
        self.limit_nusd = int(usd * NUSD_PER_USD)
        self.spent_nusd = spent_nusd
        self.reserved_nusd = reserved_nusd
        self._excess = 1.0  # the most by which the cost of a call was above its highest cost

    def reserve(self, highest_nusd: int) -> Reserved | None:
        """Reserves the highest cost of a call; None if it is more than is left."""
        nusd = ceil(highest_nusd * self._excess)
        if self.spent_nusd + self.reserved_nusd + nusd > self.limit_nusd:
            return None
        self.reserved_nusd += nusd
        return Reserved(highest_nusd, nusd)

    def settle(self, reserved: Reserved, nusd: int) -> None:
        """Counts what a call has cost."""
        self.reserved_nusd -= reserved.nusd
        self.spent_nusd += nusd
        if reserved.highest_nusd:
            self._excess = max(self._excess, nusd / reserved.highest_nusd)
