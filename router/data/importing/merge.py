"""Merges imported evaluations with the tables of a data folder. Loads pyarrow inside."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.data.importing.collect import CollectedEvaluations
from router.data.importing.existing import ExistingData, Target
from router.data.importing.placement import PlacedQueries
from router.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

UNSTATED = "imported"  # benchmark of queries whose source states none


@dataclass(frozen=True)
class ScoreChanges:
    """Indices of the collected evaluations that are added, and of those that replace the folder's scores."""

    added: NDArray[np.int64]
    replaced: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def score_changes(
    collected: CollectedEvaluations, placed: PlacedQueries, old: ExistingData | None, target: Target
) -> ScoreChanges:
    """Compares the collected scores with those of the folder.

    Raises:
        DataError: a score differs from the folder's, and `target.conflicts` is "refuse".
    """
    nothing = np.zeros(0, np.int64)
    if old is None:
        return ScoreChanges(np.arange(len(collected.score)), nothing)
    before = _old_scores(collected, placed, old.dataset)
    added = np.flatnonzero(np.isnan(before))
    differ = np.flatnonzero(~np.isnan(before) & (before != collected.score))
    if not len(differ):
        return ScoreChanges(added, nothing)
    if target.conflicts == "refuse":
        i = differ[0]
        raise DataError(
            f"{target.folder}: score of {collected.models[collected.model[i]]} on query {placed.ids[collected.query[i]]} is "
            f"{before[i]:g} there, {collected.score[i]:g} in the import ({len(differ)} such pairs); "
            "--conflicts keep or --conflicts replace decides"
        )
    kept = target.conflicts == "keep"
    note = f"{len(differ)} scores differ from those in the folder; the {'old' if kept else 'new'} ones are kept"
    return ScoreChanges(added, nothing if kept else differ, (note,))


def _old_scores(collected: CollectedEvaluations, placed: PlacedQueries, old: Dataset) -> NDArray[np.float32]:
    """The folder's score of each collected (model, query) pair, (E,), float32; NaN where it has none."""
    rows = {name: i for i, name in enumerate(old.models)}
    columns = {number: i for i, number in enumerate(old.query_ids.tolist())}
    row = np.array([rows.get(name, -1) for name in collected.models])[collected.model]
    column = np.array([columns.get(number, -1) for number in placed.ids.tolist()])[collected.query]
    known = (row >= 0) & (column >= 0)
    before = np.full(len(row), np.nan, np.float32)
    before[known] = old.scores[row[known], column[known]]
    return before


def query_rows(collected: CollectedEvaluations, placed: PlacedQueries) -> "pa.Table":
    """The rows of the queries that are new to the folder."""
    import pyarrow as pa

    new = np.flatnonzero(~placed.known).tolist()
    queries = [collected.queries[i] for i in new]
    return pa.table(
        {
            "query_id": pa.array(placed.ids[new], pa.int32()),
            "benchmark": pa.array([query.benchmark or UNSTATED for query in queries], pa.string()),
            "category": pa.array([query.category for query in queries], pa.string()),
            "prompt": pa.array([query.prompt for query in queries], pa.large_string()),
            "split": pa.array([placed.splits[i] for i in new], pa.string()),
        }
    )


def model_table(collected: CollectedEvaluations, old: ExistingData | None, target: Target) -> "pa.Table":
    """The table of all models, old ones first. A model without a cost gets the new one; `target.onboarding` are marked.

    Raises:
        DataError: a model of `target.onboarding` is not in the data.
    """
    import pyarrow as pa

    rows: dict[str, dict[str, object]] = {}
    if old is not None:
        rows = {row["model"]: {"onboarding": False} | row for row in old.tables["models.parquet"].to_pylist()}
    for name, usd in zip(collected.models, collected.usd_per_query.tolist(), strict=True):
        provider = name.split("/", 1)[0] if "/" in name else ""
        row = rows.setdefault(name, {"model": name, "provider": provider, "family": "", "onboarding": False})
        row["usd_per_query"] = (
            row.get("usd_per_query") if np.isnan(usd) or row.get("usd_per_query") is not None else usd
        )
    unknown = [name for name in target.onboarding if name not in rows]
    if unknown:
        raise DataError(f"--onboarding {unknown[0]}: no such model in the data; there are {', '.join(rows)}")
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


def evaluation_table(
    collected: CollectedEvaluations, placed: PlacedQueries, changes: ScoreChanges, old: ExistingData | None
) -> "pa.Table":
    """The table of all evaluations: the folder's, with the replaced scores, followed by the added ones."""
    import pyarrow as pa

    added = changes.added
    names = pa.DictionaryArray.from_arrays(
        pa.array(collected.model[added], pa.int32()), pa.array(collected.models, pa.string())
    )
    rows = pa.table(
        {
            "model": names.cast(pa.string()),
            "query_id": pa.array(placed.ids[collected.query[added]], pa.int32()),
            "score": pa.array(collected.score[added], pa.float32()),
        }
    )
    joined = appended(old, "evaluations.parquet", rows)
    if len(changes.replaced):
        which = changes.replaced.tolist()
        new = {
            (collected.models[collected.model[i]], int(placed.ids[collected.query[i]])): collected.score[i]
            for i in which
        }
        pairs = zip(
            joined["model"].to_pylist(), joined["query_id"].to_pylist(), joined["score"].to_pylist(), strict=True
        )
        scores = [float(new.get((model, number), score)) for model, number, score in pairs]
        at = joined.column_names.index("score")
        joined = joined.set_column(at, "score", pa.array(scores, joined["score"].type))
    return joined


def appended(old: ExistingData | None, name: str, rows: "pa.Table") -> "pa.Table":
    """The folder's table followed by the rows, with the folder's columns and types; columns that the rows lack are null."""
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
