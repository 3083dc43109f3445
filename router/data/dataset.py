"""Evaluation data: a folder of three parquet files -> one validated dense table. Nothing here knows about torch."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.errors import DataError

SPLITS = ("train", "val", "test")


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

    query_ids: NDArray[np.integer[Any]]
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


def load_queries(folder: Path) -> Queries:
    """Reads and checks queries.parquet alone.

    Raises:
        DataError: as for `load_dataset`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with queries, models and evaluations.parquet")
    path = folder / "queries.parquet"
    columns = _read(path, {"query_id": "int", "benchmark": "str", "prompt": "str", "split": "str"}, {"category": "str"})
    _unique(path, "query_id", columns["query_id"])
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
    _unique(folder / "models.parquet", "model", models["model"])
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
        scores=_table(folder / "evaluations.parquet", evaluations, queries.query_ids, models["model"]),
        hash=_hash(folder),
    )


def _table(path: Path, evaluations: dict[str, Any], query_ids: Any, models: Any) -> NDArray[np.float32]:
    """The long table as (M, Q), checked row by row."""
    score = evaluations["score"].astype(np.float32)
    bad = np.flatnonzero(~((score >= 0) & (score <= 1)))
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"{path}: row {row}: score of {evaluations['model'][row]} on query {evaluations['query_id'][row]} is "
            f"{score[row]!s}, expected a number from 0 to 1 ({len(bad)} such rows)"
        )
    order = np.argsort(query_ids, kind="stable")
    position = np.minimum(np.searchsorted(query_ids, evaluations["query_id"], sorter=order), max(len(order) - 1, 0))
    column = order[position] if len(order) else position
    unknown = np.flatnonzero(query_ids[column] != evaluations["query_id"]) if len(order) else np.arange(len(score))
    if len(unknown):
        row = int(unknown[0])
        raise DataError(
            f"{path}: row {row}: query_id {evaluations['query_id'][row]} is not in queries.parquet "
            f"({len(unknown)} such rows)"
        )
    names, inverse = np.unique(evaluations["model"].astype(np.str_), return_inverse=True)
    index = {name: i for i, name in enumerate(models.tolist())}
    strangers = [name for name in names.tolist() if name not in index]
    if strangers:
        row = int(np.flatnonzero(evaluations["model"] == strangers[0])[0])
        raise DataError(f"{path}: row {row}: model {strangers[0]!r} is not in models.parquet")
    model = np.array([index[name] for name in names.tolist()], np.int64)[inverse] if len(names) else inverse
    flat = model * len(query_ids) + column
    seen, first, counts = np.unique(flat, return_index=True, return_counts=True)
    if len(seen) != len(flat):
        row = int(first[np.argmax(counts > 1)])
        raise DataError(
            f"{path}: {evaluations['model'][row]} has more than one score on query {evaluations['query_id'][row]}; "
            "average them first"
        )
    table = np.full((len(index), len(query_ids)), np.nan, np.float32)
    table.reshape(-1)[flat] = score
    return table


def _read(path: Path, required: dict[str, str], optional: dict[str, str] | None = None) -> dict[str, Any]:
    """Columns of a parquet file as numpy arrays, without nulls, of the kinds asked for."""
    import pyarrow as pa  # heavy; only commands that read evaluation data pay for it
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        present = pq.read_schema(path).names
        table = pq.read_table(path, columns=[c for c in {**required, **(optional or {})} if c in present])
    except (pa.ArrowException, OSError) as exc:
        raise DataError(f"{path}: not a readable parquet file: {exc}") from exc
    checks = {
        "int": pa.types.is_integer,
        "float": lambda t: pa.types.is_floating(t) or pa.types.is_integer(t),
        "bool": pa.types.is_boolean,
        "str": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
    }
    columns = {}
    for name, kind in {**required, **(optional or {})}.items():
        if name not in table.column_names:
            if name in required:
                raise DataError(f"{path}: column {name} is missing; it has {', '.join(present)}")
            continue
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not checks[kind](column.type):
            raise DataError(f"{path}: column {name} is {column.type}, expected {kind}")
        if column.null_count and name in (optional or {}) and kind == "str":
            column = column.fill_null("")
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise DataError(f"{path}: row {row}: {name} is null ({column.null_count} such rows)")
        columns[name] = column.to_numpy()
    return columns


def _unique(path: Path, name: str, values: Any) -> None:
    seen, counts = np.unique(values.astype(np.str_), return_counts=True)
    if len(seen) != len(values):
        raise DataError(f"{path}: {name} {seen[counts.argmax()]} occurs {counts.max()} times")


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("queries.parquet", "models.parquet", "evaluations.parquet"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
