"""Do two deployments serve the same model? Posterior odds from how often their answers to the same probes differ."""

from dataclasses import dataclass
from math import lgamma, log

OWN_RATE, OWN_ASKS = (
    0.04,
    25.0,
)  # prior of how often a model's answer differs from its own earlier one, and its weight in asks
OTHER_RATE, OTHER_ASKS = 0.3, 4.0  # the same for two different models: from near relatives to strangers


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the answers of two deployments agree.

    Attributes:
        probes: asked of both.
        differing: of these, with different answers.
        log_odds: natural logarithm of the posterior odds that both serve the same model, from equal prior odds.
    """

    probes: int
    differing: int
    log_odds: float

    @property
    def share(self) -> float:
        """The share of probes with equal answers."""
        return 1 - self.differing / self.probes if self.probes else float("nan")


def agreement(probes: int, differing: int, other_rate: float, own_asks: int = 0, own_differing: int = 0) -> Agreement:
    """The agreement of two deployments.

    Both explanations are Beta-binomial: the same model differs as often as it differs from itself, another model as often as the
    nearest one of the space does.

    Args:
        probes: asked of both deployments.
        differing: of these, with different answers.
        other_rate: the share of these probes on which the nearest other model is expected to differ.
        own_asks: how often a deployment was asked a probe again that it had answered before, both deployments together.
        own_differing: of these, how often its answer differed from the earlier one.

    Raises:
        ValueError: a count is negative, or more answers differ than there are.
    """
    if not (0 <= differing <= probes and 0 <= own_differing <= own_asks):
        raise ValueError(f"{differing} of {probes} and {own_differing} of {own_asks} answers differ: not possible")
    agreeing = probes - differing
    same = _log_evidence(
        differing, agreeing, OWN_RATE * OWN_ASKS + own_differing, (1 - OWN_RATE) * OWN_ASKS + own_asks - own_differing
    )
    rate = min(max(other_rate, 0.01), 0.99)
    other = _log_evidence(differing, agreeing, rate * OTHER_ASKS, (1 - rate) * OTHER_ASKS)
    return Agreement(probes, differing, same - other)


SURE = log(99)  # log odds at which a report names two deployments as the same, or as different, model


def _log_evidence(differing: int, agreeing: int, a: float, b: float) -> float:
    """The log probability of these answers in a given order if the rate of differing ones has the prior Beta(a, b)."""
    return _log_beta(a + differing, b + agreeing) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
