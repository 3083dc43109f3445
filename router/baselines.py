"""What a router has to beat: the best single model, and k nearest neighbours on the models' own evaluations."""

import numpy as np
from numpy.typing import NDArray

from router.data import Dataset
from router.pools import Pool, pools, routed_scores

K_GRID = (10, 20, 50, 100, 200)
BLOCK = 1024  # queries per similarity block: 1024 x 30,000 float32 is 120 MB


def best_single(data: Dataset, pool: Pool) -> NDArray[np.float32]:
    """Every model's mean score on the pool's benchmarks in split `train`, as a (M, Q) value to route by."""
    queries = np.flatnonzero(
        (data.splits == "train") & np.isin(data.benchmarks, list(set(data.benchmarks[pool.queries].tolist())))
    )
    scores = data.scores[:, queries]
    count = np.maximum((~np.isnan(scores)).sum(axis=1), 1)
    mean = np.nansum(scores, axis=1) / count
    return np.broadcast_to(mean[:, None].astype(np.float32), data.scores.shape)


def knn(data: Dataset, q: NDArray[np.float32], split: str) -> tuple[NDArray[np.float32], int]:
    """Mean score of each model on the k nearest train queries that it answered, (M, Q), and the k that `val` chose.

    Args:
        q: query encodings, (Q, d_q), unit-norm: nearest by cosine.
        split: which queries to predict; others are NaN.
    """
    at_val = {k: _knn(data, q, "val", k) for k in K_GRID}
    k = max(K_GRID, key=lambda k: np.mean([routed_scores(data, pool, at_val[k]).mean() for pool in pools(data, "val")]))
    return (at_val[k] if split == "val" else _knn(data, q, split, k)), k


def _knn(data: Dataset, q: NDArray[np.float32], split: str, k: int) -> NDArray[np.float32]:
    """Models that answered the same train queries share one neighbour search."""
    train, asked = data.where("train"), data.where(split)
    answered = ~np.isnan(data.scores)
    out = np.full(data.scores.shape, np.nan, np.float32)
    groups: dict[bytes, list[int]] = {}
    for m in range(len(data.models)):
        groups.setdefault(answered[m, train].tobytes(), []).append(m)
    for members in groups.values():
        known = train[answered[members[0], train]]
        targets = asked[answered[np.ix_(np.array(members), asked)].any(axis=0)]
        if not len(known) or not len(targets):
            continue
        scores = data.scores[np.ix_(np.array(members), known)]
        take = min(k, len(known))
        for start in range(0, len(targets), BLOCK):
            block = targets[start : start + BLOCK]
            similarity = q[block] @ q[known].T
            nearest = np.argpartition(-similarity, take - 1, axis=1)[:, :take]
            out[np.ix_(np.array(members), block)] = scores[:, nearest].mean(axis=2)
    return out
