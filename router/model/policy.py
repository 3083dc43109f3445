"""Predicted correctness and price -> the chosen model. Pure functions of their arguments; numpy only."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TIE = 1e-6  # float32 predictions differ by less than this for reasons of rounding alone


@dataclass(frozen=True, slots=True)
class Policy:
    """How predicted correctness is weighed against price.

    Attributes:
        name: public name, as in `auto:<name>`.
        rule: "utility" maximises p_correct - cost_weight * price; "cheapest" takes the cheapest model whose
            p_correct reaches `min_p_correct`.
        cost_weight: probability of a correct answer that one US dollar is worth, 1/USD.
        min_p_correct: in [0, 1]; only the rule "cheapest" reads it.
        caution: standard errors that are taken off p_correct first: the lower bound of a prediction counts, so that a model
            known from few evaluations must be better by more.
        max_predicted_loss: a stand-in may be less probably correct than the chosen model by at most this; None: by any.
    """

    name: str
    rule: Literal["utility", "cheapest"] = "utility"
    cost_weight: float = 0.0
    min_p_correct: float = 0.0
    caution: float = 0.0
    max_predicted_loss: float | None = None


def believed(
    p_correct: NDArray[np.float32], standard_error: NDArray[np.float32], policy: Policy
) -> NDArray[np.float32]:
    """The p_correct that a policy goes by: its lower bound at the policy's caution, in [0, 1], same shape."""
    return np.maximum(p_correct - np.float32(policy.caution) * standard_error, 0.0, dtype=np.float32)


def utilities(p_correct: NDArray[np.float32], price_usd: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
    """Utility of each model: p - cost_weight * expected price, (M,), float64.

    Args:
        p_correct: predicted correctness, (M,), in [0, 1].
        price_usd: expected price of this request at each model, (M,), USD.
    """
    return p_correct.astype(np.float64) - policy.cost_weight * price_usd


def choose(
    p_correct: NDArray[np.float32], price_usd: NDArray[np.float64], eligible: NDArray[np.bool_], policy: Policy
) -> int | None:
    """Index of the model that the policy prefers among the eligible ones; None where none is eligible.

    Ties (within 1e-6) go to the cheaper model, then to the one that the portfolio lists first. The rule "cheapest"
    falls back to the most probably correct model where none reaches `min_p_correct`. A model whose p_correct is
    NaN is never chosen.

    Args:
        p_correct: predicted correctness, (M,), in [0, 1].
        price_usd: expected price of this request at each model, (M,), USD.
        eligible: which models may be chosen, (M,).
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
