"""Outcomes: the score and the correct predictions of a row on each query of a pool. Also random choice and the oracle."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.data.pools import Pool, routed_scores


@dataclass(frozen=True)
class Outcome:
    """Results on the n queries of a pool, averaged over the seeds of a row.

    Attributes:
        routed: score of the chosen model, (n,), float64.
        right: number of evaluations of the query whose correctness was predicted, (n,), float64; a fractional score counts
            as 1 - its distance to the prediction; None for a row without predictions.
        evaluations: number of evaluations of the query, (n,), float64.
    """

    routed: NDArray[np.float64]
    right: NDArray[np.float64] | None
    evaluations: NDArray[np.float64]

    @property
    def routing(self) -> float:
        """Routing accuracy, in [0, 1]."""
        return float(self.routed.mean())

    @property
    def prediction(self) -> float | None:
        """Share of the evaluations whose correctness was predicted (p >= 0.5 predicts correct), in [0, 1]."""
        return None if self.right is None else float(self.right.sum() / self.evaluations.sum())


def outcome(data: Dataset, pool: Pool, predictions: Sequence[NDArray[np.float32]]) -> Outcome:
    """The outcome of predictions on a pool.

    Args:
        predictions: P(correct), (M, Q), one per seed; NaN counts as the lowest value, and as "not correct".
    """
    scores, answered = _scores(data, pool)
    right = [
        np.where(answered, 1 - np.abs((p[np.ix_(pool.models, pool.queries)] >= 0.5) - scores), 0).sum(axis=0)
        for p in predictions
    ]
    routed = [routed_scores(data, pool, p).astype(np.float64) for p in predictions]
    return Outcome(np.mean(routed, axis=0), np.mean(right, axis=0), answered.sum(axis=0).astype(np.float64))


def random_choice(data: Dataset, pool: Pool) -> Outcome:
    """The expected outcome of choosing at random among the models that answered."""
    scores, answered = _scores(data, pool)
    evaluations = answered.sum(axis=0).astype(np.float64)
    return Outcome(np.where(answered, scores, 0).sum(axis=0) / evaluations, None, evaluations)


def oracle(data: Dataset, pool: Pool) -> Outcome:
    """The outcome of choosing the best model of every query."""
    scores, answered = _scores(data, pool)
    return Outcome(np.where(answered, scores, -1).max(axis=0), None, answered.sum(axis=0).astype(np.float64))


def _scores(data: Dataset, pool: Pool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    scores = data.scores[np.ix_(pool.models, pool.queries)].astype(np.float64)
    return scores, ~np.isnan(scores)
