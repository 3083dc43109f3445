"""Clustering: cases by hand, and scipy's fcluster as the reference where no two merges have one distance."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from router.explore.clusters import best_cluster_count, clusters, cut_tree, linkage, pairwise_distances

# Three groups on a line, of 3, 2 and 1 models.
POINTS = np.array([[0.0], [9.0], [0.2], [20.0], [0.5], [9.4]])


def test_a_line_falls_into_its_groups() -> None:
    distances = pairwise_distances(POINTS)
    tree = linkage(distances)
    assert cut_tree(tree, number=3).tolist() == [0, 1, 0, 2, 0, 1]
    assert cut_tree(tree, distance=1.0).tolist() == [0, 1, 0, 2, 0, 1]
    assert cut_tree(tree, number=1).tolist() == [0] * 6
    assert cut_tree(tree, distance=0.0).tolist() == cut_tree(tree, number=6).tolist() == list(range(6))
    assert best_cluster_count(tree, distances) == 3
    first, second, third = clusters(cut_tree(tree, number=3), distances)
    assert (first.medoid, first.members, first.radius) == (2, (2, 0, 4), pytest.approx(0.3))
    assert (second.medoid, second.members) == (1, (1, 5))
    assert (third.medoid, third.members, third.radius) == (3, (3,), 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_cuts_are_those_of_fcluster(seed: int) -> None:
    distances = pairwise_distances(np.random.default_rng(seed).normal(size=(40, 5)))
    tree = linkage(distances)
    for number in (2, 5, 17):
        ours, theirs = cut_tree(tree, number=number), fcluster(tree, number, "maxclust")
        assert len(set(ours.tolist())) == number
        np.testing.assert_array_equal(ours[:, None] == ours, theirs[:, None] == theirs)
    height = float(np.median(tree[:, 2]))
    ours, theirs = cut_tree(tree, distance=height), fcluster(tree, height, "distance")
    np.testing.assert_array_equal(ours[:, None] == ours, theirs[:, None] == theirs)


def test_distances_are_symmetric_with_a_zero_diagonal() -> None:
    z = np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32)
    distances = pairwise_distances(z)
    assert distances.dtype == np.float64
    np.testing.assert_array_equal(distances, distances.T)
    np.testing.assert_array_equal(np.diag(distances), 0)
    np.testing.assert_allclose(distances, squareform(pdist(z.astype(np.float64))), rtol=1e-12)


def test_the_best_count_has_the_highest_silhouette() -> None:
    distances = pairwise_distances(np.random.default_rng(2).normal(size=(24, 3)))
    tree = linkage(distances)
    cuts = {n: cut_tree(tree, number=n) for n in range(2, 11)}
    scores = {n: silhouette_score(distances, labels, metric="precomputed") for n, labels in cuts.items()}
    balanced = {n: score for n, score in scores.items() if np.bincount(cuts[n]).max() <= 12}
    assert best_cluster_count(tree, distances, most=10) == max(balanced, key=lambda n: balanced[n])


def test_an_exact_number_of_clusters_although_all_merges_have_one_distance() -> None:
    tree = linkage(1 - np.eye(5))
    assert [len(set(cut_tree(tree, number=n).tolist())) for n in range(1, 6)] == [1, 2, 3, 4, 5]


def test_an_outlier_alone_is_no_clustering() -> None:
    points = np.concatenate(
        [np.random.default_rng(0).normal(size=(20, 2)) + shift for shift in (0, 9, 18)] + [[[500, 0]]]
    )
    distances = pairwise_distances(points)
    tree = linkage(distances)
    two, four = (silhouette_score(distances, cut_tree(tree, number=n), metric="precomputed") for n in (2, 4))
    assert two > four
    assert best_cluster_count(tree, distances) == 4


def test_every_model_is_in_one_cluster_and_the_largest_comes_first() -> None:
    distances = pairwise_distances(np.random.default_rng(1).normal(size=(30, 3)))
    found = clusters(cut_tree(linkage(distances), number=7), distances)
    assert sorted(m for cluster in found for m in cluster.members) == list(range(30))
    assert [len(c.members) for c in found] == sorted((len(c.members) for c in found), reverse=True)
    for cluster in found:
        sums = distances[np.ix_(cluster.members, cluster.members)].sum(axis=1)
        assert cluster.members[int(sums.argmin())] == cluster.medoid == cluster.members[0]


def test_two_models_and_models_at_one_place() -> None:
    two = pairwise_distances(np.array([[0.0], [1.0]]))
    assert best_cluster_count(linkage(two), two) == 2
    same = np.zeros((4, 4))
    assert cut_tree(linkage(same), distance=0.0).tolist() == [0, 0, 0, 0]
    assert best_cluster_count(linkage(same), same) in (2, 3)
    with pytest.raises(ValueError, match="at least two models"):
        linkage(np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "either a number of clusters or a distance"),
        ({"number": 2, "distance": 1.0}, "either a number of clusters or a distance"),
        ({"number": 0}, "from 1 to 6, got 0"),
        ({"number": 7}, "from 1 to 6, got 7"),
        ({"distance": -1.0}, "0 or more, got -1"),
    ],
)
def test_cuts_that_make_no_sense(asked: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cut_tree(linkage(pairwise_distances(POINTS)), **asked)  # type: ignore[arg-type]
