"""Every row on data whose structure is known, and the simple ones against values worked out by hand."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.special import expit

from research.bench.evidence import Evidence
from research.bench.method import Method, thinned
from research.bench.outcomes import outcome
from research.bench.rows import METHODS, OURS, methods
from research.bench.rows.best_per_benchmark import BestPerBenchmark
from research.bench.rows.best_single import BestSingle
from research.bench.rows.clusters import Clusters
from research.bench.rows.logistic import regress
from research.bench.rows.paper_locus import PaperLocus, Training
from router.errors import DataError
from tests.research.bench.worlds import Table, dataset, two_skills

_ = np.nan
LEARNING = ["kNN", "clusters", "logistic regression", "EmbedLLM", "IRT-Net", "UniRoute", "LOCUS (paper)"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small lose more by sharing work than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def skills() -> Evidence:
    return Evidence.of(*two_skills(400))


def row(name: str) -> Method:
    """The row; the paper's LOCUS in a hurry, since a small world has few steps per epoch."""
    if name == PaperLocus.name:
        return PaperLocus(Training(epochs=25, noise=0.4, lr_encoder=1e-3, lr_decoder=4e-3))
    return methods([name])[0]


def predictions(method: Method, evidence: Evidence, setting: int = 0, seed: int = 0) -> Table:
    """(M, Q), NaN outside test."""
    fitted = method.fit(evidence.seen, evidence.q, method.grid[setting], seed)
    p = np.full(evidence.truth.scores.shape, np.nan, np.float32)
    p[:, evidence.truth.where("test")] = fitted.predict(evidence.truth.where("test"))
    return p


def routing(evidence: Evidence, p: Table) -> float:
    (pool,) = evidence.pools("test")
    return outcome(evidence.truth, pool, [p]).routing


@pytest.mark.parametrize("name", LEARNING)
def test_a_row_that_learns_sees_which_model_has_which_skill(name: str, skills: Evidence) -> None:
    method = row(name)
    p = predictions(method, skills)
    test = skills.truth.where("test")
    assert p.dtype == np.float32
    assert ((p[:, test] >= 0) & (p[:, test] <= 1)).all()
    single = routing(skills, predictions(BestSingle(), skills))
    assert single < 0.7
    assert routing(skills, p) > single + 0.15
    (pool,) = skills.pools("test")
    right = outcome(skills.truth, pool, [p]).prediction
    assert right is not None
    assert right > 0.64  # always saying what the model does more often is right about 59% of the time


@pytest.mark.parametrize("name", LEARNING)
def test_the_same_seed_gives_the_same_predictions(name: str) -> None:
    method, small = row(name), Evidence.of(*two_skills(120))
    first = predictions(method, small, seed=1)
    np.testing.assert_array_equal(predictions(method, small, seed=1), first)
    if method.seeds > 1:
        assert not np.array_equal(predictions(method, small, seed=2), first)


@pytest.mark.parametrize("name", LEARNING)
def test_every_setting_of_a_grid_can_be_fitted_and_settings_differ(name: str, skills: Evidence) -> None:
    method = row(name)
    small = Evidence.of(skills.truth, skills.q, per_model=40)
    found = [predictions(method, small, setting) for setting in {0, len(method.grid) // 2, len(method.grid) - 1}]
    test = small.truth.where("test")
    assert all(np.isfinite(p[:, test]).all() for p in found)
    assert len(method.grid) == 1 or len({p[:, test].tobytes() for p in found}) > 1


@pytest.mark.parametrize("name", [name for name in METHODS if name != OURS])
def test_a_model_without_train_evaluations_is_unknown(name: str) -> None:
    data, q = two_skills(80)
    data.scores[2, data.splits == "train"] = np.nan
    method = row(name)
    evidence = Evidence.of(data, q)
    test = data.where("test")
    p = predictions(method, evidence)[:, test]
    assert np.isnan(p[2]).all()
    assert np.isfinite(p[:2]).all()


def test_best_single_takes_the_mean_over_the_pool_and_best_per_benchmark_over_the_benchmark() -> None:
    # mmlu_pro is a pool by itself; crux and math_l5 form zeroeval. Model 2 answered mmlu_pro alone.
    scores = [[1, 0, 1, 1, 1, _, _], [0, 1, 0, 0, 1, 1, 0], [_, _, _, _, _, 1, 1]]
    benchmarks = ["crux", "crux", "math_l5", "math_l5", "math_l5", "mmlu_pro", "mmlu_pro"]
    data = dataset(benchmarks, ["train"] * 7, np.array(scores, np.float32))
    everything = np.arange(7)
    single = BestSingle().fit(data, np.empty((7, 2), np.float32), {}, 0).predict(everything)
    np.testing.assert_allclose(single[:, 0], [0.8, 0.4, _], atol=1e-6)
    np.testing.assert_allclose(single[:, 4], [0.8, 0.4, _], atol=1e-6)
    np.testing.assert_allclose(single[:, 5], [_, 0.5, 1], atol=1e-6)
    each = BestPerBenchmark().fit(data, np.empty((7, 2), np.float32), {}, 0).predict(everything)
    np.testing.assert_allclose(each[:, 1], [0.5, 0.5, _], atol=1e-6)
    np.testing.assert_allclose(each[:, 2], [1, 1 / 3, _], atol=1e-6)


def test_a_cluster_mean_is_shrunk_toward_the_models_mean() -> None:
    # two far clusters, of 3 and 1 train queries; the query to predict lies in the second
    q = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    scores = np.array([[1, 1, 0, 0, _], [0, 0, 0, 1, _]], np.float32)
    data = dataset(["a"] * 5, ["train"] * 4 + ["test"], scores)
    settings = {"clusters": 2, "shrinkage": 3, "prior": "overall"}
    p = Clusters().fit(data, q, settings, 0).predict(np.array([4]))
    np.testing.assert_allclose(p[:, 0], [(0 + 3 * 0.5) / (1 + 3), (1 + 3 * 0.25) / (1 + 3)], atol=1e-6)


def test_logistic_regression_is_at_the_minimum_of_its_loss() -> None:
    rng = np.random.default_rng(0)
    q = rng.normal(size=(80, 3)).astype(np.float32)
    y = rng.random(80).astype(np.float32)  # fractions are scores too
    w = regress(q, y, penalty=2.0)
    p = expit(q @ w[:-1].astype(np.float32) + np.float32(w[-1]))
    np.testing.assert_allclose(q.T @ (p - y) + 2.0 * w[:-1], 0, atol=1e-2)
    assert float((p - y).sum()) == pytest.approx(0, abs=1e-2)
    assert np.isfinite(regress(q, np.ones(80, np.float32), penalty=2.0)).all()


def test_thinning_keeps_so_many_train_scores_of_each_model_and_nests() -> None:
    data, _q = two_skills(300)
    fewer, more = thinned(data, 20, seed=3), thinned(data, 50, seed=3)
    train = data.splits == "train"
    for m in range(3):
        few, many = (np.flatnonzero(~np.isnan(d.scores[m]) & train) for d in (fewer, more))
        assert (len(few), len(many)) == (20, 50)
        assert set(few) <= set(many)
    np.testing.assert_array_equal(fewer.scores[:, ~train], data.scores[:, ~train])
    kept = ~np.isnan(fewer.scores)
    np.testing.assert_array_equal(fewer.scores[kept], data.scores[kept])
    assert not np.array_equal(np.isnan(thinned(data, 20, seed=4).scores), np.isnan(fewer.scores))
    np.testing.assert_array_equal(thinned(data, 10_000, seed=3).scores, data.scores)


def test_a_row_that_does_not_exist_is_named() -> None:
    with pytest.raises(DataError, match="no row 'kMM'; there are best single"):
        methods(["kMM"])
