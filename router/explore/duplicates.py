"""Which models of a space lie nearer to each other than distinct models do by chance.

How near is near depends on the region: some parts of a space are crowded. The null is therefore local. Where models lie
evenly within the reach of a model's k-th neighbour, at r_k, in a space of intrinsic dimension D, each of the k - 1 nearer
ones is within r of it with probability (r / r_k)^D; so one or more of them are with

    chance(r) = 1 - (1 - (r / r_k)^D)^(k - 1).

D is read off the space itself: the value at which half of its models have a nearest neighbour whose chance is below 1/2
(after the two-neighbour estimator of Facco et al. 2017; a median, so that a minority of duplicates does not move it).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5  # k: few enough to stay within a crowd, enough for up to four copies of a model to be seen as such
DEFAULT_THRESHOLD = 0.05  # such pairs by chance in the whole space: how unusual a pair must be to be listed
MIN_MODELS = 8  # models for which a neighbourhood of 5 means anything


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models that are unusually near.

    Attributes:
        a, b: rows, a < b.
        distance: between them.
        of_neighbourhood: distance as a share of the distance to the k-th neighbour, the larger of both sides' shares.
        chance: that a model with distinct neighbours has one this near, in [0, 1].
        expected: how many models of a space of this size would have one this near by chance; at most M.
    """

    a: int
    b: int
    distance: float
    of_neighbourhood: float
    chance: float
    expected: float


def find_duplicates(distances: NDArray[np.floating], expected: float = DEFAULT_THRESHOLD) -> list[Pair]:
    """Pairs so near that at most `expected` models of such a space would have so near a neighbour by chance.

    Both models must find the other unusual, each by the measure of its own neighbourhood. The default finds a pair in at
    most one of twenty spaces without duplicates (Bonferroni). An infinite `expected` gives all pairs.

    Args:
        distances: (M, M), symmetric, zero diagonal.

    Returns:
        The least likely first; equals by distance.

    Raises:
        ValueError: fewer than 8 models, or the matrix is not square.
    """
    shares, chances = _unusualness(distances)
    number = len(distances)
    pairs = [
        Pair(a, b, float(distances[a, b]), float(shares[a, b]), float(chances[a, b]), float(number * chances[a, b]))
        for a, b in np.argwhere(np.triu(number * chances <= expected, 1)).tolist()
    ]
    return sorted(pairs, key=lambda pair: (pair.chance, pair.distance, pair.a, pair.b))


def intrinsic_dimension(distances: NDArray[np.floating]) -> float:
    """D, as the nearest neighbours' distances show it against those to the k-th; see the module.

    Raises:
        ValueError: fewer than 8 models, or the matrix is not square.
    """
    nearest, reach = _neighbourhood(distances)
    ratio = float(np.median(np.divide(nearest, reach, out=np.zeros_like(reach), where=reach > 0)))
    expected = 1 - 0.5 ** (1 / (NEIGHBOURS - 1))  # the median of (r_1 / r_k)^D
    if not 0 < ratio < 1:
        return 1.0  # half of the models are copies, or all are equally far: nothing to read a dimension from
    return float(np.log(expected) / np.log(ratio))


def _unusualness(distances: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the neighbourhood and chance of each pair, (M, M) each, by the side that finds it less unusual."""
    dimension = intrinsic_dimension(distances)
    _, reach = _neighbourhood(distances)
    d = distances.astype(np.float64)
    side = np.divide(d, reach[:, None], out=np.zeros_like(d), where=d > 0)
    shares = np.minimum(np.maximum(side, side.T), 1.0)
    chances = -np.expm1((NEIGHBOURS - 1) * np.log1p(-np.minimum(shares**dimension, 1 - 1e-16)))
    return shares, np.where(shares < 1, chances, 1.0)


def _neighbourhood(distances: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each model to its nearest and to its k-th nearest neighbour, (M,) each."""
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"expected a square matrix of distances, got {distances.shape}")
    if len(distances) < MIN_MODELS:
        raise ValueError(f"duplicates cannot be recognised among {len(distances)} models; {MIN_MODELS} is the least")
    ordered = np.sort(distances.astype(np.float64) + np.diag(np.full(len(distances), np.inf)), axis=1)
    return ordered[:, 0], ordered[:, NEIGHBOURS - 1]
