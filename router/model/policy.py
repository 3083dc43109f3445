"""Policies: predicted correctness and price -> the chosen model. Pure functions of their arguments; numpy only.

One rule decides, by one number. Two rules weigh P(correct) against the price: `cost_weight`, in absolute US dollars, and `quality`,
relative to what the models of the portfolio cost. Two rules take the cheapest model that is good enough: `max_loss`, relative to
the best model, and `min_p_correct`, in absolute terms.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indexes = NDArray[np.int64]
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
    p_correct: NDArray[np.float32],
    standard_error: NDArray[np.float32],
    policy: Policy,
    caution: NDArray[np.float32] | float = 0.0,
) -> NDArray[np.float32]:
    """The p_correct that a policy uses: p_correct - caution * standard_error, at least 0.

    Args:
        p_correct: (M,), float32, in [0, 1]; NaN stays NaN.
        standard_error: of p_correct, (M,), float32.
        caution: standard errors that are taken off a model besides those of the policy, (M,), float32, or the same for all.

    Returns:
        (M,), float32, in [0, 1].
    """
    steps = np.float32(policy.caution) + np.float32(caution)
    return np.maximum(p_correct - steps * standard_error, 0.0, dtype=np.float32)


def saving(policy: Policy, factor: float) -> Policy:
    """The policy when money counts `factor` times as much as usual, as far as its number says so; `cost_weight` has the rest.

    A `max_loss` grows by the factor; one of less than a step of quality counts as a step. A minimum is kept.
    """
    if policy.rule != "max_loss" or factor == 1.0:
        return policy
    return replace(policy, value=min(1.0, max(policy.value, P_OF_A_STEP) * factor))


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


def cost_weight(policy: Policy, price_usd: NDArray[np.float64], factor: float = 1.0) -> float:
    """The p_correct that one US dollar is worth to a policy, 1/USD; 0 for a rule that takes the cheapest model.

    At quality s a model may cost `price_difference_usd` more if its p_correct is higher by P_OF_A_STEP * (10 - s). So the cost
    weight falls as the quality rises, it is 0 at 10, and no choice changes if all prices change by one factor.

    Args:
        price_usd: expected price of this request at each model that the portfolio's policies can choose, (M,), float64, USD.
        factor: how much more than usual money counts, at least 1. A policy to which it counts nothing is then taken as quality 9.
    """
    if policy.rule not in ("cost_weight", "quality"):
        return 0.0
    weight = policy.value if policy.rule == "cost_weight" else _weight_of_quality(policy.value, price_usd)
    if factor == 1.0:
        return weight
    return (weight or _weight_of_quality(BEST_QUALITY - 1, price_usd)) * factor


def _weight_of_quality(quality: float, price_usd: NDArray[np.float64]) -> float:
    difference = price_difference_usd(price_usd, quality)
    return P_OF_A_STEP * (BEST_QUALITY - quality) / difference if difference > 0 else 0.0


def utilities(
    p_correct: NDArray[np.float32], price_usd: NDArray[np.float64], cost_weight: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Utility of each model: p_correct - cost_weight * price_usd.

    Args:
        p_correct: predicted correctness, (M,) or (n, M), float32, in [0, 1].
        price_usd: expected price of this request at each model, of the same shape, float64, USD.
        cost_weight: 1/USD, from the function `cost_weight`; for n queries (n, 1).

    Returns:
        float64 of the same shape.
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
    eligible = eligible & (p_correct == p_correct)  # NaN differs from itself
    if not eligible.any():
        return None
    model, lowest, reached, considered = _choose(p_correct, standard_error, price_usd, eligible, policy, cost_weight)
    return Choice(int(model), None if lowest is None else float(lowest), bool(reached), considered)


def choose_each(
    p_correct: NDArray[np.float32],
    standard_error: NDArray[np.float32],
    price_usd: NDArray[np.float64],
    eligible: NDArray[np.bool_],
    policy: Policy,
    cost_weight: NDArray[np.float64],
) -> NDArray[np.int64]:
    """`choose` for n queries at once. Rows do not depend on each other.

    Args:
        p_correct, standard_error: (n, M), float32.
        price_usd: (n, M), float64, USD.
        eligible: (n, M), bool.
        cost_weight: (n,), float64, 1/USD, from the function `cost_weight`.

    Returns:
        Indexes of the chosen models, (n,), int64; -1 where no model is eligible.
    """
    eligible = eligible & (p_correct == p_correct)
    models = _choose(p_correct, standard_error, price_usd, eligible, policy, cost_weight[:, None])[0]
    return np.where(eligible.any(axis=1), models, -1)


def best_model(among: NDArray[np.bool_], p_correct: NDArray[np.floating], price_usd: NDArray[np.float64]) -> int:
    """Index of the model with the highest p_correct; ties as in `choose`.

    Args:
        among: (M,), bool; at least one is true.
        p_correct: (M,), float.
        price_usd: (M,), float64, USD.
    """
    return int(_best_model(among, p_correct.astype(np.float64), price_usd))


# The functions below take one query, (M,), or several, (n, M): those of one query are on the path of each request.


def _choose(
    p_correct: NDArray[np.float32],
    standard_error: NDArray[np.float32],
    price_usd: NDArray[np.float64],
    eligible: NDArray[np.bool_],
    policy: Policy,
    cost_weight: NDArray[np.float64] | float,
) -> tuple[Indexes, Floats | None, NDArray[np.bool_] | bool, NDArray[np.bool_]]:
    """The attributes of `Choice`: model and lowest, () or (n,); reached, () or (n,); considered, (M,) or (n, M).

    The model means nothing where none is eligible.
    """
    considered = eligible
    lowest: Floats | None = None
    reached: NDArray[np.bool_] | bool = True
    if policy.rule == "max_loss" or policy.minimum is not None:
        p = p_correct.astype(np.float64)
        best = _best_model(eligible, p, price_usd)
        at = best if p.ndim == 1 else (np.arange(len(p)), best)
        lowest, reached = _lowest(p[at], standard_error[at], policy)
        considered = eligible & (p >= lowest[..., None] - TIE)
    good = considered
    if policy.rule in ("cost_weight", "quality"):
        good = _highest(considered, utilities(p_correct, price_usd, cost_weight))
    return _cheapest(good, p_correct, price_usd), lowest, reached, considered


def _best_model(among: NDArray[np.bool_], p: Floats, price_usd: Floats) -> Indexes:
    """Indexes of `best_model`."""
    return _cheapest(_highest(among, p), p, price_usd)


def _lowest(best: Floats, error: NDArray[np.float32], policy: Policy) -> tuple[Floats, NDArray[np.bool_] | bool]:
    """The p_correct that a model must have, and whether the best model reaches the policy's minimum.

    Args:
        best, error: p_correct of the best model, and its standard error.
    """
    minimum = policy.minimum
    if minimum is None:
        return best - policy.value, True
    reached = best >= minimum - TIE
    lowest = np.where(reached, minimum, best - error)
    return np.maximum(lowest, best - policy.value) if policy.rule == "max_loss" else lowest, reached


def _highest(among: NDArray[np.bool_], values: Floats) -> NDArray[np.bool_]:
    """Those with the highest value, or one that differs from it by rounding alone."""
    masked = np.where(among, values, -np.inf)
    highest: NDArray[np.bool_] = masked >= masked.max(axis=-1, keepdims=True) - TIE
    return highest & among


def _cheapest(among: NDArray[np.bool_], p: NDArray[np.floating], price_usd: Floats) -> Indexes:
    """Index of the cheapest; of several, of the one with the highest p_correct."""
    priced = np.where(among, price_usd, np.inf)
    tied = (priced == priced.min(axis=-1, keepdims=True)) & among
    first: Indexes = np.where(tied, p, -1.0).argmax(axis=-1)
    return first
