"""Reading columns of parquet files, with errors that name the file. Loads pyarrow inside, which takes long to import."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from router.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Columns = dict[str, np.ndarray]


def column_names(path: Path) -> list[str]:
    """The names of a file's columns.

    Raises:
        DataError: no such file, not a readable parquet file, or two columns have one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        names: list[str] = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as exc:
        raise DataError(f"{path}: not a readable parquet file: {exc}") from exc
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: column {', '.join(repeated)} occurs more than once")
    return names


def read_columns(path: Path, names: Sequence[str]) -> "pa.Table":
    """Some columns of a file, checked to be what their types say (texts are valid UTF-8).

    Raises:
        DataError: not a readable parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(names))
        table.validate(full=True)
    except (pa.ArrowException, OSError) as exc:
        raise DataError(f"{path}: not a readable parquet file: {exc}") from exc
    return table


def read_arrays(path: Path, required: dict[str, str], optional: dict[str, str] | None = None) -> Columns:
    """Columns of a parquet file as numpy arrays without nulls.

    Args:
        required, optional: column -> its kind: "int", "float", "bool" or "str". A null text of an optional one is the empty text.

    Raises:
        DataError: the file is unreadable, a required column is missing, or one has another type or a null.
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


def check_unique(path: Path, name: str, values: np.ndarray) -> None:
    """Checks that a column has no value twice.

    Raises:
        DataError: it has; names the most frequent one.
    """
    distinct, counts = np.unique(values.astype(np.str_), return_counts=True)
    if len(distinct) != len(values):
        raise DataError(f"{path}: {name} {distinct[counts.argmax()]} occurs {counts.max()} times")
