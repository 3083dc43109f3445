"""How able each model is and how easy each query: a Rasch model per benchmark, of which `router.train.name_prior` makes one scale.

Inside a benchmark the log-odds of a right answer are easiness of the query plus level of the model (Rasch 1960). The two are found
by turns, by Newton steps, each with a normal prior, since a query with few answers says little about itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset

EASINESS_VARIANCE = 1.0  # prior variance of a query's easiness inside its benchmark, log-odds
LEVEL_VARIANCE = 1.0  # prior variance of a level inside a benchmark while easiness is found
ROUNDS = 40
LARGEST_STEP = 1.0  # log-odds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Abilities:
    """N levels: of each model on each benchmark where it has train evaluations.

    Attributes:
        benchmarks: B names.
        models: index of each level's model in the dataset, (N,), int64.
        benchmark: index of each level's benchmark, (N,), int64.
        levels: relative to the mean model of the benchmark, log-odds, (N,), float64.
        errors: variances of their sampling errors, (N,), float64.
        easiness: of the train queries, for the mean model of the benchmark, log-odds, (Q,), float64; NaN without evaluations.
    """

    benchmarks: tuple[str, ...]
    models: NDArray[np.int64]
    benchmark: NDArray[np.int64]
    levels: Floats
    errors: Floats
    easiness: Floats


def measure_abilities(data: Dataset) -> Abilities:
    """Measures levels and easiness on split `train`; models marked `onboarding` are not read."""
    known = ~np.isnan(data.scores) & (data.splits == "train") & ~data.onboarding[:, None]
    easiness = np.full(len(data.splits), np.nan)
    names: list[str] = []
    models, benchmark, levels, errors = [], [], [], []
    for name in np.unique(data.benchmarks).tolist():
        columns = np.flatnonzero((data.benchmarks == name) & known.any(axis=0))
        rows = np.flatnonzero(known[:, columns].any(axis=1))
        if not len(rows):
            continue
        here = known[np.ix_(rows, columns)]
        scores = np.where(here, data.scores[np.ix_(rows, columns)], 0.0)
        easiness[columns], level, error = rasch(scores, here)
        benchmark.append(np.full(len(rows), len(names)))
        models.append(rows)
        levels.append(level)
        errors.append(error)
        names.append(name)
    none = np.zeros(0)
    return Abilities(
        tuple(names),
        np.concatenate([none, *models]).astype(np.int64),
        np.concatenate([none, *benchmark]).astype(np.int64),
        np.concatenate([none, *levels]),
        np.concatenate([none, *errors]),
        easiness,
    )


def rasch(scores: Floats, known: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Easiness of q queries and levels of m models, from one benchmark.

    Args:
        scores: (m, q), in [0, 1]; 0 where not known.
        known: (m, q); each row and each column has a known score.

    Returns:
        Easiness, (q,); levels, (m,), and their error variances, (m,). A level is the one that its evaluations alone would give: the
        posterior level and its curvature, with the prior taken out again.
    """
    easiness, level = np.zeros(scores.shape[1]), np.zeros(len(scores))
    for _ in range(ROUNDS):
        gradient, curvature = _slopes(scores, known, easiness, level, axis=0)
        pull = (easiness - easiness.mean()) / EASINESS_VARIANCE
        easiness += _step(gradient - pull, curvature + 1 / EASINESS_VARIANCE)
        gradient, curvature = _slopes(scores, known, easiness, level, axis=1)
        level += _step(gradient - level / LEVEL_VARIANCE, curvature + 1 / LEVEL_VARIANCE)
    errors = 1 / np.maximum(curvature, 1e-6)
    return easiness, level * (1 + errors / LEVEL_VARIANCE), errors


def _slopes(
    scores: Floats, known: NDArray[np.bool_], easiness: Floats, level: Floats, axis: int
) -> tuple[Floats, Floats]:
    """Sums of the first and the negative second derivatives of the log-likelihood along an axis."""
    p = 1 / (1 + np.exp(-(easiness + level[:, None])))
    return (known * (scores - p)).sum(axis=axis), (known * p * (1 - p)).sum(axis=axis)


def _step(gradient: Floats, curvature: Floats) -> Floats:
    step: Floats = np.clip(gradient / curvature, -LARGEST_STEP, LARGEST_STEP)
    return step
