"""Reads evaluation data, folders of three parquet files each, into one validated dense table. Does not load torch."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from router.data.parquet import Columns, check_unique, read_arrays
from router.errors import DataError

SPLITS = ("train", "val", "test")
FILES = ("queries.parquet", "models.parquet", "evaluations.parquet")


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
        hash: SHA-256 of the three files; of several folders, SHA-256 of their hashes.
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


AnyQueries = TypeVar("AnyQueries", bound=Queries)


def load_queries(folder: Path) -> Queries:
    """Reads and checks queries.parquet alone.

    Raises:
        DataError: as for `load_dataset`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with queries, models and evaluations.parquet")
    path = folder / "queries.parquet"
    columns = read_arrays(
        path, {"query_id": "int", "benchmark": "str", "prompt": "str", "split": "str"}, {"category": "str"}
    )
    check_unique(path, "query_id", columns["query_id"])
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
    models = read_arrays(folder / "models.parquet", {"model": "str"}, {"onboarding": "bool"})
    check_unique(folder / "models.parquet", "model", models["model"])
    evaluations = read_arrays(folder / "evaluations.parquet", {"model": "str", "query_id": "int", "score": "float"})
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


def load_all_queries(folders: Sequence[Path]) -> Queries:
    """Reads and checks queries.parquet of each folder, and joins them as `load_datasets` does.

    Raises:
        DataError: as for `load_datasets`.
    """
    return _join_queries(*_ordered(folders, [load_queries(folder) for folder in folders]))


def load_datasets(folders: Sequence[Path]) -> Dataset:
    """Reads, checks and joins the data of several folders; one folder gives what `load_dataset` gives.

    Models of one name are one model, held out if any folder says so. The order in which the folders are named has no effect:
    they are joined by their smallest query_id.

    Args:
        folders: at least one.

    Raises:
        DataError: as for `load_dataset`, or two folders have the same query_id.
    """
    folders, parts = _ordered(folders, [load_dataset(folder) for folder in folders])
    if len(parts) == 1:
        return parts[0]
    queries = _join_queries(folders, parts)
    row = {name: i for i, name in enumerate(dict.fromkeys(name for part in parts for name in part.models))}
    onboarding = np.zeros(len(row), np.bool_)
    scores = np.full((len(row), len(queries.prompts)), np.nan, np.float32)
    start = 0
    for part in parts:
        rows, stop = [row[name] for name in part.models], start + len(part.prompts)
        onboarding[rows] |= part.onboarding
        scores[rows, start:stop] = part.scores
        start = stop
    digest = hashlib.sha256("".join(part.hash for part in parts).encode()).hexdigest()
    return Dataset(**vars(queries), models=tuple(row), onboarding=onboarding, scores=scores, hash=digest)


def _ordered(folders: Sequence[Path], parts: Sequence[AnyQueries]) -> tuple[list[Path], list[AnyQueries]]:
    """Folders and their contents by the smallest query_id."""
    if not parts:
        raise DataError("no data folder is named")
    order = sorted(range(len(parts)), key=lambda i: min(parts[i].query_ids.tolist(), default=0))
    return [folders[i] for i in order], [parts[i] for i in order]


def _join_queries(folders: Sequence[Path], parts: Sequence[Queries]) -> Queries:
    """The queries of all folders, in their order.

    Raises:
        DataError: two folders have the same query_id.
    """
    query_ids = np.concatenate([part.query_ids.astype(np.int64) for part in parts])
    owner = np.repeat(np.arange(len(parts)), [len(part.query_ids) for part in parts])
    distinct, first, counts = np.unique(query_ids, return_index=True, return_counts=True)
    if len(distinct) != len(query_ids):
        repeated = int(first[np.argmax(counts > 1)])
        one, other = owner[query_ids == query_ids[repeated]][:2].tolist()
        raise DataError(
            f"{folders[one]} and {folders[other]}: both have query_id {query_ids[repeated]} "
            f"({int((counts > 1).sum())} such ids); `locus import --append` puts evaluations into one folder"
        )
    return Queries(
        query_ids,
        np.concatenate([part.benchmarks for part in parts]),
        np.concatenate([part.categories for part in parts]),
        np.concatenate([part.splits for part in parts]),
        tuple(prompt for part in parts for prompt in part.prompts),
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


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES:  # the order is part of the hash
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
