from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router.data.dataset import load_all_queries, load_dataset, load_datasets, load_queries
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
    folder.mkdir(exist_ok=True)
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


def write_second(folder: Path) -> Path:
    """A folder that shares model b/y with that of `write`, where it is not held out."""
    return write(
        folder,
        [{"query_id": 20, "benchmark": "chess", "category": "open", "prompt": "e4?", "split": "val"}],
        [{"model": "b/y", "onboarding": False}, {"model": "c/z", "onboarding": False}],
        [{"model": "c/z", "query_id": 20, "score": 0.25}, {"model": "b/y", "query_id": 20, "score": 0.75}],
    )


def test_several_folders_become_one_table(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write_second(tmp_path / "two")
    data, none = load_datasets([one, two]), np.nan
    assert data.models == ("a/x", "b/y", "c/z")
    assert data.onboarding.tolist() == [False, True, False]
    assert data.query_ids.tolist() == [7, 9, 20]
    assert data.benchmarks.tolist() == ["sums", "places", "chess"]
    assert data.categories.tolist() == ["", "", "open"]
    assert data.splits.tolist() == ["train", "test", "val"]
    assert data.prompts == ("1+1?", "Where is Rome?", "e4?")
    expected = np.array([[1, 0.5, none], [none, 0, 0.75], [none, none, 0.25]], np.float32)
    np.testing.assert_array_equal(data.scores, expected)
    assert load_all_queries([one, two]).prompts == data.prompts


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint64(), pa.int64()])
def test_ids_of_any_width_are_joined(tmp_path: Path, kind: pa.DataType) -> None:
    one, two = write(tmp_path / "one"), write_second(tmp_path / "two")
    queries = pq.read_table(two / "queries.parquet")
    at = queries.column_names.index("query_id")
    pq.write_table(queries.set_column(at, "query_id", queries["query_id"].cast(kind)), two / "queries.parquet")
    data = load_datasets([two, one])
    assert data.query_ids.tolist() == [7, 9, 20]
    assert data.query_ids.dtype == np.int64
    assert load_datasets([two]).query_ids.dtype == kind.to_pandas_dtype()


def test_the_order_of_folders_has_no_effect(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write_second(tmp_path / "two")
    data, turned = load_datasets([one, two]), load_datasets([two, one])
    assert turned.hash == data.hash
    assert turned.models == data.models
    np.testing.assert_array_equal(turned.query_ids, data.query_ids)
    np.testing.assert_array_equal(turned.scores, data.scores)
    np.testing.assert_array_equal(load_all_queries([two, one]).query_ids, data.query_ids)


def test_the_hash_of_several_folders_depends_on_each(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write_second(tmp_path / "two")
    before = load_datasets([one, two]).hash
    assert len({before, load_dataset(one).hash, load_dataset(two).hash}) == 3
    write(one, evaluations=changed(EVALUATIONS, 0, score=0.5))
    assert load_datasets([one, two]).hash != before


def test_one_folder_is_as_by_itself(tmp_path: Path) -> None:
    alone, joined = load_dataset(write(tmp_path)), load_datasets([tmp_path])
    assert (joined.hash, joined.models, joined.prompts) == (alone.hash, alone.models, alone.prompts)
    np.testing.assert_array_equal(joined.scores, alone.scores)


def test_folders_with_the_same_query_id_are_refused(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two", [QUERIES[1]], MODELS, EVALUATIONS[1:])
    for load in (load_datasets, load_all_queries):
        with pytest.raises(DataError, match=r"one and .*two: both have query_id 9 \(1 such ids\)"):
            load([one, two])
    with pytest.raises(DataError, match=r"one and .*one: both have query_id 7"):
        load_datasets([one, one])
