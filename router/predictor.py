"""Read-outs bound to a list of models -> P(correct), its standard error, and whether the guard decides. numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.features import Features
from router.locus import Locus

SOFTNESS = 0.04  # of the bend towards 0 and 1


@dataclass(frozen=True)
class Prediction:
    """What is expected of M models on n queries.

    Attributes:
        p_correct: (n, M), float32, in [0, 1].
        standard_error: of p_correct, (n, M), float32: how well the model is known on this kind of question.
        guarded: (n,), bool: nothing finer than the best single model of the query's kind was worth believing there.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    guarded: NDArray[np.bool_]


class Predictor:
    """Predictions for M models; everything that does not depend on the query is computed once.

    A model's deviation from the mean model is known at three levels: its mean over the query's benchmark, over the query's
    domain, and at the query itself. How much of the two finer ones is believed was found for each benchmark in training
    (`router.guard`); where neither is, the model with the best mean of that benchmark has the highest p_correct.

    Args:
        coefficients: read-outs relative to the mean model, (M, F).
        variances: (M, C).
    """

    def __init__(self, locus: Locus, coefficients: NDArray[np.float32], variances: NDArray[np.float32]) -> None:
        self._features = locus.features
        self._mean = locus.features.folded(locus.prior.mean)
        self._fine_t = np.ascontiguousarray(coefficients.T)
        levels = locus.profiles @ self._fine_t  # (B + C, M)
        self._by_benchmark, self._by_domain = np.split(levels, [locus.features.benchmarks])
        self._variances_t = np.ascontiguousarray(variances.T)
        self._trust = locus.trust

    def predict(self, q: NDArray[np.float32]) -> Prediction:
        """(n, d_q) encodings -> predictions."""
        return self.at(self._features(q))

    def at(self, features: Features) -> Prediction:
        """Predictions for queries whose features are known."""
        flat = np.concatenate(
            [
                np.ones((len(features.domains), 1), np.float32),
                features.benchmarks,
                features.domains,
                features.closeness,
            ],
            axis=1,
        )
        of_domain, of_query = (features.benchmarks @ self._trust.T).T
        coarse = features.benchmarks @ self._by_benchmark
        middle = features.domains @ self._by_domain
        deviation = coarse + of_domain[:, None] * (middle - coarse) + of_query[:, None] * (flat @ self._fine_t - middle)
        variance = features.domains @ self._variances_t
        return Prediction(
            bend(flat @ self._mean[:, None] + deviation), np.sqrt(variance), (of_domain < 0.5) & (of_query < 0.5)
        )


def bend(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """An expected score as a probability: the identity but near 0 and 1, where it bends; increasing everywhere, float32."""
    soft = np.float32(SOFTNESS)
    bent: NDArray[np.float32] = soft * (np.logaddexp(0, value / soft) - np.logaddexp(0, (value - 1) / soft))
    return bent.astype(np.float32, copy=False)
