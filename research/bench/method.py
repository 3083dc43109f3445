"""What every row of the yardstick implements: fit on the `train` scores of a dataset, then say P(correct) for any query."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset

Setting = Mapping[str, int | float | str]  # name -> value of what is tuned


class Fitted(Protocol):
    """A method that has seen its evidence."""

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        """P(correct) for queries of the dataset that it was fitted on.

        Args:
            queries: indices into the dataset, (n,).

        Returns:
            (M, n), float32, in [0, 1], models in the dataset's order; NaN for a model it knows nothing about.
        """
        ...


class Method(Protocol):
    """A way to route. Methods are stateless: everything learned is in what `fit` returns.

    Attributes:
        name: the row's name in tables, and on the command line.
        version: raise it when the code begins to predict something else; results of older versions are then made anew.
        grid: settings to try on `val`; one empty setting where there is nothing to tune.
        seeds: 1 for what is deterministic, more for what is trained; the default number of repetitions.
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
        """Learns from the scores of split `train`; those of `val` may serve to stop early.

        Args:
            data: scores of `test`, and of models that are left out, are NaN already.
            q: query encodings, (Q, d_q), unit-norm float32, in the dataset's order.
            setting: one of `grid`.
            seed: same seed, same predictions.
        """
        ...


def thinned(data: Dataset, per_model: int, seed: int) -> Dataset:
    """The dataset with at most so many train evaluations of each model; all its other train scores are NaN.

    Which ones is drawn from (seed, model) alone, and fewer are always a subset of more.
    """
    scores = data.scores.copy()
    train = data.splits == "train"
    for m in range(len(data.models)):
        known = np.flatnonzero(~np.isnan(scores[m]) & train)
        scores[m, np.random.default_rng((seed, m)).permutation(known)[per_model:]] = np.nan
    return replace(data, scores=scores)
