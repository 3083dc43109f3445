"""Writes collected evaluations to a data folder, new or existing, as queries, models and evaluations.parquet.

Query ids and splits that are in the folder do not change, so that models and reports made from it stay comparable. Nothing is
written unless everything is valid. Files are then replaced by renaming: a reader sees the old data or the new.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from router.data.dataset import FILES, Dataset, load_dataset
from router.data.importing.collect import CollectedEvaluations
from router.data.importing.existing import Target, load_existing
from router.data.importing.merge import appended, evaluation_table, model_table, query_rows, score_changes
from router.data.importing.placement import place_queries
from router.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

DICTIONARY_ROWS = 1000  # tables with more rows have columns of few distinct texts as dictionaries


@dataclass(frozen=True)
class Saved:
    """The data of the folder after the import, and how much of it is new."""

    dataset: Dataset
    new_queries: int
    new_models: int
    new_evaluations: int
    notes: tuple[str, ...]


def save(collected: CollectedEvaluations, target: Target) -> Saved:
    """Writes the evaluations, after loading what it wrote as a check.

    Raises:
        DataError: the folder holds something and `append` is not set, or holds no valid data; a query_id that another text
            has; a score that differs from the folder's, if `conflicts` is refuse; a held-out model that is not in the data.
    """
    old = load_existing(target)
    placed = place_queries(collected.queries, old, target)
    changes = score_changes(collected, placed, old, target)
    tables = {
        "queries.parquet": appended(old, "queries.parquet", query_rows(collected, placed)),
        "models.parquet": model_table(collected, old, target),
        "evaluations.parquet": evaluation_table(collected, placed, changes, old),
    }
    dataset = _write(tables, target.folder)
    new_models = len(dataset.models) - (len(old.dataset.models) if old else 0)
    notes = (*collected.notes, *changes.notes)
    return Saved(dataset, int((~placed.known).sum()), new_models, len(changes.added), notes)


def _write(tables: Mapping[str, "pa.Table"], folder: Path) -> Dataset:
    """Writes the tables under a temporary name, loads them as a check, then renames them into the folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = folder.absolute()
    inside = folder.is_dir()
    temporary = (folder if inside else folder.parent) / f".importing-{folder.name}-{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        for name in FILES:
            pq.write_table(_with_dictionaries(tables[name]), temporary / name, compression="zstd")
        dataset = load_dataset(temporary)
        if inside:
            # The queries and models after an import contain the old ones: the folder can be loaded between any two steps.
            for name in FILES:
                (temporary / name).replace(folder / name)
        else:
            temporary.rename(folder)
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"{folder}: cannot be written: {exc}") from exc
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return dataset


def _with_dictionaries(table: "pa.Table") -> "pa.Table":
    """The table with columns of few distinct texts as dictionaries, which load faster."""
    for name in ("benchmark", "category", "split", "model"):
        if name in table.column_names and len(table) > DICTIONARY_ROWS:
            table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    return table
