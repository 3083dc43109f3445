"""Read-outs bound to a list of models -> P(correct), its standard error, and whether the guard decides. numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.features import Features
from router.model.locus import Locus

SOFTNESS = 0.04  # of the bend towards 0 and 1
UNKNOWN = 1e-3  # weight of a kind of question on which nothing is known of a model


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
    (`router.train.guard`); where neither is, the model with the best mean of that benchmark has the highest p_correct. A
    query may look like several benchmarks: a model's means there count by what is known of it, not guessed, on each.

    Args:
        coefficients: read-outs relative to the mean model, (M, F).
        variances: (M, C).
    """

    def __init__(self, locus: Locus, coefficients: NDArray[np.float32], variances: NDArray[np.float32]) -> None:
        self._features = locus.features
        self._mean = locus.mean_coefficients
        self._fine_t = np.ascontiguousarray(coefficients.T)
        levels = locus.profiles @ self._fine_t  # (B + C, M)
        by_benchmark, by_domain = np.split(levels, [locus.features.benchmarks])
        self._variances_t = np.ascontiguousarray(variances.T)
        # How many times over the evaluations outweigh the prior, per domain and per benchmark.
        self._evidence = np.maximum(locus.guessed_variances[:, None] / self._variances_t - 1, 0) + np.float32(UNKNOWN)
        members = np.eye(locus.features.benchmarks, dtype=np.float32)[locus.features.parent]
        self._evidence_by_benchmark = members.T @ self._evidence / members.sum(axis=0)[:, None]
        self._known_by_benchmark = by_benchmark * self._evidence_by_benchmark
        self._known_by_domain = by_domain * self._evidence
        self._trust = locus.trust

    def predict(self, q: NDArray[np.float32]) -> Prediction:
        """(n, d_q) encodings -> predictions."""
        return self.at(self._features(q))

    def at(self, features: Features, trust: NDArray[np.float32] | None = None) -> Prediction:
        """Predictions for queries whose features are known.

        Args:
            trust: in the domain term and in the kernel term, (2, 1) or (2, B); None takes the guard's.
        """
        trust = np.broadcast_to(self._trust if trust is None else trust, self._trust.shape)
        flat = np.concatenate(
            [
                np.ones((len(features.domains), 1), np.float32),
                features.benchmarks,
                features.domains,
                features.closeness,
            ],
            axis=1,
        )
        of_domain, of_query = (features.benchmarks @ trust.T).T
        coarse = _mean(features.benchmarks, self._known_by_benchmark, self._evidence_by_benchmark)
        middle = _mean(features.domains, self._known_by_domain, self._evidence)
        deviation = coarse + of_domain[:, None] * (middle - coarse) + of_query[:, None] * (flat @ self._fine_t - middle)
        variance = features.domains @ self._variances_t
        return Prediction(
            bend(flat @ self._mean[:, None] + deviation), np.sqrt(variance), (of_domain < 0.5) & (of_query < 0.5)
        )


def _mean(kinds: NDArray[np.float32], known: NDArray[np.float32], evidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over the kinds of question that a query may be, (n, M), weighed by what is known on each.

    Args:
        kinds: (n, K).
        known: mean times evidence, (K, M).
        evidence: (K, M).
    """
    weighed: NDArray[np.float32] = (kinds @ known) / (kinds @ evidence)
    return weighed


def bend(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """An expected score as a probability: the identity but near 0 and 1, where it bends; increasing everywhere, float32."""
    soft = np.float32(SOFTNESS)
    bent: NDArray[np.float32] = soft * (np.logaddexp(0, value / soft) - np.logaddexp(0, (value - 1) / soft))
    return bent.astype(np.float32, copy=False)
