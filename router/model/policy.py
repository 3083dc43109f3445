"""Policies: predicted correctness and price -> the chosen model. Pure functions of their arguments; numpy only.

One rule decides, by one number. Two rules weigh P(correct) against the price: `cost_weight`, in absolute US dollars, and `quality`,
relative to what the models of the portfolio cost. Two rules take the cheapest model that is good enough: `max_loss`, relative to
the best model, and `min_p_correct`, in absolute terms.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Rule = Literal["cost_weight", "max_loss", "min_p_correct", "quality"]
RULES: tuple[Rule, ...] = get_args(Rule)

TIE = 1e-6  # a smaller difference of float32 predictions may be rounding alone
BEST_QUALITY = 10.0
# At the middle quality, five steps from the best one, a middle price difference is worth 0.1 of P(correct). This is the typical
# difference between two models: the medians of five pools on `val` are 0.03 to 0.19, on average 0.11; see
# research/measure_policies.py.
P_OF_A_STEP = 0.02
# A model that costs more than the cheapest one by at most this share of its price counts as just as cheap.
SAME_PRICE = 0.1
WIDEST_RANGE = 1_000.0  # of price differences; a smaller one than the largest divided by this counts as that


@dataclass(frozen=True, slots=True)
class Policy:
    """A named rule that weighs predicted correctness against price.

    Attributes:
        name: public name, as in `auto:<name>`.
        rule: how the policy chooses.
            "cost_weight": the highest p_correct - value * price; `value` is the p_correct that one US dollar is worth, 1/USD.
            "quality": the same, with the cost weight that `cost_weight` makes of `value`, from 0 (cheap) to 10 (best).
            "max_loss": the cheapest model whose p_correct is at most `value` below that of the best model.
            "min_p_correct": the cheapest model whose p_correct is at least `value`.
        value: the number of the rule.
        min_p_correct: a request's own minimum, beside a rule other than "min_p_correct"; None: no minimum.
        caution: the policy uses p_correct - caution * standard error, so that a model with few evaluations must be clearly
            better.
        max_predicted_loss: a stand-in's p_correct may be lower than that of the chosen model by at most this; None: by any.
    """

    name: str
    rule: Rule = "cost_weight"
    value: float = 0.0
    min_p_correct: float | None = None
    caution: float = 0.0
    max_predicted_loss: float | None = None

    @property
    def minimum(self) -> float | None:
        """The p_correct that a model should reach, whether the rule or the request sets it; None: any will do."""
        return self.value if self.rule == "min_p_correct" else self.min_p_correct


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice and the values that it is based on.

    Attributes:
        model: index of the chosen model.
        lowest: the p_correct that a model had to have; None: the policy sets no limit.
        reached: False if no eligible model reaches the policy's minimum.
        considered: the eligible models with at least the lowest p_correct, (M,), bool. `best_model` of them is the best one.
    """

    model: int
    lowest: float | None
    reached: bool
    considered: NDArray[np.bool_]


def lower_bounds(
    p_correct: NDArray[np.float32], standard_error: NDArray[np.float32], policy: Policy
) -> NDArray[np.float32]:
    """The p_correct that a policy uses: p_correct - caution * standard_error, at least 0.

    Args:
        p_correct: (M,), float32, in [0, 1]; NaN stays NaN.
        standard_error: of p_correct, (M,), float32.

    Returns:
        (M,), float32, in [0, 1].
    """
    return np.maximum(p_correct - np.float32(policy.caution) * standard_error, 0.0, dtype=np.float32)


def price_difference_usd(price_usd: NDArray[np.float64], quality: float) -> float:
    """What better models of a portfolio cost more than the cheapest one, USD; 0 if all cost about the same.

    At quality 0 it is the smallest such difference, at quality 10 the largest, at 5 their geometric mean. So low qualities are
    about the choice among the cheap models, and high ones about the dear models. It is a power of the two ends because prices of
    models span orders of magnitude.

    Args:
        price_usd: expected price of one request at each model, (M,), float64, USD.
        quality: from 0 to 10.
    """
    if not len(price_usd):
        return 0.0
    cheapest = price_usd.min()
    more = price_usd - cheapest
    more = more[more > SAME_PRICE * cheapest]
    if not len(more):
        return 0.0
    largest = more.max()
    smallest = max(more.min(), largest / WIDEST_RANGE)
    return float(smallest * (largest / smallest) ** (quality / BEST_QUALITY))


def cost_weight(policy: Policy, price_usd: NDArray[np.float64]) -> float:
    """The p_correct that one US dollar is worth to a policy, 1/USD; 0 for a rule that takes the cheapest model.

    At quality s a model may cost `price_difference_usd` more if its p_correct is higher by P_OF_A_STEP * (10 - s). So the cost
    weight falls as the quality rises, it is 0 at 10, and no choice changes if all prices change by one factor.

    Args:
        price_usd: expected price of this request at each model that the portfolio's policies can choose, (M,), float64, USD.
    """
    if policy.rule == "cost_weight":
        return policy.value
    difference = price_difference_usd(price_usd, policy.value) if policy.rule == "quality" else 0.0
    return P_OF_A_STEP * (BEST_QUALITY - policy.value) / difference if difference > 0 else 0.0


def utilities(
    p_correct: NDArray[np.float32], price_usd: NDArray[np.float64], cost_weight: float
) -> NDArray[np.float64]:
    """Utility of each model: p_correct - cost_weight * price_usd.

    Args:
        p_correct: predicted correctness, (M,), float32, in [0, 1].
        price_usd: expected price of this request at each model, (M,), float64, USD.
        cost_weight: 1/USD, from the function `cost_weight`.

    Returns:
        (M,), float64.
    """
    return p_correct.astype(np.float64) - cost_weight * price_usd


def choose(
    p_correct: NDArray[np.float32],
    standard_error: NDArray[np.float32],
    price_usd: NDArray[np.float64],
    eligible: NDArray[np.bool_],
    policy: Policy,
    cost_weight: float = 0.0,
) -> Choice | None:
    """The model that the policy prefers among the eligible ones; None if none is eligible.

    If no model reaches the policy's minimum, the rule chooses among the models within one standard error of the best. This is
    the standard error of the best model's own p_correct; that of the difference between two models is not known.

    Ties (within 1e-6 of p_correct) go to the cheaper model, then to the one with the higher p_correct, then to the one with
    the lower index. A model whose p_correct is NaN is never chosen.

    Args:
        p_correct: predicted correctness, (M,), float32, in [0, 1].
        standard_error: of p_correct, (M,), float32.
        price_usd: expected price of this request at each model, (M,), float64, USD.
        eligible: which models may be chosen, (M,), bool.
        cost_weight: 1/USD, from the function `cost_weight`; only the rules "cost_weight" and "quality" use it.
    """
    eligible = eligible & ~np.isnan(p_correct)
    if not eligible.any():
        return None
    lowest, reached, considered = None, True, eligible
    if policy.rule == "max_loss" or policy.minimum is not None:
        best = best_model(eligible, p_correct, price_usd)
        lowest, reached = _lowest(float(p_correct[best]), float(standard_error[best]), policy)
        considered = eligible & (p_correct.astype(np.float64) >= lowest - TIE)
    good = considered
    if policy.rule in ("cost_weight", "quality"):
        good = _highest(considered, utilities(p_correct, price_usd, cost_weight))
    return Choice(_cheapest(good, p_correct, price_usd), lowest, reached, considered)


def best_model(among: NDArray[np.bool_], p_correct: NDArray[np.floating], price_usd: NDArray[np.float64]) -> int:
    """Index of the model with the highest p_correct; ties as in `choose`.

    Args:
        among: (M,), bool; at least one is true.
        p_correct: (M,), float.
        price_usd: (M,), float64, USD.
    """
    return _cheapest(_highest(among, p_correct.astype(np.float64)), p_correct, price_usd)


def _lowest(best: float, error: float, policy: Policy) -> tuple[float, bool]:
    """The p_correct that a model must have, and whether the best model reaches the policy's minimum.

    Args:
        best, error: p_correct of the best model, and its standard error.
    """
    minimum = policy.minimum
    reached = minimum is None or best >= minimum - TIE
    limits = [] if minimum is None else [minimum if reached else best - error]
    if policy.rule == "max_loss":
        limits.append(best - policy.value)
    return max(limits), reached


def _highest(among: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Those with the highest value, or one that differs from it by rounding alone, (M,), bool."""
    highest: NDArray[np.bool_] = among & (values >= values[among].max() - TIE)
    return highest


def _cheapest(among: NDArray[np.bool_], p: NDArray[np.floating], price_usd: NDArray[np.float64]) -> int:
    """Index of the cheapest; of several, the one with the highest p_correct."""
    tied = among & (price_usd == price_usd[among].min())
    return int(np.flatnonzero(tied)[np.argmax(p[tied])])
