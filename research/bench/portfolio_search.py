"""Other ways to choose k of M models, for comparison: by distance in the model space, and by exhaustive search.

Pure functions of arrays: models are columns, queries are rows. Every choice is deterministic: among equal candidates the one with
the lower index is chosen.
"""

from collections.abc import Iterator, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from router.explore.portfolio_choice import check_weights

Floats = NDArray[np.floating]


def k_center(distances: Floats, k: int) -> tuple[int, ...]:
    """k models that keep the largest distance of a model to its nearest chosen one small: Gonzalez' greedy, from the medoid.

    That distance is at most twice the smallest possible one if the triangle inequality holds. The guarantee holds from any first
    model; the medoid is a sensible choice for k = 1 as well.

    Args:
        distances: (M, M), symmetric, zero diagonal.
        k: 1 to M.

    Returns:
        k models in the order of picking, so that a shorter result is a prefix of a longer one.

    Raises:
        ValueError: k is out of range, or the matrix is not square.
    """
    _check_square(distances, k)
    picked = [int(distances.sum(axis=1).argmin())]
    nearest = distances[picked[0]].astype(np.float64)
    while len(picked) < k:
        nearest[picked] = -1.0  # a duplicate of a kept model may still be needed to reach k, a kept one never
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(np.maximum(nearest, 0.0), distances[picked[-1]])
    return tuple(picked)


def k_medoids(distances: Floats, k: int) -> tuple[int, ...]:
    """k models with a small sum of distances to the nearest kept one: PAM (Kaufman & Rousseeuw 1990), build then swap.

    Build adds the model that lowers the sum most; swap then exchanges the kept and unkept pair that lowers it most,
    until no exchange does. A local optimum, no guarantee on its distance to the best.

    Args:
        distances: (M, M), symmetric, zero diagonal.
        k: 1 to M.

    Returns:
        k models, ascending.

    Raises:
        ValueError: k is out of range, or the matrix is not square.
    """
    _check_square(distances, k)
    d = distances.astype(np.float64)
    kept: list[int] = []
    nearest = np.full(len(d), d.max() + 1)
    for _ in range(k):
        sums = np.minimum(d, nearest).sum(axis=1)
        sums[kept] = np.inf
        kept.append(int(sums.argmin()))
        nearest = np.minimum(nearest, d[kept[-1]])
    while (better := _best_swap(d, kept)) is not None:
        out, into = better
        kept[out] = into
    return tuple(sorted(kept))


def exhaustive(p: Floats, weights: Floats | None, k: int, limit: int = 1_000_000) -> tuple[int, ...]:
    """The k models with the highest weighted mean over queries of the best p among them, by trying all of them.

    Args:
        p: P(correct), or scores, (n, M), no NaN.
        weights: (n,), non-negative; None: equal weights.
        k: 1 to M.
        limit: most combinations to try; a million take about a second per thousand queries.

    Returns:
        k models, ascending; among equals the first in lexicographic order.

    Raises:
        ValueError: as for `coverage_greedy`, or there are more combinations than `limit`.
    """
    w = check_weights(p, weights, k)
    if comb(p.shape[1], k) > limit:
        raise ValueError(f"{k} of {p.shape[1]} models: {comb(p.shape[1], k):,} combinations, more than {limit:,}")
    value = np.ascontiguousarray(p.T, np.float64)
    best, kept = -np.inf, tuple[int, ...]()
    for prefix, covered in _prefixes(value, k - 1):
        start = prefix[-1] + 1 if prefix else 0
        means = np.maximum(value[start:], covered) @ w
        if means.max() > best + 1e-12:
            best, kept = float(means.max()), (*prefix, start + int(means.argmax()))
    return kept


def expected_accuracy(p: Floats, weights: Floats | None, models: Sequence[int]) -> float:
    """The weighted mean over queries of the best p among some models: the expected accuracy of routing among them.

    Args:
        p: (n, M), no NaN.
        weights: (n,), non-negative; None: equal weights.
        models: at least one column.

    Raises:
        ValueError: shapes do not fit, or there is no model.
    """
    return float(p[:, list(models)].max(axis=1).astype(np.float64) @ check_weights(p, weights, len(models)))


def _prefixes(value: NDArray[np.float64], size: int) -> Iterator[tuple[tuple[int, ...], NDArray[np.float64]]]:
    """Every ascending tuple of `size` rows that leaves room for one more, with the elementwise maximum of its rows."""
    stack: list[tuple[tuple[int, ...], NDArray[np.float64]]] = [((), np.full(value.shape[1], -np.inf))]
    while stack:
        prefix, covered = stack.pop()
        if len(prefix) == size:
            yield prefix, covered
            continue
        start = prefix[-1] + 1 if prefix else 0
        for m in reversed(range(start, len(value) - (size - len(prefix)))):
            stack.append(((*prefix, m), np.maximum(covered, value[m])))


def _best_swap(d: NDArray[np.float64], kept: list[int]) -> tuple[int, int] | None:
    """The exchange (position in `kept`, model) that lowers the sum of distances most; None if no exchange does."""
    to_kept = d[:, kept]
    now = to_kept.min(axis=1).sum()
    best, swap = now - 1e-9 * max(now, 1.0), None
    for out in range(len(kept)):
        rest = np.delete(to_kept, out, axis=1).min(axis=1, initial=np.inf)
        sums = np.minimum(d, rest).sum(axis=1)
        sums[kept] = np.inf
        if sums.min() < best:
            best, swap = float(sums.min()), (out, int(sums.argmin()))
    return swap


def _check_square(distances: Floats, k: int) -> None:
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"expected a square matrix of distances, got {distances.shape}")
    if not 1 <= k <= len(distances):
        raise ValueError(f"k must be from 1 to {len(distances)}, got {k}")
