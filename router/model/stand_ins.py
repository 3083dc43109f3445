"""The order of the models that may stand in for another one on one query. Pure functions of their arguments; numpy only.

Two questions have two answers, both measured by research/measure_standins.py:

- A policy chose the model, so its stand-in is what the policy chooses without it. No mixture of P(correct) with distances kept
  more of the routed accuracy than P(correct) alone.
- The client named the model, so its stand-in must be like it: near in the model space, and not worse on this query. The highest
  P(correct) would be right more often, but by answers that cost three times as much.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from router.model.policy import Policy, choose

LOSS_WEIGHT = 4.0  # of a predicted loss beside a distance; the least one on `val` from which more keeps hardly more


def by_policy(
    p_correct: NDArray[np.float32],
    standard_error: NDArray[np.float32],
    price_usd: NDArray[np.float64],
    among: NDArray[np.bool_],
    policy: Policy,
    cost_weight: float = 0.0,
) -> Iterator[int]:
    """What the policy chooses among the models, then what it chooses among the others, and so on. Computed as far as it is read.

    Models whose p_correct is NaN are left out.

    Args:
        p_correct, standard_error, price_usd, cost_weight: as for `choose`, (M,).
        among: (M,), bool.
    """
    left = among.copy()
    while (choice := choose(p_correct, standard_error, price_usd, left, policy, cost_weight)) is not None:
        yield choice.model
        left[choice.model] = False


def nearest(distance: NDArray[np.float32], among: NDArray[np.bool_]) -> list[int]:
    """The models by distance, the nearest first; those of unknown distance last, in the order of their indexes.

    Args:
        distance: (M,), float32; NaN if it is not known.
        among: (M,), bool.
    """
    return [i for i in np.argsort(distance, kind="stable").tolist() if among[i]]  # NaN comes last


def like_named(
    distance: NDArray[np.float32], p_correct: NDArray[np.float32], named: int, among: NDArray[np.bool_]
) -> list[int]:
    """The models by distance + LOSS_WEIGHT * predicted loss, the least first.

    A model that is better than the named one on this query has no loss, and gains nothing by it.

    Args:
        distance: to the named model, (M,), float32; NaN if it is not known.
        p_correct: for this query, (M,), float32; NaN if it is not known.
        named: index of the named model.
        among: (M,), bool.

    Returns:
        Indexes; models whose distance or p_correct is not known are left out.
    """
    apart = apart_from_named(distance, p_correct, named)
    return nearest(apart, among & ~np.isnan(apart))


def apart_from_named(distance: NDArray[np.float32], p_correct: NDArray[np.float32], named: int) -> NDArray[np.float32]:
    """What `like_named` sorts by, (M,), float32; NaN where the distance or p_correct is not known. Arguments as there."""
    loss = np.maximum(p_correct[named] - p_correct, np.float32(0.0))  # NaN stays NaN
    apart: NDArray[np.float32] = distance + np.float32(LOSS_WEIGHT) * loss
    return apart
