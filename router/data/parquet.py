"""Reading columns of parquet files, with errors that name the file. Loads pyarrow inside, which takes long to import."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from router.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


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
