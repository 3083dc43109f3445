"""Baselines, by hand: mean scores, the best single model, and nearest neighbours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.data.baselines import Neighbours, best_single, mean_scores
from router.data.dataset import Dataset
from router.data.pools import pools, routed_scores

N = np.nan
SCORES = [[1.0, 0.0, N, 1.0, 0.5], [0.0, 1.0, 1.0, N, 1.0], [N, N, N, N, 1.0]]


def dataset(scores: list[list[float]], splits: list[str]) -> Dataset:
    number = len(scores[0])
    return Dataset(
        np.arange(number),
        np.full(number, "b"),
        np.full(number, ""),
        np.array(splits),
        tuple(f"question {i}" for i in range(number)),
        tuple("abcdefgh"[: len(scores)]),
        np.zeros(len(scores), np.bool_),
        np.array(scores, np.float32),
        "hash",
    )


def circle(degrees: list[float]) -> NDArray[np.float32]:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_mean_scores_ignore_missing_evaluations() -> None:
    means = mean_scores(np.array([[1, N, 0], [N, N, N], [0.5, N, N]], np.float32))
    assert means.tolist() == [0.5, 0.0, 0.5]


def test_the_best_single_model_is_judged_by_split_train() -> None:
    data = dataset(SCORES, ["train"] * 4 + ["test"])
    (pool,) = pools(data, "test")
    value = best_single(data, pool)
    assert value[:, 0].tolist() == pytest.approx([2 / 3, 2 / 3, 0.0])
    assert pool.models.tolist() == [0, 1, 2]
    assert routed_scores(data, pool, value).tolist() == [0.5]  # of equals the first


def test_nearest_neighbours_are_train_queries_that_the_model_answered() -> None:
    data = dataset(SCORES, ["train"] * 4 + ["test"])
    neighbours = Neighbours(data, circle([0, 10, 20, 30, 24]))
    one = neighbours.predict(np.array([4]), 1)
    np.testing.assert_array_equal(one, np.array([[1.0], [1.0], [N]], np.float32))
    two = neighbours.predict(np.array([4]), 2)
    np.testing.assert_allclose(two, np.array([[0.5], [1.0], [N]], np.float32))


def test_a_low_temperature_weighs_the_nearest_most() -> None:
    data = dataset(SCORES, ["train"] * 4 + ["test"])
    q = circle([0, 10, 20, 30, 24])
    weighted = Neighbours(data, q).predict(np.array([4]), 3, temperature=0.01)
    closeness = q[[0, 1, 3]] @ q[4]
    weight = np.exp((closeness.astype(np.float64) - 1) / 0.01)
    assert weighted[0, 0] == pytest.approx(weight @ np.array([1, 0, 1]) / weight.sum(), rel=1e-4)
