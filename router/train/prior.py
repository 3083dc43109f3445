"""Chooses the prior variances of the plain read-out: how much models differ from what their names suggest, and how finely."""

import numpy as np
from numpy.typing import NDArray

from router.model.features import FeatureMap
from router.train.training_set import TrainingSet

ABILITY_VARIANCE = 0.05  # prior variance of a model's overall deviation
# Prior variances of the benchmark and domain terms, and of the kernel terms, tried on `val`. The smallest switches a term off.
GRID = tuple((domain, local) for domain in (1e-5, 0.003, 0.03) for local in (1e-6, 0.001, 0.003, 0.01))


def choose_variances(known: TrainingSet) -> tuple[float, float]:
    """The pair of `GRID` under which differences between models are predicted best on `val`. Of equal ones, the smaller."""
    losses = []
    for pair in GRID:
        readouts = known.readouts(prior_variance(known.feature_map, *pair))
        losses.append((_difference_loss(known, readouts), pair))
    return min(losses)[1]


def prior_variance(feature_map: FeatureMap, domain: float, local: float) -> NDArray[np.float64]:
    """v of the prior, (D,), float64, in the order of ψ: constant, benchmark and domain terms, kernel terms."""
    kinds, kernel = feature_map.kinds, feature_map.projection.shape[1]
    return np.concatenate([[ABILITY_VARIANCE], np.full(kinds, domain), np.full(kernel, local)])


def _difference_loss(known: TrainingSet, readouts: NDArray[np.float32]) -> float:
    """The squared error on `val` of predicted differences between models, averaged over benchmarks by the square root
    of size.

    Routing depends on differences between models only, so the mean error over the models is taken out of each query first.
    """
    val = np.flatnonzero(~known.in_train)
    error = known.named[:, val] + readouts @ known.psi[val].T - known.scores[:, val]  # (M, val)
    count = (~np.isnan(error)).sum(axis=0)
    val, error, count = val[count >= 2], error[:, count >= 2], count[count >= 2]
    centred = error - np.nansum(error, axis=0) / count
    of_query = np.nansum(centred**2, axis=0) / count  # (val,)
    benchmarks = known.data.benchmarks[known.queries[val]]
    names, sizes = np.unique(benchmarks, return_counts=True)
    means = [of_query[benchmarks == name].mean() for name in names]
    return float(np.average(means, weights=np.sqrt(sizes)))
