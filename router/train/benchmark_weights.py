"""Weights of training queries, so that no benchmark decides by its size alone what is learned of models in general."""

import numpy as np
from numpy.typing import NDArray


def query_weights(benchmarks: NDArray[np.str_]) -> NDArray[np.float64]:
    """The weight of each query: a benchmark weighs by the square root of its size, evenly divided among its queries.

    By number alone, two benchmarks have half of the queries. With equal weights, one with twenty queries would weigh as much as one
    with thousands, though its mean is known ten times less well.

    Args:
        benchmarks: of the queries that are trained on, (n,), at least one.

    Returns:
        (n,), float64, with a mean of 1.
    """
    _, of_query, sizes = np.unique(benchmarks, return_inverse=True, return_counts=True)
    weights = (1 / np.sqrt(sizes))[of_query]
    return np.asarray(weights / weights.mean())
