"""Requests whose true P(correct) is known, and predictions of it with known errors, for tests of replay."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.policy import Policy, choose_each


@dataclass(frozen=True)
class World:
    """n requests and M models.

    Attributes:
        truth: the true P(correct), (n, M).
        scores: answers that were right, (n, M), 0 or 1.
        p_correct, standard_error: predictions, (n, M), float32, and their true standard errors.
        price_usd: (n, M).
        kinds: (n,).
    """

    truth: NDArray[np.float64]
    scores: NDArray[np.float64]
    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    price_usd: NDArray[np.float64]
    kinds: NDArray[np.int64]

    def routed(self, cost_weight: float, models: list[int] | None = None) -> NDArray[np.int64]:
        """The choices at a cost weight, (n,)."""
        able = np.ones(self.p_correct.shape, np.bool_)
        if models is not None:
            able[:] = np.isin(np.arange(able.shape[1]), models)
        weights = np.full(len(able), cost_weight)
        predicted = self.p_correct, self.standard_error, self.price_usd
        return choose_each(*predicted, able, Policy("test"), weights)

    def right(self, chosen: NDArray[np.int64]) -> float:
        """The share of right answers of these choices."""
        return float(self.scores[np.arange(len(chosen)), chosen].mean())


def world(n: int, models: int = 6, *, error: float = 0.05, kinds: int = 5, bias: float = 0.0, seed: int = 0) -> World:
    """Models of different skill and price. The predictions err by kind and model.

    Args:
        error: standard deviation of the errors of the predictions, equal within a kind.
        bias: added to the predictions of the last model, the dearest and best, and not part of the standard errors.
    """
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, n)
    skill = np.linspace(-1.0, 1.5, models) + rng.normal(0, 0.8, (kinds, models))
    truth = 1 / (1 + np.exp(-(skill[kind] + rng.normal(0, 1, (n, 1)) + rng.normal(0, 0.3, (n, models)))))
    missed = rng.normal(0, error, (kinds, models))[kind]
    predicted = truth + missed
    predicted[:, -1] += bias
    usd = 0.0001 * 3.0 ** np.arange(models) * rng.uniform(0.5, 1.5, (n, 1))
    return World(
        truth,
        (rng.random((n, models)) < truth).astype(np.float64),
        np.clip(predicted, 0, 1).astype(np.float32),
        np.full((n, models), error, np.float32),
        usd,
        kind,
    )
