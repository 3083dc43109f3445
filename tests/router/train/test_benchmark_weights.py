"""Weights of training queries, by hand."""

import numpy as np
import pytest

from router.train.benchmark_weights import query_weights


def test_benchmarks_weigh_by_the_square_root_of_their_size() -> None:
    benchmarks = np.array(["large"] * 90 + ["small"] * 10)
    weights = query_weights(np.random.default_rng(0).permutation(benchmarks))
    assert weights.mean() == pytest.approx(1)
    weights = query_weights(benchmarks)
    assert weights[:90].sum() / weights[90:].sum() == pytest.approx(np.sqrt(90 / 10))
    assert len(np.unique(weights[:90])) == len(np.unique(weights[90:])) == 1


def test_a_single_benchmark_weighs_evenly() -> None:
    np.testing.assert_allclose(query_weights(np.array(["only"] * 7)), np.ones(7))
