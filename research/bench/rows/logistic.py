"""One logistic regression per model on the query encoding, with an L2 penalty. Models share nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from research.bench.method import Setting
from router.data.dataset import Dataset

STEPS = 25
TOLERANCE = 1e-3  # largest change of a coefficient


@dataclass(frozen=True)
class _Fitted:
    """Coefficients (M, d_q + 1), the offset last; NaN for a model without evaluations."""

    q: NDArray[np.float32]
    coefficients: NDArray[np.float32]

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        p: NDArray[np.float32] = expit(self.coefficients[:, :-1] @ self.q[queries].T + self.coefficients[:, -1:])
        return p


class Logistic:
    """Tuned by the penalty λ of  Σ cross-entropy + λ/2 |w|²; the offset is not penalised."""

    name = "logistic regression"
    version = 1
    grid: tuple[Setting, ...] = tuple({"penalty": penalty} for penalty in (1, 3, 10, 30, 100, 300))
    seeds = 1

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> _Fitted:
        train = data.splits == "train"
        coefficients = np.full((len(data.models), q.shape[1] + 1), np.nan, np.float32)
        for m, scores in enumerate(data.scores):
            known = np.flatnonzero(train & ~np.isnan(scores))
            if len(known):
                coefficients[m] = regress(q[known], scores[known], float(setting["penalty"]))
        return _Fitted(q, coefficients)


def regress(q: NDArray[np.float32], y: NDArray[np.float32], penalty: float) -> NDArray[np.float64]:
    """Newton's method for penalised logistic regression.

    Args:
        q: (n, d_q).
        y: targets, (n,), in [0, 1].

    Returns:
        (d_q + 1,), the offset last.
    """
    x = np.column_stack([q, np.ones(len(q), np.float32)])
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 1e-3  # keeps the offset finite if all scores are equal
    w = np.zeros(x.shape[1])
    mean = np.clip(y.mean(), 0.01, 0.99)
    w[-1] = np.log(mean / (1 - mean))
    for _ in range(STEPS):
        p = expit(x @ w.astype(np.float32))
        gradient = x.T @ (p - y) + ridge * w
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(curvature.astype(np.float64), gradient.astype(np.float64))
        w -= step
        if np.abs(step).max() < TOLERANCE:
            break
    return w
