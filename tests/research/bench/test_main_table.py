"""Tuning, keeping runs, outcomes, bootstrap and the table, on cases small enough to work out by hand."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from research.bench.bootstrap import difference, draws, resampled
from research.bench.evidence import Evidence
from research.bench.main_table import compare, main_table
from research.bench.method import Setting
from research.bench.outcomes import Outcome, oracle, outcome, random_choice
from research.bench.report import main_json, markdown
from research.bench.runs import Runs
from research.bench.tuning import fits, tune
from router.data.dataset import Dataset
from router.data.pools import MACRO, Pool
from router.errors import ArtifactError, DataError
from tests.research.bench.worlds import Table, dataset, two_skills

_ = np.nan


@dataclass
class Constant:
    """A row that predicts `setting["p"]` for model 0 and 0.5 for the others.

    It notes its fits in a file, since they may run in other processes.
    """

    version: int = 1
    name: str = "constant"
    grid: tuple[Setting, ...] = ({"p": 0.4}, {"p": 0.6})
    seeds: int = 3
    notes: Path = field(default_factory=lambda: Path(tempfile.mkstemp()[1]))

    @property
    def fitted(self) -> list[tuple[float, int]]:
        """The settings and seeds that it was fitted with."""
        return [(float(p), int(seed)) for p, seed in map(str.split, self.notes.read_text().splitlines())]

    def fit(self, data: Dataset, q: Table, setting: Setting, seed: int) -> "Predictions":
        assert np.isnan(data.scores[:, data.splits == "test"]).all()
        with self.notes.open("a") as notes:
            notes.write(f"{setting['p']} {seed}\n")
        return Predictions(np.array([setting["p"], *[0.5] * (len(data.models) - 1)], np.float32))


@dataclass(frozen=True)
class Predictions:
    p: Table

    def predict(self, queries: NDArray[np.int64]) -> Table:
        return np.repeat(self.p[:, None], len(queries), axis=1)


@pytest.fixture(autouse=True)
def _notes_of_fits(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("fits")))


@pytest.fixture
def evidence() -> Evidence:
    data, q = two_skills(200)
    return Evidence.of(data, q)


def pool_of(data: Dataset, queries: Sequence[int]) -> Pool:
    return Pool("p", np.array(queries), np.arange(len(data.models)))


def test_evidence_hides_test_scores_and_models_to_come() -> None:
    scores = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1]], np.float32)
    data = dataset(["a"] * 3, ["train", "val", "test"], scores, onboarding=[False, False, True])
    found = Evidence.of(data, np.eye(3, dtype=np.float32))
    np.testing.assert_array_equal(found.truth.scores, [[1, 0, 1], [0, 1, 0], [_, _, _]])
    np.testing.assert_array_equal(found.seen.scores, [[1, 0, _], [0, 1, _], [_, _, _]])
    assert [pool.models.tolist() for pool in found.pools("test")] == [[0, 1]]
    fewer = Evidence.of(data, np.eye(3, dtype=np.float32), per_model=0)
    np.testing.assert_array_equal(fewer.seen.scores, [[_, 0, _], [_, 1, _], [_, _, _]])
    np.testing.assert_array_equal(fewer.truth.scores, found.truth.scores)
    assert fewer.key != found.key


def test_outcomes_of_a_pool_by_hand() -> None:
    scores = np.array([[1, 0, _], [0, 0.75, 1], [0.5, 1, 0]], np.float32)
    data = dataset(["a"] * 3, ["test"] * 3, scores)
    pool = pool_of(data, [0, 1, 2])
    p = np.array([[0.9, 0.2, 0.9], [0.1, 0.5, 0.4], [0.3, 0.8, _]], np.float32)
    found = outcome(data, pool, [p])
    np.testing.assert_allclose(found.routed, [1, 1, 1])  # in query 2 model 0 did not answer, and model 2 says nothing
    assert found.right is not None
    np.testing.assert_allclose(found.right, [1 + 1 + 0.5, 1 + 0.75 + 1, 0 + 1])
    np.testing.assert_allclose(found.evaluations, [3, 3, 2])
    assert found.prediction == pytest.approx(6.25 / 8)
    other = outcome(data, pool, [p, 1 - p])
    np.testing.assert_allclose(other.routed, [(1 + 0) / 2, (1 + 0) / 2, 1])
    np.testing.assert_allclose(random_choice(data, pool).routed, [0.5, 1.75 / 3, 0.5], atol=1e-7)
    np.testing.assert_allclose(oracle(data, pool).routed, [1, 1, 1])
    assert oracle(data, pool).prediction is None


def test_resampling_weighs_queries_by_how_often_they_are_drawn() -> None:
    drawn = np.array([[2.0, 1, 0], [0, 0, 3]])
    value = np.array([[1.0, 10], [2, 20], [6, 0]])
    np.testing.assert_allclose(resampled(drawn, value, np.ones(3)), [[4 / 3, 40 / 3], [6, 0]])
    np.testing.assert_allclose(resampled(drawn, value, np.array([1.0, 2, 4])), [[1, 10], [1.5, 0]])
    found = draws(50, 400, np.random.default_rng(0))
    assert found.shape == (400, 50)
    assert (found.sum(axis=1) == 50).all()
    assert found.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)


def test_the_interval_of_a_mean_is_the_normal_one_for_many_queries() -> None:
    gaps = np.random.default_rng(1).normal(0.1, 1, 2_000)
    drawn = draws(2_000, 2_000, np.random.default_rng(2))
    spread = resampled(drawn, gaps[:, None], np.ones(2_000))[:, 0]
    found = difference({"p": (float(gaps.mean()), spread)})
    half = 1.96 * gaps.std() / np.sqrt(2_000)
    assert found.mean == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(gaps.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(gaps.mean() + half, abs=0.1 * half)


def test_quantiles_and_macro_of_differences_by_hand() -> None:
    ramp = np.linspace(0, 1, 201)
    found = difference({"a": (0.5, ramp), "b": (0.1, np.zeros(201))})
    assert (found.mean, found.low, found.high) == pytest.approx((0.3, 0.0125, 0.4875))


def test_rows_are_compared_query_by_query() -> None:
    def result(routed: list[float], right: list[float] | None) -> Outcome:
        return Outcome(np.array(routed), None if right is None else np.array(right), np.array([2.0, 2, 4]))

    outcomes = {
        "ours": {"a": result([1, 0, 1], [2, 1, 4]), "routerarena": result([1, 1, 1], [2, 2, 4])},
        "same": {"a": result([1, 0, 1], [2, 1, 4]), "routerarena": result([0, 0, 0], [2, 2, 4])},
        "always worse": {"a": result([0.5, -0.5, 0.5], None), "routerarena": result([1, 1, 1], None)},
    }
    found = compare(outcomes, "ours", seed=0, resamples=100)
    same = found["same", "routing"]
    assert (same["a"].mean, same["a"].low, same["a"].high) == (0, 0, 0)
    assert same["routerarena"].mean == -1
    assert same[MACRO].mean == 0  # routerarena stands beside
    assert found["same", "prediction"]["a"].high == 0
    worse = found["always worse", "routing"]["a"]
    assert (worse.mean, worse.low, worse.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert ("always worse", "prediction") not in found
    assert not any(name == "ours" for name, _measure in found)


def test_val_chooses_the_setting_and_finished_fits_are_not_repeated(tmp_path: Path, evidence: Evidence) -> None:
    method, notes = Constant(), []
    tuned = tune(Runs(tmp_path, evidence), method, 2, notes.append)
    (pool,) = evidence.pools("val")
    scores = evidence.truth.scores[np.ix_(pool.models, pool.queries)]
    assert [trial.val_routing for trial in tuned.trials] == pytest.approx([scores[1].mean(), scores[0].mean()])
    best = int(scores[0].mean() > scores[1].mean())
    assert tuned.for_routing == best
    right = [1 - scores[0].mean(), scores[0].mean()]  # 0.4 says wrong, 0.6 says right
    assert tuned.for_prediction == int(np.argmax(right))
    assert len(tuned.routing_runs) == 2
    assert set(method.fitted) == {
        (0.4, 0),
        (0.6, 0),
        *((tuned.trials[i].setting["p"], 1) for i in (best, tuned.for_prediction)),
    }
    assert len(method.fitted) == len(set(method.fitted))
    assert len(notes) == fits(method, 2)
    again = Constant()
    resumed = tune(Runs(tmp_path, evidence), again, 2)
    assert again.fitted == []
    assert resumed.trials == tuned.trials
    np.testing.assert_array_equal(resumed.routing_runs[1].p, tuned.routing_runs[1].p)
    third = Constant()
    tune(Runs(tmp_path, evidence), third, 3)
    assert {seed for _p, seed in third.fitted} == {2}


def test_a_run_is_made_anew_for_other_data_and_other_code(tmp_path: Path, evidence: Evidence) -> None:
    method = Constant()
    Runs(tmp_path, evidence).run(method, method.grid[0], 0)
    data, q = two_skills(200, seed=1)
    for other, version in ((Evidence.of(data, q), 1), (Evidence.of(evidence.truth, q), 1), (evidence, 2)):
        method = Constant(version=version)
        Runs(tmp_path, other).run(method, method.grid[0], 0)
        assert len(method.fitted) == 1


def test_only_judged_predictions_are_kept(tmp_path: Path, evidence: Evidence) -> None:
    p = Runs(tmp_path, evidence).run(Constant(), {"p": 0.4}, 0).p
    judged = ~np.isnan(evidence.truth.scores) & (evidence.truth.splits != "train")
    assert np.isnan(p[~judged]).all()
    assert set(p[0, judged[0]].tolist()) == {np.float32(0.4)}


def test_a_broken_file_is_named(tmp_path: Path, evidence: Evidence) -> None:
    runs, method = Runs(tmp_path, evidence), Constant()
    runs.run(method, method.grid[0], 0)
    file = runs.file(method, method.grid[0], 0)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=f"{file.name}: not a readable run"):
        runs.run(method, method.grid[0], 0)


def test_the_table_stands_between_random_and_oracle(tmp_path: Path, evidence: Evidence) -> None:
    runs = Runs(tmp_path, evidence)
    plain, other = Constant(seeds=1), Constant(seeds=1, name="other", grid=({"p": 0.6},))
    tuned = [tune(runs, method, 3) for method in (plain, other)]
    table = main_table(evidence, tuned, "other")
    assert [row.name for row in table.rows] == ["random", "constant", "other", "oracle"]
    by_name = {row.name: row for row in table.rows}
    (pool,) = evidence.pools("test")
    scores = evidence.truth.scores[np.ix_(pool.models, pool.queries)]
    assert by_name["other"].routing == pytest.approx({"mixed": scores[0].mean(), MACRO: scores[0].mean()})
    assert by_name["random"].routing[MACRO] == pytest.approx(scores.mean())
    assert by_name["oracle"].routing[MACRO] == pytest.approx(scores.max(axis=0).mean())
    assert by_name["oracle"].prediction == {}
    assert by_name["other"].routing_difference == {}
    gap = by_name["oracle"].routing_difference["mixed"]
    assert gap.mean == pytest.approx(scores.max(axis=0).mean() - scores[0].mean())
    assert 0 < gap.low < gap.mean < gap.high
    assert main_table(evidence, tuned, "other").rows == table.rows
    assert main_table(evidence, tuned, "no row").reference is None


def test_the_report_shows_rows_differences_and_grids(tmp_path: Path, evidence: Evidence) -> None:
    runs = Runs(tmp_path, evidence)
    other = Constant(seeds=1, name="other", grid=({"p": 0.6},))
    tuned = [tune(runs, Constant(), 2), tune(runs, other, 2)]
    found = main_json(main_table(evidence, tuned, "other"), tuned, 2)
    text = markdown(found, [lambda whole: f"## Further\n\n{len(whole['grids'])} rows", lambda _whole: ""])
    routing = found["main"]["rows"][1]["routing"]["mixed"]
    assert f"| constant | {100 * routing:.1f} | {100 * routing:.1f} |" in text
    assert "| random |" in text
    assert "**constant**" in text
    assert "| p 0.4 |" in text
    assert text.endswith("## Further\n\n2 rows\n")
    gap = found["main"]["rows"][1]["routing_difference"][MACRO]
    assert f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]" in text


def test_data_without_anything_to_measure_on_is_refused(tmp_path: Path) -> None:
    data, q = two_skills(100)
    train = Evidence.of(Dataset(**{**vars(data), "splits": np.full(100, "train")}), q)
    with pytest.raises(DataError, match="split val"):
        tune(Runs(tmp_path, train), Constant(), 1)
    with pytest.raises(DataError, match="split test"):
        main_table(train, [], "ours")
    val = Evidence.of(Dataset(**{**vars(data), "splits": np.full(100, "val")}), q)
    with pytest.raises(DataError, match="split train: there is nothing to learn from"):
        tune(Runs(tmp_path, val), Constant(), 1)
