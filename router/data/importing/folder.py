"""Gathered evaluations into a folder of queries, models and evaluations.parquet, new or already there.

Query ids and splits that are in the folder stay as they are, so what was trained or reported on it stays comparable. Nothing
is written unless everything is in order, and then by renaming: a reader sees the old data or the new.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset, load_dataset
from router.data.importing.gathered import Gathered, Query
from router.data.importing.prompt import identity, likeness, most_held_out, split_of
from router.errors import DataError

# Replaced in this order: the queries and models of an addition contain the old ones, so data between two of these steps loads.
FILES = ("queries.parquet", "models.parquet", "evaluations.parquet")
UNSTATED = "imported"
LARGEST_ID = 2**31 - 1
DICTIONARY_ROWS = 1000


@dataclass(frozen=True)
class Target:
    """Where evaluations go.

    Attributes:
        folder: made if absent; otherwise empty, or `append`.
        append: add to the data in the folder.
        conflicts: for another score of a (model, query) pair that the folder has: refuse, keep the old, or replace it.
        seed: which division of the questions without a stated split.
        onboarding: models to mark as held out.
    """

    folder: Path
    append: bool = False
    conflicts: str = "refuse"
    seed: int = 0
    onboarding: tuple[str, ...] = ()


@dataclass(frozen=True)
class Saved:
    """The data as it stands in the folder now, and what of it is new."""

    dataset: Dataset
    new_queries: int
    new_models: int
    new_evaluations: int
    notes: tuple[str, ...]


def save(gathered: Gathered, target: Target) -> Saved:
    """Writes, and reads back what it wrote before it counts.

    Raises:
        DataError: the folder holds something and `append` is not set, or holds no valid data; a query_id that another text
            has; a score that differs from the folder's, if `conflicts` is refuse; a held-out model that is not in the data.
    """
    old = _existing(target)
    placed = _place(gathered.queries, old, target)
    changes = _changes(gathered, placed, old, target)
    tables = {
        "queries.parquet": _joined(old, "queries.parquet", _query_rows(gathered, placed)),
        "models.parquet": _models(gathered, old, target),
        "evaluations.parquet": _evaluations(gathered, placed, changes, old),
    }
    dataset = _write(tables, target.folder)
    new_models = len(dataset.models) - (len(old.dataset.models) if old else 0)
    notes = (*gathered.notes, *changes.notes)
    return Saved(dataset, int((~placed.known).sum()), new_models, len(changes.added), notes)


@dataclass(frozen=True)
class _Existing:
    """What is in the folder: checked as a dataset, and as tables with whatever further columns they have."""

    dataset: Dataset
    tables: Mapping[str, Any]


def _existing(target: Target) -> _Existing | None:
    folder = target.folder
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file, expected a folder")
    if not target.append and folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder}: the folder is not empty; --append adds to the data in it")
    if not any((folder / name).exists() for name in FILES):
        return None
    import pyarrow.parquet as pq

    dataset = load_dataset(folder)
    return _Existing(dataset, {name: _plain(pq.read_table(folder / name)) for name in FILES})


@dataclass(frozen=True)
class _Placed:
    """For each gathered query its id, its split, and whether the folder has it already; (Q,) each."""

    ids: NDArray[np.int64]
    splits: tuple[str, ...]
    known: NDArray[np.bool_]


def _place(queries: Sequence[Query], old: _Existing | None, target: Target) -> _Placed:
    known = _Known(old)
    at = [known.find(query) for query in queries]
    alike = [likeness(query.prompt) for query in queries]
    stated: dict[str, list[str]] = {}
    for query, text in zip(queries, alike, strict=True):
        if query.split is not None:
            stated.setdefault(text, []).append(query.split)

    def split(text: str) -> str:
        # An old question in other capitals or blanks keeps its split too: elsewhere it would leak.
        if text in known.splits:
            return known.splits[text]
        return most_held_out(stated[text]) if text in stated else split_of(text, target.seed)

    splits = [split(text) if i is None else known.split_at(i) for i, text in zip(at, alike, strict=True)]
    return _Placed(_ids(queries, at, old, target), tuple(splits), np.array([i is not None for i in at], np.bool_))


class _Known:
    """The queries of the folder by text; a text may stand in several benchmarks.

    Attributes:
        splits: split by likeness.
    """

    def __init__(self, old: _Existing | None) -> None:
        self._by_text: dict[str, list[int]] = {}
        self._benchmarks: list[str] = old.dataset.benchmarks.tolist() if old else []
        self._splits: list[str] = old.dataset.splits.tolist() if old else []
        self.splits: dict[str, str] = {}
        for i, prompt in enumerate(old.dataset.prompts if old else ()):
            self._by_text.setdefault(identity(prompt), []).append(i)
            alike, split = likeness(prompt), self._splits[i]
            self.splits[alike] = most_held_out([split, self.splits.get(alike, split)])

    def find(self, query: Query) -> int | None:
        """Position of the old query of this text, of the same benchmark if there is one."""
        same = self._by_text.get(query.prompt, [])
        return next((i for i in same if self._benchmarks[i] == query.benchmark), same[0] if same else None)

    def split_at(self, position: int) -> str:
        return self._splits[position]


def _ids(
    queries: Sequence[Query], at: Sequence[int | None], old: _Existing | None, target: Target
) -> NDArray[np.int64]:
    """Old ids for old queries; for new ones the stated id, or the next after all others."""
    taken = old.dataset.query_ids.tolist() if old else []
    used = set(taken)
    stated = [query.query_id for query, i in zip(queries, at, strict=True) if i is None and query.query_id is not None]
    for number in stated:
        if number in used:
            raise DataError(f"{target.folder}: query_id {number} is that of another prompt there")
        if not 0 <= number <= LARGEST_ID:
            raise DataError(f"query_id {number}: expected a number from 0 to {LARGEST_ID}")
    following = max([*taken, *stated, -1]) + 1
    ids = []
    for query, i in zip(queries, at, strict=True):
        if i is not None:
            ids.append(taken[i])
        elif query.query_id is not None:
            ids.append(query.query_id)
        else:
            ids.append(following)
            following += 1
    if following - 1 > LARGEST_ID:
        raise DataError(f"{target.folder}: no query ids are left above {max([*taken, *stated])}")
    return np.array(ids, np.int64)


@dataclass(frozen=True)
class _Changes:
    """Of the gathered evaluations, which are added and which replace the folder's; indices into them."""

    added: NDArray[np.int64]
    replaced: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def _changes(gathered: Gathered, placed: _Placed, old: _Existing | None, target: Target) -> _Changes:
    nothing = np.zeros(0, np.int64)
    if old is None:
        return _Changes(np.arange(len(gathered.score)), nothing)
    before = _before(gathered, placed, old.dataset)
    added = np.flatnonzero(np.isnan(before))
    differ = np.flatnonzero(~np.isnan(before) & (before != gathered.score))
    if not len(differ):
        return _Changes(added, nothing)
    if target.conflicts == "refuse":
        i = differ[0]
        raise DataError(
            f"{target.folder}: score of {gathered.models[gathered.model[i]]} on query {placed.ids[gathered.query[i]]} is "
            f"{before[i]:g} there, {gathered.score[i]:g} in the import ({len(differ)} such pairs); "
            "--conflicts keep or --conflicts replace decides"
        )
    kept = target.conflicts == "keep"
    note = f"{len(differ)} scores differ from those in the folder; the {'old' if kept else 'new'} ones stand"
    return _Changes(added, nothing if kept else differ, (note,))


def _before(gathered: Gathered, placed: _Placed, old: Dataset) -> NDArray[np.float32]:
    """(E,): the folder's score of each gathered (model, query) pair, NaN where it has none."""
    rows = {name: i for i, name in enumerate(old.models)}
    columns = {number: i for i, number in enumerate(old.query_ids.tolist())}
    row = np.array([rows.get(name, -1) for name in gathered.models])[gathered.model]
    column = np.array([columns.get(number, -1) for number in placed.ids.tolist()])[gathered.query]
    known = (row >= 0) & (column >= 0)
    before = np.full(len(row), np.nan, np.float32)
    before[known] = old.scores[row[known], column[known]]
    return before


def _query_rows(gathered: Gathered, placed: _Placed) -> Any:
    import pyarrow as pa

    new = np.flatnonzero(~placed.known).tolist()
    queries = [gathered.queries[i] for i in new]
    return pa.table(
        {
            "query_id": pa.array(placed.ids[new], pa.int32()),
            "benchmark": pa.array([query.benchmark or UNSTATED for query in queries], pa.string()),
            "category": pa.array([query.category for query in queries], pa.string()),
            "prompt": pa.array([query.prompt for query in queries], pa.large_string()),
            "split": pa.array([placed.splits[i] for i in new], pa.string()),
        }
    )


def _models(gathered: Gathered, old: _Existing | None, target: Target) -> Any:
    """Old models first, with a cost where they had none; `target.onboarding` marked."""
    import pyarrow as pa

    rows: dict[str, dict[str, Any]] = {}
    if old is not None:
        rows = {row["model"]: {"onboarding": False} | row for row in old.tables["models.parquet"].to_pylist()}
    for name, usd in zip(gathered.models, gathered.usd_per_query.tolist(), strict=True):
        provider = name.split("/", 1)[0] if "/" in name else ""
        row = rows.setdefault(name, {"model": name, "provider": provider, "family": "", "onboarding": False})
        row["usd_per_query"] = (
            row.get("usd_per_query") if np.isnan(usd) or row.get("usd_per_query") is not None else usd
        )
    strangers = [name for name in target.onboarding if name not in rows]
    if strangers:
        raise DataError(f"--onboarding {strangers[0]}: no such model in the data; there are {', '.join(rows)}")
    for name in target.onboarding:
        rows[name]["onboarding"] = True
    schema = pa.schema(
        [
            ("model", pa.large_string()),
            ("provider", pa.large_string()),
            ("family", pa.large_string()),
            ("params_b", pa.float32()),
            ("onboarding", pa.bool_()),
            ("usd_per_query", pa.float64()),
        ]
    )
    for field in old.tables["models.parquet"].schema if old else ():
        at = schema.get_field_index(field.name)
        schema = schema.append(field) if at < 0 else schema.set(at, field)
    return pa.Table.from_pylist(list(rows.values()), schema)


def _evaluations(gathered: Gathered, placed: _Placed, changes: _Changes, old: _Existing | None) -> Any:
    import pyarrow as pa

    added = changes.added
    names = pa.DictionaryArray.from_arrays(
        pa.array(gathered.model[added], pa.int32()), pa.array(gathered.models, pa.string())
    )
    rows = pa.table(
        {
            "model": names.cast(pa.string()),
            "query_id": pa.array(placed.ids[gathered.query[added]], pa.int32()),
            "score": pa.array(gathered.score[added], pa.float32()),
        }
    )
    joined = _joined(old, "evaluations.parquet", rows)
    if len(changes.replaced):
        which = changes.replaced.tolist()
        new = {
            (gathered.models[gathered.model[i]], int(placed.ids[gathered.query[i]])): gathered.score[i] for i in which
        }
        pairs = zip(
            joined["model"].to_pylist(), joined["query_id"].to_pylist(), joined["score"].to_pylist(), strict=True
        )
        scores = [float(new.get((model, number), score)) for model, number, score in pairs]
        at = joined.column_names.index("score")
        joined = joined.set_column(at, "score", pa.array(scores, joined["score"].type))
    return joined


def _joined(old: _Existing | None, name: str, rows: Any) -> Any:
    """The folder's table followed by the rows, with the folder's columns and types; further columns are null in the rows."""
    import pyarrow as pa

    if old is None:
        return rows
    before = old.tables[name]
    columns = {
        field.name: rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(len(rows), field.type)
        for field in before.schema
    }
    return pa.concat_tables([before, pa.table(columns, before.schema)])


def _plain(table: Any) -> Any:
    """The table with dictionaries replaced by their texts, which tables with other dictionaries can be joined to."""
    import pyarrow as pa

    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
    return table.replace_schema_metadata(None)


def _write(tables: Mapping[str, Any], folder: Path) -> Dataset:
    """Writes beside or inside the folder under another name, loads it, and only then puts it in place."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = folder.absolute()
    inside = folder.is_dir()
    temporary = (folder if inside else folder.parent) / f".importing-{folder.name}-{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        for name in FILES:
            pq.write_table(_compact(tables[name]), temporary / name, compression="zstd")
        dataset = load_dataset(temporary)
        if inside:
            for name in FILES:
                (temporary / name).replace(folder / name)
        else:
            temporary.rename(folder)
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"{folder}: cannot be written: {exc}") from exc
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return dataset


def _compact(table: Any) -> Any:
    """Columns of few distinct texts as dictionaries, the form in which `model` is read fastest."""
    for name in ("benchmark", "category", "split", "model"):
        if name in table.column_names and len(table) > DICTIONARY_ROWS:
            table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    return table
