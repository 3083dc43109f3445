"""Best per benchmark: the model with the highest mean on the train queries of the query's benchmark.

A real router does not know the benchmark of a query.
"""

import numpy as np
from numpy.typing import NDArray

from research.bench.method import Setting
from research.bench.rows.best_single import PerBenchmark
from router.data.baselines import mean_scores
from router.data.dataset import Dataset


class BestPerBenchmark:
    name = "best per benchmark"
    version = 1
    grid: tuple[Setting, ...] = ({},)
    seeds = 1

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> PerBenchmark:
        means = {}
        for name in np.unique(data.benchmarks[data.splits == "train"]).tolist():
            scores = data.scores[:, (data.splits == "train") & (data.benchmarks == name)]
            means[name] = np.where(np.isnan(scores).all(axis=1), np.float32(np.nan), mean_scores(scores))
        return PerBenchmark(data.benchmarks, len(data.models), means)
