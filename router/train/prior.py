"""Fits what the read-out needs to know about models in general: the prior over read-outs, and the directions of the embedding."""

import math

import numpy as np
from numpy.typing import NDArray

from router.model.anchors import Anchors
from router.model.features import FeatureMap
from router.model.locus import EMBEDDING_DIM
from router.model.readout import Prior, Statistics, posterior
from router.train.training_set import TrainingSet, trained_on

ABILITY_VARIANCE = 0.05  # prior variance of a model's overall deviation from the mean model
MEAN_VARIANCE = 0.1  # prior variance of the mean model's terms
# Prior variances of the benchmark and domain terms, and of the kernel terms, tried on `val`. The smallest switches a term off.
GRID = tuple((domain, local) for domain in (1e-5, 0.003, 0.03) for local in (1e-6, 0.001, 0.003, 0.01, 0.03))
DIRECTIONS = 1  # more would extrapolate from where a model was evaluated to where it was not, and blur distances
PRIOR_ROUNDS = 2
EMBEDDING_PRIOR = 0.05  # share of the prior in the covariance that the embedding's directions are chosen by


def choose_prior(known: TrainingSet) -> tuple[Prior, tuple[float, float]]:
    """The prior N(m, diag(v) + U Uᵀ) of the read-outs, and the pair of `GRID` in v.

    v is the one under which differences between models are predicted best on `val`. U is the main direction of the read-outs
    over the anchors, found by alternating with the read-outs themselves.
    """
    mean = mean_model(known)
    no_directions = np.zeros((len(mean), 0))
    losses = []
    for pair in GRID:
        prior = Prior(mean, prior_variance(known.feature_map, *pair), no_directions)
        losses.append((_deviation_loss(known, known.readouts(prior)), pair))
    _, chosen = min(losses)  # of equal losses the smaller variances
    variance = prior_variance(known.feature_map, *chosen)
    prior = Prior(mean, variance, no_directions)
    for _ in range(PRIOR_ROUNDS):
        deviations = trained_on(known.readouts(prior)) - mean  # (k, D)
        left, size, _ = np.linalg.svd(deviations @ _anchor_design(known.feature_map).T, full_matrices=False)
        rank = min(DIRECTIONS, int((size > 1e-9).sum()))
        prior = Prior(mean, variance, deviations.T @ left[:, :rank] / np.sqrt(len(deviations)))
    return prior, chosen


def mean_model(known: TrainingSet) -> NDArray[np.float64]:
    """The mean model m, (D,), float64: a read-out of the mean score of each train query over the models that answered it."""
    answered = (~np.isnan(known.scores)).any(axis=0) & (known.fold >= 0)
    target = np.nanmean(known.scores[:, answered], axis=0)
    start = np.zeros(known.psi.shape[1])
    start[0] = target.mean()  # the prior mean of the constant term; all other terms start at 0
    root = np.diag(np.full(len(start), math.sqrt(MEAN_VARIANCE)))
    mean: NDArray[np.float64] = posterior(root, start, Statistics.of(known.psi[answered], target)).mean
    return mean


def prior_variance(feature_map: FeatureMap, domain: float, local: float) -> NDArray[np.float64]:
    """v of the prior, (D,), float64, in the order of ψ: constant, benchmark and domain terms, kernel terms."""
    kinds = feature_map.benchmarks + len(feature_map.parent)
    return np.concatenate([[ABILITY_VARIANCE], np.full(kinds, domain), np.full(feature_map.width - 1 - kinds, local)])


def _deviation_loss(known: TrainingSet, readouts: NDArray[np.float64]) -> float:
    """The squared error on `val` of predicted differences between models, averaged over benchmarks by the square root of size.

    Routing depends on differences between models only, so the mean error over the models is taken out of each query first.
    """
    val = np.flatnonzero(known.fold < 0)
    error = readouts.astype(np.float32) @ known.psi[val].T - known.scores[:, val]  # (M, val)
    count = (~np.isnan(error)).sum(axis=0)
    val, error, count = val[count >= 2], error[:, count >= 2], count[count >= 2]
    centred = error - np.nansum(error, axis=0) / count
    of_query = np.nansum(centred**2, axis=0) / count  # (val,)
    benchmarks = known.data.benchmarks[known.queries[val]]
    names, sizes = np.unique(benchmarks, return_counts=True)
    means = [of_query[benchmarks == name].mean() for name in names]
    return float(np.average(means, weights=np.sqrt(sizes)))


def embedding_directions(
    known: TrainingSet, prior: Prior, anchors: Anchors
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Basis (D, 128) and origin (D,) of the embedding z = (w - origin) · basis, float64.

    The metric is L Lᵀ = Σ over anchors of weight ψ ψᵀ, so that |Lᵀ (w₁ - w₂)|² is the mean squared difference of two models'
    predictions over the anchors. The basis is L times the principal directions of the models' deviations in that metric.
    """
    weight = _pair_weights(known, anchors)
    design = _anchor_design(known.feature_map) * np.sqrt(weight)[:, None]  # (A, D)
    metric = np.linalg.cholesky(design.T @ design + 1e-9 * np.eye(known.feature_map.width))  # L, (D, D)
    deviations = (trained_on(known.readouts(prior)) - prior.mean) @ metric  # (k, D)
    # With few models their scatter has a low rank; the prior's own covariance fills the remaining directions.
    scatter = deviations.T @ deviations / len(deviations) + EMBEDDING_PRIOR * (metric.T * prior.variance) @ metric
    _, vectors = np.linalg.eigh(scatter)  # eigenvalues ascending
    basis = metric @ vectors[:, ::-1][:, :EMBEDDING_DIM]
    return np.pad(basis, ((0, 0), (0, EMBEDDING_DIM - basis.shape[1]))), prior.mean


def _pair_weights(known: TrainingSet, anchors: Anchors) -> NDArray[np.float64]:
    """Weight of each anchor in distances, (A,), summing to 1: the share of compared pairs of models in its benchmark.

    A distance is between two models, so a benchmark counts by how many pairs of models were evaluated on the same query of it.
    """
    count = (~np.isnan(known.scores[:, known.fold >= 0])).sum(axis=0)  # models per train query
    of_query = known.data.benchmarks[known.queries[known.fold >= 0]]
    names, inverse, sizes = np.unique(anchors.benchmarks, return_inverse=True, return_counts=True)
    pairs = np.array([(count * (count - 1) / 2)[of_query == name].sum() for name in names]) + 1e-9
    weight = (pairs / sizes)[inverse]
    return np.asarray(weight / weight.sum())


def _anchor_design(feature_map: FeatureMap) -> NDArray[np.float64]:
    """ψ of the anchors, (A, D), float64."""
    return feature_map.design(feature_map(feature_map.anchors)).astype(np.float64)
