"""The baseline guard: finds, for each benchmark, how fine a choice of model beats the best single model on unseen queries.

A query's model can be chosen by the mean of its benchmark, by the mean of its domain, or by the prediction at the query itself.
`TRUST_LEVELS` orders these choices from coarse to fine. The routed score at each level is measured on queries that the read-outs
have not seen: `val`, and `train` by cross-fitting. A benchmark gets a finer level only if its gain is statistically clear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.features import Features
from router.model.locus import Locus
from router.train.domains import Domains
from router.train.training_set import FOLDS, TrainingSet

# Trust in the domain term and in the kernel term, from the coarsest choice to the finest.
TRUST_LEVELS = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.0, 0.5), (1.0, 1.0))
MIN_GAIN_ERRORS = 2.0  # least gain over the best single model, in standard errors of the gain


@dataclass(frozen=True)
class GuardResult:
    """The trust that one benchmark gets, and the measurement behind it.

    Attributes:
        benchmark: its name.
        queries: number of queries it was measured on.
        best_single: accuracy of the model with the best mean of the benchmark, in [0, 1].
        learned: accuracy at the best level.
        standard_error: of the difference, paired over queries.
        trust: the level that is used.
    """

    benchmark: str
    queries: int
    best_single: float
    learned: float
    standard_error: float
    trust: tuple[float, float]

    @property
    def guarded(self) -> bool:
        """True if the benchmark keeps its best single model."""
        return self.trust == TRUST_LEVELS[0]


def choose_trust(benchmark: str, routed: NDArray[np.float64]) -> GuardResult:
    """Chooses the trust level of a benchmark: the best one, or the coarsest if the gain is within its error.

    Args:
        benchmark: its name.
        routed: score of the chosen model per level and query, (len(TRUST_LEVELS), n), float64.
    """
    count = routed.shape[1]
    if count == 0:
        return GuardResult(benchmark, 0, 0.0, 0.0, 0.0, TRUST_LEVELS[0])
    accuracy = routed.mean(axis=1)
    best = int(np.argmax(accuracy))
    difference = routed[best] - routed[0]  # (n,), paired: both levels route the same queries
    error = float(difference.std() / np.sqrt(count))
    chosen = best if difference.mean() > MIN_GAIN_ERRORS * error else 0
    return GuardResult(benchmark, count, float(accuracy[0]), float(accuracy[best]), error, TRUST_LEVELS[chosen])


def measure_guard(locus: Locus, known: TrainingSet, domains: Domains) -> tuple[GuardResult, ...]:
    """Routes all queries of `train` (by cross-fitting) and `val` at each trust level, and chooses the level of each benchmark.

    Returns:
        one result per benchmark, in the order of `domains.benchmarks`.
    """
    routed = np.full((len(TRUST_LEVELS), len(known.queries)), np.nan)  # NaN: fewer than two models answered the query
    for fold in (None, *range(FOLDS)):
        rows = np.flatnonzero(known.fold == (-1 if fold is None else fold))
        scores = known.scores[:, rows]
        rows, scores = rows[(~np.isnan(scores)).sum(axis=0) >= 2], scores[:, (~np.isnan(scores)).sum(axis=0) >= 2]
        predictor, models = known.predictor(locus, fold)
        features = Features(*(array[rows] for array in vars(known.features).values()))
        for level, trust in enumerate(TRUST_LEVELS):
            p = predictor.predict_features(features, np.array(trust, np.float32)[:, None]).p_correct
            value = np.where(np.isnan(scores[models]), -np.inf, p.T)  # (models, rows)
            routed[level, rows] = scores[models[value.argmax(axis=0)], np.arange(len(rows))]
    of_query = known.data.benchmarks[known.queries]
    usable = ~np.isnan(routed[0])
    return tuple(choose_trust(name, routed[:, usable & (of_query == name)]) for name in domains.benchmarks)


def profiles(known: TrainingSet) -> NDArray[np.float32]:
    """Mean features of the training queries of each benchmark, then of each domain, (B + C, F), float32.

    A query counts for a benchmark or domain by its posterior. A model's coefficients times a profile are its mean deviation on
    that kind of question.
    """
    rows = np.flatnonzero(known.fold >= 0)
    features = Features(*(array[rows] for array in vars(known.features).values()))
    weights = np.concatenate([features.benchmarks, features.domains], axis=1)  # (n, B + C)
    weights = weights / weights.sum(axis=0)
    return np.asarray(weights.T @ features.joined(), np.float32)
