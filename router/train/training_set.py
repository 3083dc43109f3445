"""The evaluations that training reads, in the form of the read-out: features of the queries, scores, and sums over them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.errors import DataError
from router.model.features import FeatureMap, Features
from router.model.locus import Locus
from router.model.predictor import Predictor
from router.model.readout import Prior, Statistics, posterior

FOLDS = 5  # of split train, for predictions on queries that a read-out has not seen
MIN_EVALUATIONS = 32  # of a model; a model with fewer is not trained on


@dataclass(frozen=True)
class Group:
    """Models that answered the same train queries. They share one Gram matrix, and so one Cholesky factor.

    Attributes:
        models: indices into the dataset, (k,), int64.
        folds: statistics of each of the `FOLDS` parts of split `train`.
        total: their sum.
    """

    models: NDArray[np.int64]
    folds: tuple[Statistics, ...]
    total: Statistics


@dataclass(frozen=True)
class TrainingSet:
    """n queries of `train` and `val`, and the scores on them.

    Attributes:
        data: the dataset; its `test` scores and those of models marked `onboarding` are not read.
        feature_map: ψ.
        queries: indices into the dataset, (n,), int64.
        features: of these queries.
        psi: their design ψ(x), (n, D), float32.
        scores: (M, n), float32; NaN where a model was not evaluated, and for models marked `onboarding`.
        fold: fold of each query, (n,), int64; -1 for `val`.
        groups: all models that are trained on.
    """

    data: Dataset
    feature_map: FeatureMap
    queries: NDArray[np.int64]
    features: Features
    psi: NDArray[np.float32]
    scores: NDArray[np.float32]
    fold: NDArray[np.int64]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, data: Dataset, feature_map: FeatureMap, q: NDArray[np.float32]) -> "TrainingSet":
        """The training set of a dataset.

        Args:
            q: query encodings, (Q, d_q), float32.

        Raises:
            DataError: no model has enough evaluations, or no val query was answered by two models.
        """
        queries = np.flatnonzero(data.splits != "test")
        features = feature_map(q[queries])
        psi = feature_map.design(features)
        scores = data.scores[:, queries].copy()
        scores[data.onboarding] = np.nan
        in_train = data.splits[queries] == "train"
        fold = np.where(in_train, np.random.default_rng(FOLDS).integers(FOLDS, size=len(queries)), -1)
        known = ~np.isnan(scores) & in_train  # (M, n)
        if not (known.sum(axis=1) >= MIN_EVALUATIONS).any():
            raise DataError(f"no model has {MIN_EVALUATIONS} evaluations in split train")
        if not ((~np.isnan(scores[:, ~in_train])).sum(axis=0) >= 2).any():
            raise DataError("no query of split val was answered by two models: there is nothing to select by")
        groups = tuple(_groups(psi, scores, known, fold))
        return cls(data, feature_map, queries, features, psi, scores, fold, groups)

    def readouts(self, prior: Prior) -> NDArray[np.float64]:
        """Posterior means of all models, (M, D), float64; NaN for models that are not trained on."""
        out = np.full((len(self.scores), self.psi.shape[1]), np.nan)
        root = prior.root()
        for group in self.groups:
            out[group.models] = posterior(root, prior.mean, group.total).mean.T
        return out

    def predictor(self, locus: Locus, without_fold: int | None) -> tuple[Predictor, NDArray[np.int64]]:
        """A predictor of all models that are trained on, and the indices of these models.

        Args:
            without_fold: the fold whose evaluations the read-outs do not see; None: they see all of `train`.
        """
        root = locus.prior.root()
        models, coefficients, variances = [], [], []
        for group in self.groups:
            statistics = group.total if without_fold is None else group.total.minus(group.folds[without_fold])
            after = posterior(root, locus.prior.mean, statistics)
            models.append(group.models)
            coefficients.append(locus.features.joined_coefficients(after.mean.T - locus.prior.mean))
            variances.append(np.tile(locus.variances(after), (len(group.models), 1)))
        return Predictor(locus, np.concatenate(coefficients), np.concatenate(variances)), np.concatenate(models)


def trained_on(readouts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows of `TrainingSet.readouts` of models that are trained on, (k, D)."""
    return readouts[~np.isnan(readouts[:, 0])]


def _groups(
    psi: NDArray[np.float32], scores: NDArray[np.float32], known: NDArray[np.bool_], fold: NDArray[np.int64]
) -> Iterator[Group]:
    """Groups the models with enough evaluations by the train queries that they answered.

    Args:
        psi: (n, D).
        scores: (M, n).
        known: which scores are in split `train`, (M, n).
        fold: (n,).
    """
    patterns: dict[bytes, list[int]] = {}
    for m in np.flatnonzero(known.sum(axis=1) >= MIN_EVALUATIONS):
        patterns.setdefault(known[m].tobytes(), []).append(int(m))
    for models in patterns.values():
        members = np.array(models)
        folds = []
        for k in range(FOLDS):
            rows = np.flatnonzero(known[members[0]] & (fold == k))
            folds.append(Statistics.of(psi[rows], scores[np.ix_(members, rows)].T))
        yield Group(members, tuple(folds), Statistics.sum(folds))
