"""The guard: when the best single model is kept, in numbers and in a world without signal."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router.data.dataset import Dataset, load_dataset
from router.encode.load import load_encoder
from router.train.evaluate import predict_all
from router.train.guard import TRUST_LEVELS, choose_trust
from router.train.train import Trained, train
from tests.router.datasets import tables

MEANS = {"lab/best": 0.7, "lab/good": 0.6, "lab/fair": 0.5, "lab/poor": 0.3}


def routed(*means: float, queries: int = 400) -> np.ndarray:
    """Scores of each trust level with these means; a higher mean passes the same queries and more."""
    base = np.zeros(queries)
    base[: int(means[0] * queries)] = 1
    rows = np.tile(base, (len(means), 1))
    for row, mean in zip(rows, means, strict=True):
        row[: int(mean * queries)] = 1
    return rows


def test_the_level_with_the_highest_gain_is_chosen() -> None:
    result = choose_trust("b", routed(0.6, 0.6, 0.7, 0.72, 0.65))
    assert result.trust == TRUST_LEVELS[3]
    assert not result.guarded
    assert (result.best_single, result.learned, result.queries) == pytest.approx((0.6, 0.72, 400))


def test_a_gain_within_its_own_error_changes_nothing() -> None:
    # Three queries of 400 gained: a difference of 3/400, with a standard error of about sqrt(3)/400.
    rows = routed(0.6, 0.6, 0.6, 0.6, 0.6)
    rows[4, -3:] = 1
    result = choose_trust("b", rows)
    assert result.guarded
    assert result.learned > result.best_single
    assert result.standard_error == pytest.approx(3**0.5 / 400, rel=0.01)
    rows[4, -5:] = 1  # 5 > 2 √5
    assert not choose_trust("b", rows).guarded


def test_without_queries_the_best_single_model_is_kept() -> None:
    assert choose_trust("b", np.zeros((len(TRUST_LEVELS), 0))).guarded


@pytest.fixture(scope="module")
def without_signal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Trained]:
    """Every score is a coin of its model, whatever the query."""
    folder = tmp_path_factory.mktemp("coins")
    rng = np.random.default_rng(5)
    queries = tables(2000)["queries"]
    scores = [
        {"model": model, "query_id": query, "score": float(rng.random() < mean)}
        for query in queries["query_id"].to_pylist()
        for model, mean in MEANS.items()
    ]
    pq.write_table(queries, folder / "queries.parquet")
    pq.write_table(pa.Table.from_pylist([{"model": model} for model in MEANS]), folder / "models.parquet")
    pq.write_table(pa.Table.from_pylist(scores), folder / "evaluations.parquet")
    data = load_dataset(folder)
    return data, train(data, load_encoder().encode(data.prompts), 256, 0, Path(folder))


def test_scores_without_signal_leave_the_best_single_model(without_signal: tuple[Dataset, Trained]) -> None:
    data, trained = without_signal
    assert all(result.guarded for result in trained.guard)
    p = predict_all(trained.locus, data, load_encoder().encode(data.prompts), trained.space, "test")
    chosen = p[:, data.splits == "test"].argmax(axis=0)
    assert {data.models[m] for m in chosen} == {"lab/best"}
    for m, mean in enumerate(MEANS.values()):
        assert p[m, data.splits == "test"].mean() == pytest.approx(mean, abs=0.05)
