"""Coefficients of a list of models and features of queries -> P(correct), its standard error, and the guard. numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.features import Features
from router.model.locus import Locus

SOFTNESS = 0.04  # width of the bend of `soft_clip` at 0 and 1
MIN_EVIDENCE = 1e-3  # weight of a kind of question on which a model has no evaluations; above 0 against a division by 0


@dataclass(frozen=True)
class Prediction:
    """Predictions for M models on n queries.

    Attributes:
        p_correct: (n, M), float32, in [0, 1].
        standard_error: of p_correct, (n, M), float32; large where a model has few evaluations on this kind of question.
        guarded: (n,), bool: True where training found no choice that beats the best single model of the query's benchmark.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    guarded: NDArray[np.bool_]


class Predictor:
    """Predictions for M models. Everything that does not depend on the query is computed once.

    p = mean model at the query + deviation of the model. The deviation has three levels: the model's mean deviation over the
    query's benchmark, over the query's domain, and at the query itself. The guard of training gives each benchmark a trust in
    the two finer levels (`router.train.guard`); where both are 0, the model with the best mean of the benchmark has the highest
    p_correct. If a query resembles several benchmarks or domains, a model's means on them are weighted by how much more its
    evaluations determine them than the prior does.

    Args:
        locus: the trained LOCUS.
        coefficients: read-outs less that of the mean model, (M, F), float32.
        variances: squared standard errors per domain, (M, C), float32.
    """

    def __init__(self, locus: Locus, coefficients: NDArray[np.float32], variances: NDArray[np.float32]) -> None:
        self._features = locus.features
        self._mean = locus.mean_coefficients
        self._coefficients_t = np.ascontiguousarray(coefficients.T)  # (F, M)
        levels = locus.profiles @ self._coefficients_t  # mean deviations, (B + C, M)
        by_benchmark, by_domain = np.split(levels, [locus.features.benchmarks])  # (B, M), (C, M)
        self._variances_t = np.ascontiguousarray(variances.T)  # (C, M)
        # Precision that the evaluations add, relative to the prior's: v_prior / v_posterior - 1 per domain, (C, M), and its mean
        # over the domains of each benchmark, (B, M).
        added = np.maximum(locus.prior_variances[:, None] / self._variances_t - 1, 0)
        self._evidence = added + np.float32(MIN_EVIDENCE)
        members = np.eye(locus.features.benchmarks, dtype=np.float32)[locus.features.parent]  # (C, B)
        self._evidence_by_benchmark = members.T @ self._evidence / members.sum(axis=0)[:, None]
        self._weighted_by_benchmark = by_benchmark * self._evidence_by_benchmark  # (B, M)
        self._weighted_by_domain = by_domain * self._evidence  # (C, M)
        self._trust = locus.trust

    def predict(self, q: NDArray[np.float32]) -> Prediction:
        """Query encodings, (n, d_q), float32 -> predictions."""
        return self.predict_features(self._features(q))

    def predict_features(self, features: Features, trust: NDArray[np.float32] | None = None) -> Prediction:
        """Predictions for queries whose features are known.

        Args:
            features: of n queries.
            trust: in the domain term and in the kernel term, (2, 1) or (2, B), float32; None takes the guard's.
        """
        trust = np.broadcast_to(self._trust if trust is None else trust, self._trust.shape)
        joined = features.joined()  # (n, F)
        of_domain, of_query = (features.benchmarks @ trust.T).T  # trust at each query, (n,) each
        coarse = _weighted_mean(features.benchmarks, self._weighted_by_benchmark, self._evidence_by_benchmark)  # (n, M)
        middle = _weighted_mean(features.domains, self._weighted_by_domain, self._evidence)  # (n, M)
        fine = joined @ self._coefficients_t  # (n, M)
        deviation = coarse + of_domain[:, None] * (middle - coarse) + of_query[:, None] * (fine - middle)
        variance = features.domains @ self._variances_t  # (n, M)
        return Prediction(
            soft_clip(joined @ self._mean[:, None] + deviation), np.sqrt(variance), (of_domain < 0.5) & (of_query < 0.5)
        )


def _weighted_mean(
    kinds: NDArray[np.float32], weighted: NDArray[np.float32], evidence: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mean deviations over the kinds of question that a query may be, weighted by posterior and evidence.

    Args:
        kinds: posterior over K kinds, (n, K).
        weighted: mean deviation times evidence, (K, M).
        evidence: (K, M), above 0.

    Returns:
        (n, M), float32.
    """
    mean: NDArray[np.float32] = (kinds @ weighted) / (kinds @ evidence)
    return mean


def soft_clip(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """An expected score, any shape, as a probability in [0, 1], float32. Strictly increasing, so that it keeps the order of models.

    s (softplus(v / s) - softplus((v - 1) / s)) with s = `SOFTNESS`: the identity, except that it bends near 0 and 1.
    """
    soft = np.float32(SOFTNESS)
    bent: NDArray[np.float32] = soft * (np.logaddexp(0, value / soft) - np.logaddexp(0, (value - 1) / soft))
    return bent.astype(np.float32, copy=False)
