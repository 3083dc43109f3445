"""Reads evaluation data, a folder of three parquet files, into one validated dense table. Does not load torch."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router.data.parquet import column_names, read_columns
from router.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = ("train", "val", "test")
FILES = ("queries.parquet", "models.parquet", "evaluations.parquet")
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Queries:
    """Q queries.

    Attributes:
        query_ids: (Q,), integers, as in the file.
        benchmarks: (Q,), str.
        splits: (Q,), str, each of "train", "val", "test".
        categories: (Q,), str; "" where the source names none.
        prompts: Q texts.
    """

    query_ids: NDArray[np.integer]
    benchmarks: NDArray[np.str_]
    categories: NDArray[np.str_]
    splits: NDArray[np.str_]
    prompts: tuple[str, ...]

    def where(self, split: str) -> NDArray[np.int64]:
        """Indices of the queries of a split."""
        return np.flatnonzero(self.splits == split)


@dataclass(frozen=True)
class Dataset(Queries):
    """Evaluations of M models on Q queries.

    Attributes:
        models: M names, `provider/name`.
        onboarding: (M,), bool: held out from training.
        scores: (M, Q), float32 in [0, 1]; NaN where a model was not evaluated on a query.
        hash: SHA-256 of the three files.
    """

    models: tuple[str, ...]
    onboarding: NDArray[np.bool_]
    scores: NDArray[np.float32]
    hash: str

    def without(self, benchmarks: Collection[str]) -> "Dataset":
        """The same data without some benchmarks; models keep their places.

        Raises:
            DataError: a benchmark that is not in the data.
        """
        unknown = sorted(set(benchmarks) - set(self.benchmarks.tolist()))
        if unknown:
            known = ", ".join(sorted(set(self.benchmarks.tolist())))
            raise DataError(f"no benchmark {', '.join(unknown)} in the data; there are {known}")
        keep = np.flatnonzero(~np.isin(self.benchmarks, list(benchmarks)))
        return Dataset(
            self.query_ids[keep],
            self.benchmarks[keep],
            self.categories[keep],
            self.splits[keep],
            tuple(self.prompts[i] for i in keep),
            self.models,
            self.onboarding,
            self.scores[:, keep],
            self.hash,
        )

    def evaluated(self) -> NDArray[np.bool_]:
        """True for models with train evaluations, (M,), bool."""
        return np.asarray((~np.isnan(self.scores[:, self.where("train")])).any(axis=1))


def load_queries(folder: Path) -> Queries:
    """Reads and checks queries.parquet alone.

    Raises:
        DataError: as for `load_dataset`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with queries, models and evaluations.parquet")
    path = folder / "queries.parquet"
    columns = _read(path, {"query_id": "int", "benchmark": "str", "prompt": "str", "split": "str"}, {"category": "str"})
    _check_unique(path, "query_id", columns["query_id"])
    wrong = np.flatnonzero(~np.isin(columns["split"], SPLITS))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{path}: row {row}: split is {columns['split'][row]!r}, expected one of {', '.join(SPLITS)} "
            f"({len(wrong)} such rows)"
        )
    return Queries(
        columns["query_id"],
        columns["benchmark"].astype(np.str_),
        columns["category"].astype(np.str_) if "category" in columns else np.full(len(columns["query_id"]), ""),
        columns["split"].astype(np.str_),
        tuple(columns["prompt"].tolist()),
    )


def load_dataset(folder: Path) -> Dataset:
    """Reads and checks queries.parquet, models.parquet and evaluations.parquet.

    Raises:
        DataError: a file is missing or unreadable, a column is missing or of the wrong type, an id occurs twice, a split
            is unknown, a score is outside [0, 1], or an evaluation names a query or model that the others lack.
    """
    queries = load_queries(folder)
    models = _read(folder / "models.parquet", {"model": "str"}, {"onboarding": "bool"})
    _check_unique(folder / "models.parquet", "model", models["model"])
    evaluations = _read(folder / "evaluations.parquet", {"model": "str", "query_id": "int", "score": "float"})
    onboarding = models.get("onboarding")
    return Dataset(
        queries.query_ids,
        queries.benchmarks,
        queries.categories,
        queries.splits,
        queries.prompts,
        models=tuple(models["model"].tolist()),
        onboarding=np.zeros(len(models["model"]), np.bool_) if onboarding is None else onboarding.astype(np.bool_),
        scores=_score_table(folder / "evaluations.parquet", evaluations, queries.query_ids, models["model"]),
        hash=_hash(folder),
    )


def _score_table(
    path: Path, evaluations: Columns, query_ids: NDArray[np.integer], models: np.ndarray
) -> NDArray[np.float32]:
    """The evaluations, one a row of the file, as a dense table, (M, Q), float32; NaN where there is none."""
    score = _checked_scores(path, evaluations)
    column = _query_columns(path, evaluations["query_id"], query_ids)
    row = _model_rows(path, evaluations["model"], models)
    cell = row * len(query_ids) + column
    distinct, first, counts = np.unique(cell, return_index=True, return_counts=True)
    if len(distinct) != len(cell):
        i = int(first[np.argmax(counts > 1)])
        raise DataError(
            f"{path}: {evaluations['model'][i]} has more than one score on query {evaluations['query_id'][i]}; "
            "average them first"
        )
    table = np.full((len(models), len(query_ids)), np.nan, np.float32)
    table.reshape(-1)[cell] = score
    return table


def _checked_scores(path: Path, evaluations: Columns) -> NDArray[np.float32]:
    score = evaluations["score"].astype(np.float32)
    bad = np.flatnonzero(~((score >= 0) & (score <= 1)))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{path}: row {row}: score of {evaluations['model'][row]} on query {evaluations['query_id'][row]} is "
            f"{score[row]!s}, expected a number from 0 to 1 ({len(bad)} such rows)"
        )
    return score


def _query_columns(path: Path, named: np.ndarray, query_ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """The position in `query_ids` of each evaluation's query, (E,)."""
    order = np.argsort(query_ids, kind="stable")
    position = np.minimum(np.searchsorted(query_ids, named, sorter=order), max(len(order) - 1, 0))
    column = order[position] if len(order) else position
    unknown = np.flatnonzero(query_ids[column] != named) if len(order) else np.arange(len(named))
    if len(unknown):
        row = int(unknown[0])
        raise DataError(
            f"{path}: row {row}: query_id {named[row]} is not in queries.parquet ({len(unknown)} such rows)"
        )
    return np.asarray(column, np.int64)


def _model_rows(path: Path, named: np.ndarray, models: np.ndarray) -> NDArray[np.int64]:
    """The position in `models` of each evaluation's model, (E,)."""
    names, inverse = np.unique(named.astype(np.str_), return_inverse=True)
    index = {name: i for i, name in enumerate(models.tolist())}
    unknown = [name for name in names.tolist() if name not in index]
    if unknown:
        row = int(np.flatnonzero(named == unknown[0])[0])
        raise DataError(f"{path}: row {row}: model {unknown[0]!r} is not in models.parquet")
    return np.array([index[name] for name in names.tolist()], np.int64)[inverse] if len(names) else inverse


def _read(path: Path, required: dict[str, str], optional: dict[str, str] | None = None) -> Columns:
    """Columns of a parquet file as numpy arrays without nulls.

    Args:
        required, optional: column -> its kind: "int", "float", "bool" or "str".
    """
    wanted = {**required, **(optional or {})}
    present = column_names(path)
    missing = [name for name in required if name not in present]
    if missing:
        raise DataError(f"{path}: column {missing[0]} is missing; it has {', '.join(present)}")
    table = read_columns(path, [name for name in wanted if name in present])
    return {
        name: _as_numpy(path, name, table[name], kind, fill_null=name not in required and kind == "str")
        for name, kind in wanted.items()
        if name in present
    }


def _as_numpy(path: Path, name: str, column: "pa.ChunkedArray", kind: str, *, fill_null: bool) -> np.ndarray:
    """A column as a numpy array: texts as objects, and with `fill_null` the empty text for null."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    types = pa.types
    is_kind = {
        "int": types.is_integer(column.type),
        "float": types.is_floating(column.type) or types.is_integer(column.type),
        "bool": types.is_boolean(column.type),
        "str": types.is_string(column.type) or types.is_large_string(column.type),
    }
    if not is_kind[kind]:
        raise DataError(f"{path}: column {name} is {column.type}, expected {kind}")
    if fill_null:
        column = column.fill_null("")
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise DataError(f"{path}: row {row}: {name} is null ({column.null_count} such rows)")
    values: np.ndarray = column.to_numpy()
    return values


def _check_unique(path: Path, name: str, values: np.ndarray) -> None:
    distinct, counts = np.unique(values.astype(np.str_), return_counts=True)
    if len(distinct) != len(values):
        raise DataError(f"{path}: {name} {distinct[counts.argmax()]} occurs {counts.max()} times")


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES:  # the order is part of the hash
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
