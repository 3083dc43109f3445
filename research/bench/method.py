"""The interface of the routers that are compared: fit on the `train` scores of a dataset, then predict P(correct)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset

Setting = Mapping[str, int | float | str]  # name -> value of the parameters that are tuned


class Fitted(Protocol):
    """A fitted method."""

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        """P(correct) for queries of the dataset that it was fitted on.

        Args:
            queries: indices into the dataset, (n,).

        Returns:
            (M, n), float32, in [0, 1], models in the dataset's order; NaN for a model without train evaluations.
        """
        ...


class Method(Protocol):
    """A router to compare. Methods are stateless: `fit` returns everything that was learned.

    Attributes:
        name: the row's name in tables, and on the command line.
        version: raise it when a change of the code changes predictions; kept results of older versions are then ignored.
        grid: settings to try on `val`; one empty setting if there is nothing to tune.
        seeds: 1 if the method does not depend on the seed, else the default number of repetitions.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def grid(self) -> tuple[Setting, ...]: ...
    @property
    def seeds(self) -> int: ...

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> Fitted:
        """Learns from the scores of split `train`. May use those of `val` to stop early.

        Args:
            data: scores of `test`, and of models that are left out, are NaN.
            q: query encodings, (Q, d_q), unit-norm float32, in the dataset's order.
            setting: one of `grid`.
            seed: the same seed gives the same predictions.
        """
        ...


def thinned(data: Dataset, per_model: int, seed: int) -> Dataset:
    """The dataset with at most `per_model` train evaluations of each model; all other train scores are NaN.

    The draw depends on (seed, model) only, and a smaller draw is a subset of a larger one.
    """
    scores = data.scores.copy()
    train = data.splits == "train"
    for m in range(len(data.models)):
        known = np.flatnonzero(~np.isnan(scores[m]) & train)
        scores[m, np.random.default_rng((seed, m)).permutation(known)[per_model:]] = np.nan
    return replace(data, scores=scores)
