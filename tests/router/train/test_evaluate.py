"""Embedding and predicting a dataset with the shipped checkpoint, and the measured accuracies against counts by hand."""

import numpy as np
import pytest

from router.data.dataset import Dataset, Queries
from router.encode.load import load_encoder
from router.errors import DataError
from router.model.checkpoint import load_checkpoint
from router.model.locus import Locus
from router.train.evaluate import MACRO, embed_all, evaluate, predict_all, predictor_of

COUNT = 60


@pytest.fixture(scope="module")
def world() -> tuple[Locus, Dataset, np.ndarray]:
    loaded = load_checkpoint()
    prompts = tuple(f"What is {a} + {a + 3}?" for a in range(COUNT))
    splits = np.array(["train", "val", "test"])[np.arange(COUNT) % 3]
    queries = Queries(np.arange(COUNT), np.full(COUNT, "sums"), np.full(COUNT, ""), splits, prompts)
    scores = np.array([np.ones(COUNT), np.zeros(COUNT), np.full(COUNT, np.nan)], np.float32)
    data = Dataset(
        **vars(queries), models=("a/good", "a/poor", "a/idle"), onboarding=np.zeros(3, bool), scores=scores, hash="h"
    )
    return Locus.restore(loaded.weights, loaded.card["config"]), data, load_encoder().encode(prompts)


def test_models_with_evaluations_are_embedded_and_predicted_in_their_split(
    world: tuple[Locus, Dataset, np.ndarray],
) -> None:
    locus, data, q = world
    calls: list[int] = []
    space = embed_all(locus, data, q, "train", per_model=7, seed=0, checkpoint="c", progress=calls.append)
    assert (space.models, space.evaluations, space.checkpoint) == (("a/good", "a/poor"), (7, 7), "c")
    assert calls == [2, 3]
    p = predict_all(locus, data, q, space, "test")
    assert p.shape == (3, COUNT)
    test = data.splits == "test"
    assert np.isnan(p[2]).all()
    assert np.isnan(p[:, ~test]).all()
    assert (p[0, test] > p[1, test]).all()
    predictor, known = predictor_of(locus, data, space)
    assert known.tolist() == [0, 1]
    np.testing.assert_array_equal(predictor.predict(q[test], graded=True).p_correct.T, p[:2, test])


def test_a_split_without_evaluations_is_refused(world: tuple[Locus, Dataset, np.ndarray]) -> None:
    locus, data, q = world
    nothing = Dataset(**{**vars(data), "scores": np.full_like(data.scores, np.nan)})
    with pytest.raises(DataError, match="no model has an evaluation in split val"):
        embed_all(locus, nothing, q, "val", per_model=None, seed=0, checkpoint="")


def test_accuracies_are_counts(world: tuple[Locus, Dataset, np.ndarray]) -> None:
    _, data, q = world
    test = np.flatnonzero(data.splits == "test")
    p = np.full(data.scores.shape, 0.4, np.float32)  # says "wrong" of both models
    p[0, test[:15]] = 0.9  # and chooses the good one on 15 of 20 queries
    p[1, test[15:]] = 0.45
    rows = {row.name: row for row in evaluate(data, q[:, :256], p, "test")}
    assert set(rows) == {"sums", MACRO}
    sums = rows["sums"]
    assert (sums.queries, sums.models) == (20, 2)
    assert sums.routing["LOCUS"] == pytest.approx(0.75)
    assert (sums.routing["best single"], sums.routing["oracle"]) == (1.0, 1.0)
    assert sums.prediction["LOCUS"] == pytest.approx((15 + 20) / 40)
    assert rows[MACRO].routing == sums.routing


def test_new_pools_have_an_average_of_their_own_and_some_pools_none(world: tuple[Locus, Dataset, np.ndarray]) -> None:
    _, data, q = world
    names = np.array(["sums", "crux", "sql_optimization", "routerarena"])[np.arange(len(data.prompts)) % 4]
    data = Dataset(**{**vars(data), "benchmarks": names})
    rows = {row.name: row for row in evaluate(data, q[:, :256], np.full(data.scores.shape, 0.6, np.float32), "test")}
    assert set(rows) == {"sums", "zeroeval", "crux (zeroeval)", "sql", "routerarena", MACRO, f"{MACRO}, new pools"} | (
        {"sql_optimization (sql)"}
    )
    old = [rows[name].prediction["LOCUS"] for name in ("sums", "zeroeval")]
    assert rows[MACRO].prediction["LOCUS"] == pytest.approx(np.mean(old))
    assert rows[MACRO].queries == rows["sums"].queries + rows["zeroeval"].queries
    assert rows[f"{MACRO}, new pools"].routing == rows["sql"].routing
