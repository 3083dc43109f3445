"""The data folder that evaluations are imported into: what it already holds. Loads pyarrow inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from router.data.dataset import FILES, Dataset, load_dataset
from router.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Target:
    """The folder that evaluations are written to, with options.

    Attributes:
        folder: created if absent. It must be empty unless `append` is set.
        append: add to the data in the folder.
        conflicts: if the folder has another score for a (model, query) pair: "refuse", "keep" the old, or "replace" it.
        seed: another seed divides the questions without a stated split differently.
        onboarding: models to mark as held out from training.
    """

    folder: Path
    append: bool = False
    conflicts: str = "refuse"
    seed: int = 0
    onboarding: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExistingData:
    """The data of a folder: as a checked dataset, and as tables with all their columns."""

    dataset: Dataset
    tables: Mapping[str, "pa.Table"]


def load_existing(target: Target) -> ExistingData | None:
    """Loads the data of the target folder; None if it holds none.

    Raises:
        DataError: the folder is a file, is not empty while `append` is not set, or holds invalid data.
    """
    folder = target.folder
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file, expected a folder")
    if not target.append and folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder}: the folder is not empty; --append adds to the data in it")
    if not any((folder / name).exists() for name in FILES):
        return None
    import pyarrow.parquet as pq

    dataset = load_dataset(folder)
    return ExistingData(dataset, {name: _without_dictionaries(pq.read_table(folder / name)) for name in FILES})


def _without_dictionaries(table: "pa.Table") -> "pa.Table":
    """The table with texts in place of dictionaries, so that a table with other dictionaries can be appended."""
    import pyarrow as pa

    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
    return table.replace_schema_metadata(None)
