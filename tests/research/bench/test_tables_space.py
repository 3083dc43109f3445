"""The tables about the space: robustness, geometry, stand-ins, portfolio, clustering; by hand, then on the small world."""

import numpy as np
import pytest

from research.bench.tables import clustering, geometry, portfolio, robustness, standins
from research.bench.tables.context import Context
from research.bench.tables.portfolio import ALL, BEST, CENTER, CHANCE, COVERAGE, MEDOIDS, Problem, enough, sized
from research.bench.tables.standins import Choice
from tests.research.bench.table_world import EACH, FAMILIES

_ = np.nan


def test_two_samples_share_what_they_are_told_to() -> None:
    rows = np.arange(50)
    for overlap, common in ((0.0, 0), (0.25, 5), (1.0, 20)):
        a, b = robustness.overlapping(rows, 20, overlap, (0, 1))
        assert len(set(a)) == len(set(b)) == 20
        assert len(set(a) & set(b)) == common


def test_movement_beside_distances_by_hand() -> None:
    a = np.array([[0, 0], [10, 0]], np.float32)
    b = np.array([[1, 0], [4, 0]], np.float32)
    others = np.array([[0, 0], [10, 0], [0, 20]], np.float32)
    found = robustness.moved(a, b, others)
    assert found["movement"] == pytest.approx((1 + 6) / 2)
    assert found["nearest"] == pytest.approx((9 + 4) / 2)
    assert found["between"] == pytest.approx(np.median([9, np.hypot(1, 20), 4, np.hypot(4, 20)]))
    assert found["recognised"] == 0.5


def test_the_same_sample_gives_the_same_embedding(small: Context) -> None:
    result = robustness.measure(small, samples=(40,), sizes=(40, 200))
    whole = next(entry for entry in result["overlap"] if entry["overlap"] == 1)
    apart = next(entry for entry in result["overlap"] if entry["overlap"] == 0)
    assert whole["movement"] == 0
    assert whole["recognised"] == 1
    assert 0 < apart["movement"] < apart["between"]
    few, many = result["size"]
    assert many["movement"] < few["movement"]
    assert "| 40, 100% |" in robustness.section(result)


def test_disagreement_is_over_common_queries() -> None:
    scores = np.array([[1, 0, 1, _], [1, 1, 0.5, 1], [_, _, _, 0]], np.float32)
    found = geometry.disagreement(scores, 1)
    np.testing.assert_allclose(found[0, 1], 1.5 / 3)
    np.testing.assert_allclose(found[1, 2], 1)
    assert np.isnan(found[0, 2])
    assert np.isnan(geometry.disagreement(scores, 2)[1, 2])


def test_cosine_and_euclidean_by_hand() -> None:
    found = geometry.distances(np.array([[3, 0], [0, 4], [6, 0]], np.float32))
    np.testing.assert_allclose(found[geometry.EUCLIDEAN][0], [0, 5, 3])
    np.testing.assert_allclose(found[geometry.COSINE][0], [0, 1, 0], atol=1e-12)


def test_correlations_of_ranks_see_a_bent_line_as_straight() -> None:
    x = np.arange(1, 9, dtype=np.float64)
    found = geometry.correlations(x, x**3)
    assert (found["spearman"], found["kendall"]) == pytest.approx((1, 1))
    assert found["pearson"] == pytest.approx(np.corrcoef(x, x**3)[0, 1])
    assert geometry.correlations(x, np.ones(8))["pearson"] is None


def test_near_models_of_the_small_world_agree(small: Context) -> None:
    result = geometry.measure(small)
    known = next(e for e in result["pools"] if (e["pool"], e["models"]) == ("sums", geometry.ONLY_KNOWN))
    assert known["pairs"] == 10 * 9 / 2
    all_models = next(e for e in result["pools"] if (e["pool"], e["models"]) == ("sums", geometry.WITH_NEW))
    assert all_models["pairs"] == 12 * 11 / 2
    assert known["correlations"][geometry.EUCLIDEAN]["pearson"] > 0.7
    assert known["correlations"][geometry.RAW]["pearson"] > 0.7
    assert "sums, known" in geometry.section(result)


@pytest.fixture
def choice() -> Choice:
    """Model 0 is routed to in query 0, model 1 in query 1 (0 did not answer), model 2 in query 2."""
    scores = np.array([[1, _, 0], [0, 1, 1], [0.5, 0, 1]], np.float32)
    p = np.array([[0.9, 0.99, 0.1], [0.2, 0.8, 0.3], [0.3, 0.7, 0.6]], np.float32)
    return Choice.of(scores, p)


def test_replaced_models_by_hand(choice: Choice) -> None:
    assert choice.routed.tolist() == [0, 1, 2]
    assert choice.accuracy() == 1
    cost = np.array([[0, 1, 2], [1, 0, 3], [2, 5, 0]], np.float64)[:, choice.routed]
    # nearest of the others: query 0 -> 1 (score 0), query 1 -> 2 as 0 did not answer (0), query 2 -> 0 (0)
    assert choice.replaced(cost) == pytest.approx(0)
    # second nearest: query 0 -> 2 (0.5), query 2 -> 1 (1); query 1 has one other only
    assert choice.replaced(cost, 2) == pytest.approx(0.75)
    assert choice.replaced(cost, 3) is None
    assert choice.by_chance() == pytest.approx((0.25 + 0 + 0.5) / 3)


def test_likeness_is_measured_in_the_region_of_the_query() -> None:
    p = np.array([[0.9, 0.9, 0.1, 0.1], [0.9, 0.8, 0.9, 0.9], [0.1, 0.1, 0.1, 0.2]], np.float32)
    found = standins.like(p, np.array([[0, 1], [2, 3]]), np.array([0, 0]))
    np.testing.assert_allclose(found[0], 0, atol=1e-7)
    assert found[1, 0] < found[2, 0]  # around query 0, model 1 is like model 0
    assert found[2, 1] < found[1, 1]  # around query 1, model 2 is


def test_stand_ins_of_the_small_world(small: Context) -> None:
    result = standins.measure(small)
    kept = result["kept"]
    assert kept[standins.ROUTED]["macro"] == 1
    chance = kept[standins.RANDOM_OTHER]["macro"]
    assert kept[standins.neighbour(1)]["macro"] > chance + 0.15  # every family has several members
    assert kept[standins.CONDITIONAL]["macro"] > chance + 0.15
    assert kept[standins.neighbour(5)]["macro"] < kept[standins.neighbour(1)]["macro"]
    assert "| nearest neighbour |" in standins.section(result)


def test_portfolios_of_a_pool_by_hand() -> None:
    # models 0 and 1 answer the two halves of the queries, model 2 half of each; 3 copies 0
    right = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0]], np.float32).T
    p = 0.1 + 0.8 * right
    distances = np.abs(right.T[:, None] - right.T[None]).sum(axis=2).astype(np.float64)
    problem = Problem(np.arange(4), np.arange(4), distances, p, np.array([0.5, 0.5, 0.5, 0.5], np.float32), p, right)
    found = sized(problem)
    assert found[COVERAGE] == [0.5, 1, 1, 1]
    assert found[ALL] == [0.5, 1, 1, 1]
    assert found[BEST] == [0.5, 1, 1, 1]
    assert found[CENTER][3] == found[MEDOIDS][3] == found[CHANCE][3] == 1
    assert 0.5 < found[CHANCE][1] < 1  # type: ignore[operator]
    assert enough(found[COVERAGE], 1.0) == 2
    assert enough([0.5, None], 1.0) is None
    accuracy, chosen = problem.routed([0, 1], np.array([0.9, 0, 0, 0]))
    assert accuracy == 0.5
    assert chosen.tolist() == [1, 1, 1, 1]


def test_holes_of_a_pool_are_left_out(small: Context) -> None:
    (pool,) = (pool for pool in small.pools("test") if pool.name == "sums")
    problem = portfolio.dense(small, pool)
    assert problem is not None
    assert not np.isnan(problem.scores).any()
    assert problem.scores.shape == (len(pool.queries), len(pool.models))


def test_portfolios_of_the_small_world(small: Context) -> None:
    result = portfolio.measure(small)
    sums = next(entry for entry in result["pools"] if entry["pool"] == "sums")
    assert sums["models"] == 10
    assert sums["enough"][COVERAGE] <= 3
    assert sums["curves"][COVERAGE][9] == pytest.approx(sums["full"])
    for entry in sums["budgets"]:
        assert entry["usd"] <= entry["share"] * entry["single_usd"] * (1 + 1e-6) or len(entry["models"]) == 1
    assert "| sums (10 of 10 models" in portfolio.section(result)


def test_auc_by_hand() -> None:
    assert clustering.auc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1
    assert clustering.auc(np.array([1.0, 3.5]), np.array([3.0, 4.0])) == 0.75
    assert clustering.auc(np.array([1.0]), np.array([1.0])) == 0.5


def test_families_against_clusters_and_neighbours() -> None:
    distances = np.abs(np.subtract.outer([0, 1, 10, 11.5, 13.0], [0, 1, 10, 11.5, 13.0]))
    found = clustering.family_scores(["a", "a", "b", "b", "c"], np.array([0, 0, 1, 1, 2]), distances)
    assert found["ari"] == found["ami"] == pytest.approx(1)
    assert found["neighbour"] == 1
    assert found["chance"] == pytest.approx(1 / 4)


def test_families_copies_and_profiles_of_the_small_world(small: Context) -> None:
    result = clustering.measure(small)
    found = result["clusters"]
    assert (found["families"], found["models"]) == (len(FAMILIES), len(FAMILIES) * EACH)
    whole = next(e for e in found["agreement"] if e["models_of"] == clustering.WHOLE)
    assert whole["ari"] > 0.9
    assert whole["neighbour"] == 1
    half = next(e for e in result["duplicates"] if e["evaluations"] is None)
    assert half["models"] == 12
    assert half["mean"]["auc"] > 0.8  # relatives differ by little more than chance does
    assert 0 <= half["mean"]["found"] <= 1
    assert half["mean"]["others"] >= 0
    profiles = result["profiles"]
    assert profiles["models"] == 12
    recall = profiles["recall"]["embedding"]
    assert recall["1"] <= recall["3"] <= recall["10"]
    assert recall["5"] > profiles["recall"]["chance"]["5"]
    assert "(3 families of 12 models)" in clustering.section(result)


def test_planted_copies_are_found_among_models_that_are_far_apart() -> None:
    z = np.random.default_rng(0).normal(size=(40, 6))
    both = np.concatenate([z, z + 1e-4])
    distances = np.linalg.norm(both[:, None] - both, axis=2)
    found = clustering._planted(distances)
    assert found["found"] == 1
    assert found["others"] is not None
    assert found["others"] < 0.2
    far = np.concatenate([z, np.random.default_rng(1).normal(size=(40, 6))])
    assert clustering._planted(np.linalg.norm(far[:, None] - far, axis=2))["found"] == 0
    assert clustering._planted(distances[:4, :4]) == {}
