"""Duplicates: the null holds where there are none, and planted copies are found."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.explore.clusters import pairwise_distances
from router.explore.duplicates import find_duplicates, intrinsic_dimension


def cloud(seed: int, models: int, dimension: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(models, dimension))


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_dimension_is_read_off_the_distances(dimension: int) -> None:
    inside = np.random.default_rng(0).random((1500, dimension))
    lifted = inside @ np.random.default_rng(1).normal(size=(dimension, 20))
    assert intrinsic_dimension(pairwise_distances(lifted)) == pytest.approx(dimension, rel=0.2)


@pytest.mark.parametrize("dimension", [1, 2, 6])
def test_among_distinct_models_pairs_are_listed_as_rarely_as_stated(dimension: int) -> None:
    found = [len(find_duplicates(pairwise_distances(cloud(seed, 75, dimension)))) > 0 for seed in range(200)]
    assert np.mean(found) <= 0.1  # 0.05 is stated; 0.1 is three standard errors above it


def test_a_crowd_is_not_taken_for_duplicates_but_copies_within_it_are() -> None:
    crowded = np.concatenate([cloud(0, 40, 3), 0.01 * cloud(1, 20, 3) + 9.0])
    assert find_duplicates(pairwise_distances(crowded)) == []
    copies = np.concatenate([crowded, crowded[[3, 45]] + 1e-6])
    assert {(pair.a, pair.b) for pair in find_duplicates(pairwise_distances(copies))} == {(3, 60), (45, 61)}


def test_three_copies_are_three_pairs_and_no_distance_at_all_is_certain() -> None:
    points = cloud(2, 30, 4)
    pairs = find_duplicates(pairwise_distances(np.concatenate([points, points[[7, 7]]])))
    assert [(pair.a, pair.b, pair.distance, pair.chance) for pair in pairs] == [
        (7, 30, 0.0, 0.0),
        (7, 31, 0.0, 0.0),
        (30, 31, 0.0, 0.0),
    ]


def test_a_pair_by_hand() -> None:
    # Evenly spaced models on a line, and one more near the one at 10.
    x = np.array([*np.arange(20.0), 10.1])[:, None]
    distances = pairwise_distances(x)
    dimension = intrinsic_dimension(distances)
    (pair,) = (p for p in find_duplicates(distances, expected=np.inf) if (p.a, p.b) == (10, 20))
    # From 10 the others are at 0.1, 1, 1, 2, 2 and from 10.1 at 0.1, 0.9, 1.1, 1.9, 2.1: the first finds it less unusual.
    assert pair.of_neighbourhood == pytest.approx(0.1 / 2)
    assert pair.chance == pytest.approx(1 - (1 - 0.05**dimension) ** 4)
    assert pair.expected == pytest.approx(21 * pair.chance)


def test_the_bound_widens_the_list_and_the_least_likely_comes_first() -> None:
    distances = pairwise_distances(cloud(5, 20, 2))
    everything = find_duplicates(distances, expected=np.inf)
    assert len(everything) == 190
    assert [pair.chance for pair in everything] == sorted(pair.chance for pair in everything)
    some = find_duplicates(distances, expected=5.0)
    assert some == everything[: len(some)]
    assert 0 < len(some) < 190


def test_a_space_that_is_too_small_or_degenerate() -> None:
    with pytest.raises(ValueError, match="cannot be recognised among 7 models; 8 is the least"):
        find_duplicates(pairwise_distances(cloud(0, 7, 2)))
    with pytest.raises(ValueError, match="square"):
        find_duplicates(np.zeros((9, 8)))
    assert len(find_duplicates(np.zeros((9, 9)))) == 36
    assert find_duplicates(1.0 - np.eye(9)) == []
