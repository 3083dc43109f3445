"""Finds models of a space that are nearer to each other than distinct models are by chance.

Some regions of a space are more crowded than others, so the null hypothesis is local. If models are evenly distributed within
the distance r_k of a model's k-th neighbour, in a space of intrinsic dimension D, each of the k - 1 nearer ones is within r of
it with probability (r / r_k)^D. The probability that at least one of them is within r is

    chance(r) = 1 - (1 - (r / r_k)^D)^(k - 1).

D is estimated from the space: with it, half of the models have a nearest neighbour whose chance is below 1/2 (after the
two-neighbour estimator of Facco et al. 2017; by the median, so that a minority of duplicates does not change it).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5  # k: small enough to be local, large enough to recognise up to four copies of a model
DEFAULT_THRESHOLD = 0.05  # largest expected number of pairs by chance in the whole space
MIN_MODELS = 8  # fewer models have no meaningful neighbourhood of 5


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models that are unusually near to each other.

    Attributes:
        a, b: rows, a < b.
        distance: between them.
        of_neighbourhood: distance divided by the distance to the k-th neighbour; the larger of the values of both models.
        chance: probability that a model with distinct neighbours has one this near, in [0, 1].
        expected: number of models of a space of this size that have one this near by chance; at most M.
    """

    a: int
    b: int
    distance: float
    of_neighbourhood: float
    chance: float
    expected: float


def find_duplicates(distances: NDArray[np.floating], expected: float = DEFAULT_THRESHOLD) -> list[Pair]:
    """Pairs so near that at most `expected` models of such a space have so near a neighbour by chance.

    The distance must be unusual in the neighbourhoods of both models. The default finds a pair in at most one of twenty spaces
    without duplicates (Bonferroni). An infinite `expected` gives all pairs.

    Args:
        distances: (M, M), symmetric, zero diagonal.

    Returns:
        The least probable first; equals by distance.

    Raises:
        ValueError: fewer than 8 models, or the matrix is not square.
    """
    shares, chances = _shares_and_chances(distances)
    number = len(distances)
    pairs = [
        Pair(a, b, float(distances[a, b]), float(shares[a, b]), float(chances[a, b]), float(number * chances[a, b]))
        for a, b in np.argwhere(np.triu(number * chances <= expected, 1)).tolist()
    ]
    return sorted(pairs, key=lambda pair: (pair.chance, pair.distance, pair.a, pair.b))


def intrinsic_dimension(distances: NDArray[np.floating]) -> float:
    """D, estimated from the distances to the nearest and to the k-th neighbours; see the module.

    Raises:
        ValueError: fewer than 8 models, or the matrix is not square.
    """
    nearest, reach = _neighbourhood(distances)
    ratio = float(np.median(np.divide(nearest, reach, out=np.zeros_like(reach), where=reach > 0)))
    expected = 1 - 0.5 ** (1 / (NEIGHBOURS - 1))  # the median of (r_1 / r_k)^D
    if not 0 < ratio < 1:
        return 1.0  # half of the models are copies, or all distances are equal: no estimate
    return float(np.log(expected) / np.log(ratio))


def _shares_and_chances(distances: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the neighbourhood and chance of each pair, (M, M) each, of the model for which it is less unusual."""
    dimension = intrinsic_dimension(distances)
    _, reach = _neighbourhood(distances)
    d = distances.astype(np.float64)
    side = np.divide(d, reach[:, None], out=np.zeros_like(d), where=d > 0)
    shares = np.minimum(np.maximum(side, side.T), 1.0)
    chances = -np.expm1((NEIGHBOURS - 1) * np.log1p(-np.minimum(shares**dimension, 1 - 1e-16)))
    return shares, np.where(shares < 1, chances, 1.0)


def _neighbourhood(distances: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distance of each model to its nearest and to its k-th nearest neighbour, (M,) each."""
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"expected a square matrix of distances, got {distances.shape}")
    if len(distances) < MIN_MODELS:
        raise ValueError(f"duplicates cannot be recognised among {len(distances)} models; {MIN_MODELS} is the least")
    ordered = np.sort(distances.astype(np.float64) + np.diag(np.full(len(distances), np.inf)), axis=1)
    return ordered[:, 0], ordered[:, NEIGHBOURS - 1]
