"""The evaluations that training reads: features of the queries, scores, and plain read-outs of all models."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.errors import DataError
from router.model.features import FeatureMap, Features
from router.model.network import sigmoid
from router.model.query_reader import log_odds
from router.model.readout import NOISE, posterior
from router.train.name_prior import FittedNames

MEAN_VARIANCE = 0.1  # prior variance of the mean model's terms
MEAN_NOISE = 0.15  # variance of a query's easiness, as a probability, around the mean model
MIN_EVALUATIONS = 8  # of a model; a model with fewer is not trained on


@dataclass(frozen=True)
class Group:
    """k models that answered the same n train queries.

    Attributes:
        models: indices into the dataset, (k,), int64.
        rows: indices of the queries into the training set, (n,), int64.
        residuals: scores less their named means, (n, k), float32.
    """

    models: NDArray[np.int64]
    rows: NDArray[np.int64]
    residuals: NDArray[np.float32]


@dataclass(frozen=True)
class TrainingSet:
    """N queries of `train` and `val`, and the scores on them.

    Attributes:
        data: the dataset; its `test` scores and those of models marked `onboarding` are not read.
        feature_map: ψ.
        queries: indices into the dataset, (N,), int64.
        features: of these queries.
        psi: their design ψ(x), (N, D), float32.
        scores: (M, N), float32; NaN where a model was not evaluated, and for models marked `onboarding`.
        mean: the mean model, (D,), float64.
        expected: the mean model at the queries, (N,), float32.
        levels: log odds by which the models' names suggest that they differ from the mean model, (M,), float32.
        named: P(correct) by the mean model and the name alone, (M, N), float32.
        in_train: True for the queries of split train, (N,), bool; the others are of val.
        groups: all models that are trained on.
    """

    data: Dataset
    feature_map: FeatureMap
    queries: NDArray[np.int64]
    features: Features
    psi: NDArray[np.float32]
    scores: NDArray[np.float32]
    mean: NDArray[np.float64]
    expected: NDArray[np.float32]
    levels: NDArray[np.float32]
    named: NDArray[np.float32]
    in_train: NDArray[np.bool_]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, data: Dataset, feature_map: FeatureMap, q: NDArray[np.float32], names: FittedNames) -> "TrainingSet":
        """The training set of a dataset.

        Args:
            feature_map: ψ.
            names: the levels of the models by their names, and the easiness of the train queries.
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
        known = ~np.isnan(scores) & in_train  # (M, N)
        if not (known.sum(axis=1) >= MIN_EVALUATIONS).any():
            raise DataError(f"no model has {MIN_EVALUATIONS} evaluations in split train")
        if not ((~np.isnan(scores[:, ~in_train])).sum(axis=0) >= 2).any():
            raise DataError("no query of split val was answered by two models: there is nothing to select by")
        mean = fit_mean(psi, names.easiness[queries])
        expected = psi @ mean.astype(np.float32)
        levels = names.prior.expected(data.models)[0].astype(np.float32)
        named = sigmoid(log_odds(expected) + levels[:, None])
        groups = tuple(_groups(scores - named, known))
        return cls(data, feature_map, queries, features, psi, scores, mean, expected, levels, named, in_train, groups)

    @property
    def models(self) -> NDArray[np.int64]:
        """The models that are trained on, as indices into the dataset, in the order of the groups."""
        return np.concatenate([group.models for group in self.groups])

    def train_scores(self) -> NDArray[np.float32]:
        """Scores of split train of the models that are trained on, (M, N), float32; NaN elsewhere."""
        out = np.full_like(self.scores, np.nan)
        seen = np.ix_(self.models, np.flatnonzero(self.in_train))
        out[seen] = self.scores[seen]
        return out

    def readouts(self, variance: NDArray[np.float64]) -> NDArray[np.float32]:
        """Plain read-outs of all models, (M, D), float32; NaN for models that are not trained on.

        Args:
            variance: v of their prior, (D,).
        """
        out = np.full((len(self.scores), self.psi.shape[1]), np.nan, np.float32)
        for group in self.groups:
            out[group.models] = posterior(self.psi[group.rows], group.residuals, NOISE, variance).mean.T
        return out


def fit_mean(psi: NDArray[np.float32], easiness: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean model m, (D,), float64: the probability that a model of level 0 answers a query, as a read-out of the
    train queries.

    Easiness is fitted jointly with the levels of the models (`router.train.name_prior`). The mean score of a query
    would not do: few models share a query, so it says as much of the models as of the query.

    Args:
        psi: design of the queries, (N, D).
        easiness: log odds, (N,), NaN for a query that is not in split train.
    """
    known = ~np.isnan(easiness)
    target = 1 / (1 + np.exp(-easiness[known]))
    start = np.zeros(psi.shape[1])
    start[0] = target.mean()  # the prior mean of the constant term; all other terms start at 0
    residual = (target - start[0]).astype(np.float32)
    return start + posterior(psi[known], residual[:, None], MEAN_NOISE, np.full(len(start), MEAN_VARIANCE)).mean[:, 0]


def _groups(residuals: NDArray[np.float32], known: NDArray[np.bool_]) -> Iterator[Group]:
    """Groups the models with enough evaluations by the train queries that they answered.

    Args:
        residuals: scores less their named means, (M, N).
        known: which scores are in split `train`, (M, N).
    """
    patterns: dict[bytes, list[int]] = {}
    for m in np.flatnonzero(known.sum(axis=1) >= MIN_EVALUATIONS):
        patterns.setdefault(known[m].tobytes(), []).append(int(m))
    for models in patterns.values():
        members, rows = np.array(models), np.flatnonzero(known[models[0]])
        yield Group(members, rows, residuals[np.ix_(members, rows)].T)
