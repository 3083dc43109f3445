"""Routing problems and the baselines, on tables small enough to work out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.data.baselines import K_GRID, best_single, knn
from router.data.dataset import Dataset
from router.data.pools import BESIDE, DEFINITIONS, NEW, Pool, group, macros, pools, routed_scores

_ = np.nan


def dataset(benchmarks: list[str], splits: list[str], scores: list[list[float]]) -> Dataset:
    n = len(benchmarks)
    return Dataset(
        np.arange(n),
        np.array(benchmarks),
        np.full(n, ""),
        np.array(splits),
        tuple(f"question {i}" for i in range(n)),
        tuple(f"lab/{m}" for m in range(len(scores))),
        np.zeros(len(scores), np.bool_),
        np.array(scores, np.float32),
        "h",
    )


def found(data: Dataset, split: str, excluded: list[int] | None = None) -> dict[str, tuple[list[int], list[int]]]:
    mask = None if excluded is None else np.isin(np.arange(len(data.models)), excluded)
    return {p.name: (p.queries.tolist(), p.models.tolist()) for p in pools(data, split, mask)}


@pytest.fixture
def two() -> Dataset:
    """Benchmarks sums (0-3) and places (4-7); model 3 answered one test query of sums alone."""
    return dataset(
        ["sums"] * 4 + ["places"] * 4,
        ["train", "train", "test", "test"] * 2,
        [
            [1, 0, 1, 0, _, _, _, _],
            [0, 0, 0, 1, 1, 1, 1, _],
            [1, 1, _, 1, 0, 1, 0, 1],
            [_, _, _, 0, _, _, _, _],
        ],
    )


def test_benchmarks_that_no_pool_names_are_pools_of_their_own(two: Dataset) -> None:
    # query 7 has one answer alone: nothing to choose
    assert found(two, "test") == {"places": ([6], [1, 2]), "sums": ([2, 3], [0, 1, 2, 3])}
    assert found(two, "train") == {"places": ([4, 5], [1, 2]), "sums": ([0, 1], [0, 1, 2, 3])}
    assert found(two, "val") == {}


def test_excluded_models_are_not_chosen_nor_counted(two: Dataset) -> None:
    assert found(two, "test", []) == found(two, "test")
    assert found(two, "test", [0, 3]) == {"places": ([6], [1, 2]), "sums": ([3], [1, 2])}
    assert found(two, "test", [2]) == {"sums": ([2, 3], [0, 1, 3])}
    assert found(two, "test", [0, 1, 2, 3]) == {}


def test_a_shared_benchmark_joins_only_the_models_of_its_source() -> None:
    # gsm8k belongs to zeroeval (models that answered math_l5 or crux) and to routerdc (cmmlu or ceval)
    data = dataset(
        ["gsm8k", "gsm8k", "crux", "ceval"],
        ["test"] * 4,
        [[1, 0, 1, _], [0, 1, 0, _], [1, _, _, 1], [0, 1, _, 0], [1, 1, _, _]],
    )
    assert found(data, "test") == {"zeroeval": ([0, 1, 2], [0, 1]), "routerdc": ([0, 3], [2, 3])}


def test_benchmarks_of_one_kind_are_one_pool() -> None:
    data = dataset(
        ["sql_optimization", "sql_understanding", "ja_rakuda", "misguided_attention"],
        ["test"] * 4,
        [[1, 0, 1, 0], [0, 1, 0, 0], [_, 1, _, _]],
    )
    pair = [0, 1]
    assert found(data, "test") == {"sql": ([0, 1], [0, 1, 2]), "japanese": ([2], pair), "misguided": ([3], pair)}


def test_old_and_new_pools_are_averaged_apart() -> None:
    assert DEFINITIONS.keys() >= NEW
    assert not BESIDE & DEFINITIONS.keys()
    old = [name for name in DEFINITIONS if group(name) == "macro"]
    assert old == ["mmlu_pro", "zeroeval", "routerdc", "routerbench", "llmrouter", "alpaca_eval"]
    of_pools = {"mmlu_pro": 0.2, "own": 0.4, "sql": 0.5, "process": 0.7, "routerarena": 1.0, "project_euler": 0.0}
    assert macros(of_pools) == pytest.approx({"macro": 0.3, "macro, new pools": 0.6})
    assert macros({"sql": 0.5, "abap_code": 0.1}) == {"macro, new pools": 0.5}
    assert macros({"routerarena": 1.0}) == {}


def test_routing_takes_the_highest_value_among_those_that_answered(two: Dataset) -> None:
    pool = Pool("sums", np.array([2, 3]), np.array([0, 1, 2]))
    value = np.zeros(two.scores.shape, np.float32)
    value[:, 2] = [0.1, 0.2, 0.9, 1.0]  # model 2 did not answer, model 3 is not in the pool: model 1
    value[:, 3] = [0.5, 0.1, 0.4, 1.0]
    assert routed_scores(two, pool, value).tolist() == [0, 0]
    value[0, 2] = 0.2  # the first of equals
    value[2, 3] = 0.6
    assert routed_scores(two, pool, value).tolist() == [1, 1]


def test_a_model_without_a_value_comes_last(two: Dataset) -> None:
    pool = Pool("sums", np.array([2, 3]), np.array([0, 1, 2]))
    value = np.full(two.scores.shape, np.nan, np.float32)
    value[1] = -5.0
    assert routed_scores(two, pool, value).tolist() == [0, 1]
    value[1] = np.nan  # no model has one: the first that answered
    assert routed_scores(two, pool, value).tolist() == [1, 0]


def test_routing_by_the_scores_themselves_reaches_the_best_answer(two: Dataset) -> None:
    for pool in pools(two, "test"):
        best = np.nanmax(two.scores[np.ix_(pool.models, pool.queries)], axis=0)
        np.testing.assert_array_equal(routed_scores(two, pool, two.scores), best)


def test_best_single_is_the_mean_on_the_train_queries_of_the_pool(two: Dataset) -> None:
    by_name = {pool.name: pool for pool in pools(two, "test")}
    sums = best_single(two, by_name["sums"])
    assert sums.shape == two.scores.shape
    np.testing.assert_array_equal(sums, np.repeat([[0.5], [0], [1], [0]], 8, axis=1))  # model 3 has none: 0
    np.testing.assert_array_equal(best_single(two, by_name["places"])[:, 0], [0, 1, 0.5, 0])
    assert routed_scores(two, by_name["places"], best_single(two, by_name["places"])).tolist() == [1]


def test_best_single_averages_what_each_model_answered() -> None:
    data = dataset(["a"] * 5, ["train"] * 4 + ["test"], [[1, 0, _, _, 1], [0.5, 0.75, 1, _, 0]])
    (pool,) = pools(data, "test")
    np.testing.assert_allclose(best_single(data, pool)[:, 4], [0.5, 0.75], atol=1e-7)


def world(n: int, seed: int, missing: float) -> tuple[Dataset, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, (5, n)) / 4
    scores[2:][rng.random((3, n)) < missing] = np.nan
    splits = rng.choice(["train", "val", "test"], n, p=[0.6, 0.2, 0.2])
    q = rng.normal(size=(n, 6)).astype(np.float32)
    data = dataset([("a", "b")[i % 2] for i in range(n)], splits.tolist(), scores.tolist())
    return data, q / np.linalg.norm(q, axis=1, keepdims=True)


def brute_force(data: Dataset, q: NDArray[np.float32], split: str, k: int) -> NDArray[np.float64]:
    """Each model and query by itself: sort all the answered train queries by cosine."""
    out = np.full(data.scores.shape, np.nan)
    for m in range(len(data.models)):
        known = [i for i in data.where("train") if not np.isnan(data.scores[m, i])]
        for i in data.where(split):
            nearest = sorted(known, key=lambda j: -float(q[i].astype(np.float64) @ q[j].astype(np.float64)))[:k]
            if nearest:
                out[m, i] = np.mean([data.scores[m, j] for j in nearest])
    return out


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_knn_is_the_mean_of_the_k_nearest_that_the_model_answered(split: str, missing: float) -> None:
    data, q = world(120, seed=4, missing=missing)
    predicted, k = knn(data, q, split)
    expected = brute_force(data, q, split, k)
    asked = ~np.isnan(data.scores) & (data.splits == split)
    np.testing.assert_allclose(predicted[asked], expected[asked], atol=1e-6)
    assert np.isnan(predicted[:, data.splits != split]).all()


def test_knn_takes_the_k_that_routes_best_on_val() -> None:
    data, q = world(150, seed=5, missing=0.3)
    _, k = knn(data, q, "test")
    reached = {}
    for candidate in K_GRID:
        value = brute_force(data, q, "val", candidate).astype(np.float32)
        reached[candidate] = np.mean([routed_scores(data, pool, value).mean() for pool in pools(data, "val")])
    assert len(set(reached.values())) > 1  # otherwise the choice would not matter
    assert reached[k] == pytest.approx(max(reached.values()), abs=1e-6)


def test_a_model_without_train_evaluations_is_not_what_knn_routes_to() -> None:
    data, q = world(120, seed=6, missing=0.0)
    data.scores[0, data.splits == "train"] = np.nan
    data.scores[0, data.splits == "test"] = 0
    data.scores[1:, data.splits == "test"] = 1
    predicted, _ = knn(data, q, "test")
    assert np.isnan(predicted[0]).all()
    for pool in pools(data, "test"):
        assert 0 in pool.models
        assert (routed_scores(data, pool, predicted) == 1).all()
