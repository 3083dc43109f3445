"""Pools, best single and kNN on a table small enough to check by hand."""

import numpy as np
import pytest

from router.baselines import best_single, knn
from router.data import Dataset
from router.encoder import normalise
from router.pools import pools, routed_scores

NAN = float("nan")


def dataset() -> Dataset:
    """mmlu_pro (models 0, 1, 2) and a benchmark of its own (models 2, 3); queries 0-5 train, 6-7 val, 8-11 test."""
    benchmarks = ["mmlu_pro"] * 3 + ["own"] * 3 + ["mmlu_pro", "own"] + ["mmlu_pro"] * 2 + ["own"] * 2
    splits = ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    scores = [
        [1, 1, 0, NAN, NAN, NAN, 1, NAN, 1, 0, NAN, NAN],
        [0, 1, 1, NAN, NAN, NAN, 0, NAN, 0, 1, NAN, NAN],
        [0, 0, 0, 1, 0, 1, 0, 1, NAN, 0, 1, 0],
        [NAN, NAN, NAN, 0, 0, 1, NAN, 0, NAN, NAN, 0, 1],
    ]
    return Dataset(
        np.arange(12),
        np.array(benchmarks),
        np.array(splits),
        tuple(f"q{i}" for i in range(12)),
        ("m0", "m1", "m2", "m3"),
        np.array([False, False, False, True]),
        np.array(scores, np.float32),
        "hash",
    )


def test_pools_are_the_models_that_answered() -> None:
    found = {pool.name: (pool.queries.tolist(), pool.models.tolist()) for pool in pools(dataset(), "test")}
    assert found == {"mmlu_pro": ([8, 9], [0, 1, 2]), "own": ([10, 11], [2, 3])}
    assert {pool.name for pool in pools(dataset(), "test", dataset().onboarding)} == {"mmlu_pro"}


def test_routing_takes_the_highest_value_among_those_that_answered() -> None:
    data = dataset()
    (pool, _) = pools(data, "test")
    value = np.broadcast_to(np.array([[0.1], [0.2], [0.9], [1.0]], np.float32), data.scores.shape)
    assert routed_scores(data, pool, value).tolist() == [0.0, 0.0]  # m2 did not answer query 8: m1 is taken there
    assert routed_scores(data, pool, -value).tolist() == [1.0, 0.0]


def test_best_single_is_the_train_mean_on_the_pools_benchmarks() -> None:
    data = dataset()
    (pool, own) = pools(data, "test")
    assert best_single(data, pool)[:3, 0].tolist() == pytest.approx([2 / 3, 2 / 3, 0])
    assert best_single(data, own)[2:, 0].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_knn_is_the_mean_over_the_nearest_answered_train_queries() -> None:
    data = dataset()
    rng = np.random.default_rng(0)
    q = normalise(rng.normal(size=(12, 5)).astype(np.float32))
    p, k = knn(data, q, "test")
    assert k == 10  # more than there are: every grid point means all of them, and the first one is kept
    assert p[0, 8] == pytest.approx(2 / 3)
    assert p[2, 9] == pytest.approx(2 / 6)  # m2 answered train queries of both benchmarks
    assert np.isnan(p[0, 10])
    assert np.isnan(p[:, 0]).all()
