"""Paired bootstrap over queries: the interval of a difference between two rows over random samples of queries."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A difference with its bootstrap interval."""

    mean: float
    low: float
    high: float


def draws(queries: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The number of times that each query is drawn in each resample, (resamples, queries), float64.

    A resample has as many queries as the sample, drawn with replacement.
    """
    return rng.multinomial(queries, np.full(queries, 1 / queries), size=resamples).astype(np.float64)


def resampled(
    drawn: NDArray[np.float64], value: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Σ value / Σ weight in every resample: a mean over queries, or over the evaluations of queries.

    Args:
        drawn: number of draws of each query, (R, n).
        value: of k rows, (n, k).
        weight: of the queries, (n,).

    Returns:
        (R, k).
    """
    out: NDArray[np.float64] = (drawn @ value) / (drawn @ weight)[:, None]
    return out


def difference(of_pools: Mapping[str, tuple[float, NDArray[np.float64]]]) -> Difference:
    """The macro average of differences, with the interval from resamples within each pool.

    Args:
        of_pools: name -> (measured difference, difference in each resample, (R,)).
    """
    mean = float(np.mean([measured for measured, _ in of_pools.values()]))
    spread = np.mean([resamples for _, resamples in of_pools.values()], axis=0)
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(mean, float(low), float(high))
