"""k-means clusters of the train queries and each model's mean score in them: the training-free idea of Avengers.

The mean of a cluster is shrunk toward a prior mean of the model, so that a cluster with few evaluations counts little.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from research.bench.method import Setting
from research.bench.rows.best_single import PerBenchmark, pool_means
from router.data.dataset import Dataset

OVERALL, POOL = "overall", "pool"


@dataclass(frozen=True)
class Partition:
    """K centres in the space of query encodings.

    Attributes:
        centres: (K, d_q), float32.
    """

    centres: NDArray[np.float32]

    @classmethod
    def of(cls, q: NDArray[np.float32], clusters: int, seed: int) -> "Partition":
        """k-means over (n, d_q) encodings, started by k-means++ from the seed."""
        from sklearn.cluster import KMeans

        means = KMeans(min(clusters, len(q)), n_init=1, max_iter=50, random_state=seed).fit(q)
        return cls(means.cluster_centers_.astype(np.float32))

    def __call__(self, q: NDArray[np.float32]) -> NDArray[np.int64]:
        """The nearest centre, (n, d_q) -> (n,)."""
        closeness = q @ self.centres.T - 0.5 * (self.centres**2).sum(axis=1)
        nearest: NDArray[np.int64] = closeness.argmax(axis=1)
        return nearest

    def sums(self, data: Dataset, q: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each model's train evaluations in each cluster: the sum of scores and the number, both (M, K)."""
        train = data.where("train")
        member = np.eye(len(self.centres), dtype=np.float32)[self(q[train])]
        scores = data.scores[:, train]
        right = np.nan_to_num(scores) @ member
        return right.astype(np.float64), ((~np.isnan(scores)).astype(np.float32) @ member).astype(np.float64)


@dataclass(frozen=True)
class ClusterMeans:
    """The fitted row. `prior` gives (M, n) for queries; `right` and `count` are (M, K)."""

    q: NDArray[np.float32]
    partition: Partition
    right: NDArray[np.float64]
    count: NDArray[np.float64]
    shrinkage: float
    prior: PerBenchmark | None

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        cluster = self.partition(self.q[queries])
        total = self.count.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            overall = self.right.sum(axis=1, keepdims=True) / total  # NaN: the model has no evaluations
        prior = overall if self.prior is None else self.prior.predict(queries)
        prior = np.where(np.isnan(prior), overall, prior)
        # Without shrinkage a small weight of the prior remains, for clusters without evaluations of the model.
        weight = max(self.shrinkage, 1e-3)
        p = (self.right[:, cluster] + weight * prior) / (self.count[:, cluster] + weight)
        return p.astype(np.float32)


class Clusters:
    """Tuned by the number of clusters, the shrinkage in evaluations, and the prior: the model's mean overall or in the pool."""

    name = "clusters"
    version = 1
    grid: tuple[Setting, ...] = tuple(
        {"clusters": clusters, "shrinkage": shrinkage, "prior": prior}
        for clusters in (16, 32, 64, 128, 256)
        for shrinkage in (0, 10, 20, 50, 100)
        for prior in (OVERALL, POOL)
    )
    seeds = 3

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> ClusterMeans:
        partition = Partition.of(q[data.where("train")], int(setting["clusters"]), seed)
        prior = PerBenchmark(data.benchmarks, len(data.models), pool_means(data)) if setting["prior"] == POOL else None
        return ClusterMeans(q, partition, *partition.sums(data, q), float(setting["shrinkage"]), prior)
