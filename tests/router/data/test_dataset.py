from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router.data.dataset import load_dataset, load_queries
from router.errors import DataError

QUERIES = [
    {"query_id": 7, "benchmark": "sums", "category": "", "prompt": "1+1?", "split": "train"},
    {"query_id": 9, "benchmark": "places", "category": "", "prompt": "Where is Rome?", "split": "test"},
]
MODELS: list[dict[str, Any]] = [{"model": "a/x", "onboarding": False}, {"model": "b/y", "onboarding": True}]
EVALUATIONS = [
    {"model": "a/x", "query_id": 7, "score": 1.0},
    {"model": "a/x", "query_id": 9, "score": 0.5},
    {"model": "b/y", "query_id": 9, "score": 0.0},
]


def write(folder: Path, queries: Any = None, models: Any = None, evaluations: Any = None) -> Path:
    for name, rows in (
        ("queries", queries or QUERIES),
        ("models", models or MODELS),
        ("evaluations", evaluations or EVALUATIONS),
    ):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder


def changed(rows: list[dict[str, Any]], row: int, **values: Any) -> list[dict[str, Any]]:
    return [r | values if i == row else r for i, r in enumerate(rows)]


def test_good_data_is_read(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path))
    assert data.models == ("a/x", "b/y")
    assert data.onboarding.tolist() == [False, True]
    np.testing.assert_array_equal(data.scores, np.array([[1.0, 0.5], [np.nan, 0.0]], np.float32))
    assert data.where("test").tolist() == [1]
    assert load_queries(tmp_path).prompts == ("1+1?", "Where is Rome?")


def test_a_dictionary_encoded_model_column_and_a_missing_optional_one_are_read(tmp_path: Path) -> None:
    write(tmp_path, models=[{"model": "a/x"}, {"model": "b/y"}])
    table = pa.Table.from_pylist(EVALUATIONS)
    table = table.set_column(0, "model", table["model"].dictionary_encode())
    pq.write_table(table, tmp_path / "evaluations.parquet")
    data = load_dataset(tmp_path)
    assert not data.onboarding.any()
    assert data.scores[0].tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"evaluations": changed(EVALUATIONS, 1, score=1.2)}, ["evaluations.parquet", "row 1", "a/x", "1.2"]),
        ({"evaluations": changed(EVALUATIONS, 2, score=-0.1)}, ["row 2", "-0.1"]),
        ({"evaluations": changed(EVALUATIONS, 0, score=float("nan"))}, ["row 0", "nan"]),
        ({"evaluations": changed(EVALUATIONS, 0, score=None)}, ["row 0", "score is null"]),
        ({"evaluations": changed(EVALUATIONS, 1, query_id=8)}, ["row 1", "query_id 8 is not in queries.parquet"]),
        ({"evaluations": changed(EVALUATIONS, 1, query_id=99)}, ["row 1", "query_id 99"]),
        ({"evaluations": changed(EVALUATIONS, 1, model="c/z")}, ["row 1", "'c/z' is not in models.parquet"]),
        ({"evaluations": [*EVALUATIONS, EVALUATIONS[0]]}, ["a/x has more than one score on query 7"]),
        ({"evaluations": [{"model": "a/x", "query": 7, "score": 1.0}]}, ["column query_id is missing", "query"]),
        ({"queries": changed(QUERIES, 0, split="dev")}, ["queries.parquet", "row 0", "'dev'", "train, val, test"]),
        ({"queries": changed(QUERIES, 0, query_id=9)}, ["query_id 9 occurs 2 times"]),
        ({"queries": [q | {"query_id": str(q["query_id"])} for q in QUERIES]}, ["query_id is string, expected int"]),
        ({"models": [*MODELS, MODELS[0]]}, ["models.parquet", "a/x occurs 2 times"]),
        ({"models": [{"name": "a/x"}]}, ["column model is missing"]),
    ],
)
def test_bad_data_is_named(tmp_path: Path, bad: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(write(tmp_path, **bad))
    for part in says:
        assert part in str(caught.value)


def test_missing_and_corrupted_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load_dataset(tmp_path / "nowhere")
    write(tmp_path)
    (tmp_path / "evaluations.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(DataError, match=r"evaluations\.parquet: not a readable parquet file"):
        load_dataset(tmp_path)
    (tmp_path / "models.parquet").unlink()
    with pytest.raises(DataError, match=r"models\.parquet: no such file"):
        load_dataset(tmp_path)


def test_benchmarks_can_be_left_out(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path))
    assert data.without(["places"]).prompts == ("1+1?",)
    with pytest.raises(DataError, match="no benchmark plases in the data; there are places, sums"):
        data.without(["plases"])
