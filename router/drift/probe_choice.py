"""Chooses the probes that tell a model from others: those that it answers otherwise than its nearest neighbours. numpy only."""

import numpy as np
from numpy.typing import NDArray

NEIGHBORS = 10  # nearest models that a model is told from


def telling_probes(
    outcomes: NDArray[np.floating],
    neighbors: NDArray[np.floating],
    count: int,
    kinds: NDArray[np.integer] | None = None,
) -> NDArray[np.int64]:
    """The probes on which a model differs most from its nearest neighbours.

    Args:
        outcomes: the model's score on each probe, (B,), in [0, 1]; NaN where it has none, or where its own answers differ.
        neighbors: the scores of its K nearest models on the same probes, or their P(correct), (K, B); NaN where neither is known.
        count: number of probes.
        kinds: the kind of question of each probe, (B,): at most a quarter of the probes is of one kind, so that a provider's
            change of one skill, such as another chat template for code, is not all that is watched. None: not limited.

    Returns:
        Indices, at most `count`, the most telling first; equal ones in order.
    """
    known = ~np.isnan(neighbors)
    gaps = np.where(known, np.abs(outcomes - np.where(known, neighbors, 0)), 0)
    differ = gaps.sum(axis=0) / np.maximum(known.sum(axis=0), 1)  # (B,)
    by_gap = np.argsort(-differ, kind="stable")
    order: NDArray[np.int64] = by_gap[~np.isnan(outcomes[by_gap])]
    if kinds is None:
        return order[:count]
    most = max(count // 4, 1)
    used: dict[int, int] = {}
    chosen: list[int] = []
    passed: list[int] = []
    for probe in order.tolist():
        kind = int(kinds[probe])
        used[kind] = used.get(kind, 0) + 1
        (chosen if used[kind] <= most else passed).append(probe)
    return np.array([*chosen, *passed][:count], np.int64)
