"""Clustering: cases by hand, scipy's own cut as the reference, silhouettes against scikit-learn."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster
from sklearn.metrics import silhouette_score

from router.explore.clusters import best_number, clusters, cut, linkage, pairwise, silhouette

# Three groups on a line, of 3, 2 and 1 models.
POINTS = np.array([[0.0], [9.0], [0.2], [20.0], [0.5], [9.4]])


def test_a_line_falls_into_its_groups() -> None:
    distances = pairwise(POINTS)
    tree = linkage(distances)
    assert cut(tree, number=3).tolist() == [0, 1, 0, 2, 0, 1]
    assert cut(tree, distance=1.0).tolist() == [0, 1, 0, 2, 0, 1]
    assert cut(tree, number=1).tolist() == [0] * 6
    assert cut(tree, distance=0.0).tolist() == cut(tree, number=6).tolist() == list(range(6))
    assert best_number(tree, distances) == 3
    first, second, third = clusters(cut(tree, number=3), distances)
    assert (first.medoid, first.members, first.radius) == (2, (2, 0, 4), pytest.approx(0.3))
    assert (second.medoid, second.members) == (1, (1, 5))
    assert (third.medoid, third.members, third.radius) == (3, (3,), 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_cuts_are_scipys_and_silhouettes_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = pairwise(rng.normal(size=(40, 5)))
    tree = linkage(distances)
    for number in (2, 5, 17):
        ours, theirs = cut(tree, number=number), fcluster(tree, number, "maxclust")
        assert len(set(ours.tolist())) == number
        np.testing.assert_array_equal(ours[:, None] == ours, theirs[:, None] == theirs)
        reference = silhouette_score(distances, ours, metric="precomputed")
        assert silhouette(distances, ours) == pytest.approx(reference, abs=1e-12)
    height = float(np.median(tree[:, 2]))
    ours, theirs = cut(tree, distance=height), fcluster(tree, height, "distance")
    np.testing.assert_array_equal(ours[:, None] == ours, theirs[:, None] == theirs)


def test_an_outlier_alone_is_no_clustering() -> None:
    points = np.concatenate(
        [np.random.default_rng(0).normal(size=(20, 2)) + shift for shift in (0, 9, 18)] + [[[500, 0]]]
    )
    distances = pairwise(points)
    tree = linkage(distances)
    assert silhouette(distances, cut(tree, number=2)) > silhouette(distances, cut(tree, number=4))
    assert best_number(tree, distances) == 4


def test_every_model_is_in_one_cluster_and_the_largest_comes_first() -> None:
    distances = pairwise(np.random.default_rng(1).normal(size=(30, 3)))
    found = clusters(cut(linkage(distances), number=7), distances)
    assert sorted(m for cluster in found for m in cluster.members) == list(range(30))
    assert [len(c.members) for c in found] == sorted((len(c.members) for c in found), reverse=True)
    for cluster in found:
        sums = distances[np.ix_(cluster.members, cluster.members)].sum(axis=1)
        assert cluster.members[int(sums.argmin())] == cluster.medoid == cluster.members[0]


def test_two_models_and_models_at_one_place() -> None:
    two = pairwise(np.array([[0.0], [1.0]]))
    assert best_number(linkage(two), two) == 2
    same = np.zeros((4, 4))
    assert cut(linkage(same), distance=0.0).tolist() == [0, 0, 0, 0]
    assert silhouette(same, np.array([0, 0, 1, 1])) == 0.0
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
        cut(linkage(pairwise(POINTS)), **asked)  # type: ignore[arg-type]
