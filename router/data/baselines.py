"""Baselines without training: the best single model of a pool, and nearest neighbours."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.data.pools import Pool, pools, routed_scores

K_GRID = (10, 20, 50, 100, 200)
BLOCK = 1024  # queries per similarity block: 1024 x 30,000 float32 is 120 MB


def mean_scores(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean score of each model over its evaluations, (M, n) -> (M,); 0 without evaluations."""
    count = np.maximum((~np.isnan(scores)).sum(axis=1), 1)
    mean: NDArray[np.float32] = (np.nansum(scores, axis=1, dtype=np.float64) / count).astype(np.float32)
    return mean


def best_single(data: Dataset, pool: Pool) -> NDArray[np.float32]:
    """The mean score of each model on the pool's benchmarks in split `train`, repeated for every query: (M, Q)."""
    of_pool = np.isin(data.benchmarks, np.unique(data.benchmarks[pool.queries]))
    mean = mean_scores(data.scores[:, (data.splits == "train") & of_pool])
    return np.broadcast_to(mean[:, None], data.scores.shape)


def knn(data: Dataset, q: NDArray[np.float32], split: str) -> tuple[NDArray[np.float32], int]:
    """The mean score of each model on the k nearest train queries that it answered, (M, Q), and k, which is chosen on `val`.

    Args:
        q: query encodings, (Q, d_q), unit-norm: nearest by cosine.
        split: the queries to predict; others are NaN.
    """
    neighbours = Neighbours(data, q)
    val, routed = data.where("val"), list(pools(data, "val"))
    value = np.full(data.scores.shape, np.nan, np.float32)
    reached = {}
    for k in K_GRID:
        value[:, val] = neighbours.predict(val, k)
        reached[k] = np.mean([routed_scores(data, pool, value).mean() for pool in routed])
    k = max(K_GRID, key=lambda k: reached[k])
    value = np.full(data.scores.shape, np.nan, np.float32)
    value[:, data.where(split)] = neighbours.predict(data.where(split), k)
    return value, k


class Neighbours:
    """Nearest-neighbour prediction from the models' own train evaluations.

    Args:
        q: query encodings, (Q, d_q), unit-norm: nearest by cosine.
    """

    def __init__(self, data: Dataset, q: NDArray[np.float32]) -> None:
        self._scores, self._train, self._q = data.scores, data.where("train"), q

    def predict(self, queries: NDArray[np.int64], k: int, temperature: float | None = None) -> NDArray[np.float32]:
        """The mean score of each model on the k nearest train queries that it answered.

        Args:
            queries: indices into the dataset, (n,).
            k: number of neighbours; if there are fewer, all are used.
            temperature: neighbours are weighted by exp(cosine / temperature); None: equally.

        Returns:
            (M, n), float32; NaN for a model without train evaluations.
        """
        out = np.full((len(self._scores), len(queries)), np.nan, np.float32)
        for members, known in self._groups():
            scores = self._scores[np.ix_(members, known)]
            take = min(k, len(known))
            for start in range(0, len(queries), BLOCK):
                block = slice(start, start + BLOCK)
                closeness = self._q[queries[block]] @ self._q[known].T
                nearest = np.argpartition(-closeness, take - 1, axis=1)[:, :take]
                weight = _weights(np.take_along_axis(closeness, nearest, axis=1), temperature)
                for row, of_model in zip(members, scores, strict=True):
                    out[row, block] = np.einsum("nk,nk->n", of_model[nearest], weight)
        return out

    def _groups(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Groups of models that answered the same train queries, with those queries: a group shares one search."""
        answered = ~np.isnan(self._scores[:, self._train])
        groups: dict[bytes, list[int]] = {}
        for m, row in enumerate(answered):
            if row.any():
                groups.setdefault(row.tobytes(), []).append(m)
        for members in groups.values():
            yield np.array(members, np.int64), self._train[answered[members[0]]]


def _weights(closeness: NDArray[np.float32], temperature: float | None) -> NDArray[np.float32]:
    """(n, k), rows sum to 1."""
    weight = np.ones_like(closeness)
    if temperature is not None:
        weight = np.exp((closeness - closeness.max(axis=1, keepdims=True)) / np.float32(temperature))
    weights: NDArray[np.float32] = weight / weight.sum(axis=1, keepdims=True)
    return weights
