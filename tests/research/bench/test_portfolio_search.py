"""Choosing k models by distance and exhaustively: cases by hand, and the guarantees against brute force."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from research.bench.portfolio_search import exhaustive, expected_accuracy, k_center, k_medoids

LINE = np.abs(np.subtract.outer([0.0, 1.0, 2.0, 10.0, 11.0], [0.0, 1.0, 2.0, 10.0, 11.0]))


def cloud(seed: int, models: int = 9) -> NDArray[np.float64]:
    points = np.random.default_rng(seed).normal(size=(models, 3))
    return np.asarray(np.linalg.norm(points[:, None] - points, axis=2))


def radius(distances: NDArray[np.float64], kept: tuple[int, ...]) -> float:
    return float(distances[:, list(kept)].min(axis=1).max())


def total(distances: NDArray[np.float64], kept: tuple[int, ...]) -> float:
    return float(distances[:, list(kept)].min(axis=1).sum())


def test_on_a_line_the_centres_are_the_medoid_then_the_farthest() -> None:
    assert k_center(LINE, 3) == (2, 4, 0)
    assert k_medoids(LINE, 1) == (2,)
    assert k_medoids(LINE, 2) == (1, 3)


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_centres_keep_their_guarantee_and_grow_by_prefix(seed: int, k: int) -> None:
    distances = cloud(seed)
    best = min(radius(distances, kept) for kept in combinations(range(9), k))
    assert radius(distances, k_center(distances, k)) <= 2 * best + 1e-12 or k == 1
    assert k_center(distances, k) == k_center(distances, 9)[:k]


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_no_exchange_betters_the_medoids(seed: int, k: int) -> None:
    distances = cloud(seed)
    kept = k_medoids(distances, k)
    assert len(set(kept)) == k
    for out in kept:
        for into in set(range(9)) - set(kept):
            assert total(distances, (*(set(kept) - {out}), into)) >= total(distances, kept) - 1e-9


def test_models_at_one_place_can_still_all_be_kept() -> None:
    same = np.zeros((4, 4))
    assert sorted(k_center(same, 4)) == [0, 1, 2, 3]
    assert k_medoids(same, 4) == (0, 1, 2, 3)


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_exhaustive_search_finds_the_best(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    p, weights = rng.random((12, 6)), rng.random(12)
    best = max(combinations(range(6), k), key=lambda kept: expected_accuracy(p, weights, kept))
    assert exhaustive(p, weights, k) == best
    with pytest.raises(ValueError, match=r"2 of 6 models: 15 combinations, more than 14"):
        exhaustive(p, weights, 2, limit=14)


@pytest.mark.parametrize("k", [0, 6])
def test_more_models_than_there_are_is_an_error(k: int) -> None:
    for choose in (k_center, k_medoids):
        with pytest.raises(ValueError, match=rf"k must be from 1 to 5, got {k}"):
            choose(LINE, k)
    with pytest.raises(ValueError, match="square"):
        k_center(np.full((3, 5), 0.5), 1)


def test_exhaustive_search_finds_two_specialists() -> None:
    p = np.array([[0.7, 1.0, 0.0]] * 3 + [[0.7, 0.0, 1.0]] * 3)
    assert exhaustive(p, None, 2) == (1, 2)
