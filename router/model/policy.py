"""Policies: predicted correctness and price -> the chosen model. Pure functions of their arguments; numpy only."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TIE = 1e-6  # a smaller difference of float32 predictions may be rounding alone


@dataclass(frozen=True, slots=True)
class Policy:
    """A named rule that weighs predicted correctness against price.

    Attributes:
        name: public name, as in `auto:<name>`.
        rule: "utility" maximises p_correct - cost_weight * price; "cheapest" takes the cheapest model whose
            p_correct reaches `min_p_correct`.
        cost_weight: p_correct that one US dollar is worth, 1/USD.
        min_p_correct: in [0, 1]; only the rule "cheapest" reads it.
        caution: the policy uses p_correct - caution * standard error, so that a model with few evaluations must be clearly
            better.
        max_predicted_loss: a stand-in's p_correct may be lower than that of the chosen model by at most this; None: by any.
    """

    name: str
    rule: Literal["utility", "cheapest"] = "utility"
    cost_weight: float = 0.0
    min_p_correct: float = 0.0
    caution: float = 0.0
    max_predicted_loss: float | None = None


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


def utilities(p_correct: NDArray[np.float32], price_usd: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
    """Utility of each model: p_correct - cost_weight * price_usd.

    Args:
        p_correct: predicted correctness, (M,), float32, in [0, 1].
        price_usd: expected price of this request at each model, (M,), float64, USD.

    Returns:
        (M,), float64.
    """
    return p_correct.astype(np.float64) - policy.cost_weight * price_usd


def choose(
    p_correct: NDArray[np.float32], price_usd: NDArray[np.float64], eligible: NDArray[np.bool_], policy: Policy
) -> int | None:
    """Index of the model that the policy prefers among the eligible ones; None if none is eligible.

    Ties (within 1e-6) go to the cheaper model, then to the one with the lower index. If no model reaches `min_p_correct`, the
    rule "cheapest" chooses the one with the highest p_correct. A model whose p_correct is NaN is never chosen.

    Args:
        p_correct: predicted correctness, (M,), float32, in [0, 1].
        price_usd: expected price of this request at each model, (M,), float64, USD.
        eligible: which models may be chosen, (M,), bool.
    """
    eligible = eligible & ~np.isnan(p_correct)
    if policy.rule == "cheapest":
        good_enough = eligible & (p_correct >= policy.min_p_correct)
        if good_enough.any():
            tied = good_enough & (price_usd <= price_usd[good_enough].min() + 1e-12)
            return int(np.flatnonzero(tied)[np.argmax(p_correct[tied])])
        value = p_correct.astype(np.float64)
    else:
        value = utilities(p_correct, price_usd, policy)
    if not eligible.any():
        return None
    tied = eligible & (value >= value[eligible].max() - TIE)
    return int(np.flatnonzero(tied)[np.argmin(price_usd[tied])])
