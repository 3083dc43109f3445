"""Best single: always the model with the highest mean on the train queries of the query's pool, which it is given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from research.bench.method import Setting
from router.data.baselines import mean_scores
from router.data.dataset import Dataset
from router.data.pools import pools


@dataclass(frozen=True)
class PerBenchmark:
    """One number per model and benchmark.

    Attributes:
        benchmarks: of the dataset's queries, (Q,).
        models: M.
        means: benchmark -> (M,).
    """

    benchmarks: NDArray[np.str_]
    models: int
    means: dict[str, NDArray[np.float32]]

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        p = np.full((self.models, len(queries)), np.nan, np.float32)
        for name, mean in self.means.items():
            p[:, self.benchmarks[queries] == name] = mean[:, None]
        return p


class BestSingle:
    name = "best single"
    version = 1
    grid: tuple[Setting, ...] = ({},)
    seeds = 1

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> PerBenchmark:
        return PerBenchmark(data.benchmarks, len(data.models), pool_means(data))


def pool_means(data: Dataset) -> dict[str, NDArray[np.float32]]:
    """Each model's mean on the train queries of its pool, for each benchmark of the pool, (M,).

    A benchmark that two pools share has the models of both, each with the mean over its own pool.
    """
    means: dict[str, NDArray[np.float32]] = {}
    for pool in pools(data, "train"):
        benchmarks = np.unique(data.benchmarks[pool.queries])
        scores = data.scores[:, (data.splits == "train") & np.isin(data.benchmarks, benchmarks)]
        known = np.isin(np.arange(len(scores)), pool.models) & ~np.isnan(scores).all(axis=1)
        of_pool = np.where(known, mean_scores(scores), np.float32(np.nan))
        for name in benchmarks.tolist():
            before = means.get(name, np.full(len(scores), np.nan, np.float32))
            means[name] = np.where(np.isnan(before), of_pool, before)
    return means
