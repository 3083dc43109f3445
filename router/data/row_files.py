"""Rows in parquet files: written a chunk at a time, and read by DuckDB, which holds only a part of them in memory."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from router.errors import DataError
from router.extras import require

EXTRA = "replay"
Kind = Literal["int64", "float64", "binary", "bool_", "string"]
Row = tuple[Any, ...]


def write_rows(path: Path, columns: Mapping[str, Kind], chunks: Iterable[Sequence[Row]]) -> int:
    """Writes rows to a file; returns their number. An existing file is replaced at the end.

    Args:
        columns: the kind of each column, by name.

    Raises:
        MissingPackage: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    require("pyarrow", extra=EXTRA)
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in columns.items()])
    draft, count = path.with_name(f".{path.name}.{os.getpid()}"), 0
    try:
        with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
            for rows in chunks:
                writer.write_table(pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema))
                count += len(rows)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return count


class RowFiles:
    """One parquet file, or those of a folder that end in `.parquet`.

    Raises:
        MissingPackage: DuckDB is not installed.
        DataError: the folder has none.
    """

    def __init__(self, path: Path) -> None:
        require("duckdb", extra=EXTRA)
        self._path = path
        self._files = [str(file) for file in sorted(path.glob("*.parquet"))] if path.is_dir() else [str(path)]
        if not self._files:
            raise DataError(f"{path}: there is no file that ends in .parquet")

    def read(self, columns: Sequence[str], where: str, values: Sequence[object], chunk: int) -> Iterator[list[Row]]:
        """The rows that a condition keeps, in chunks.

        Args:
            columns: names; they and the condition are SQL, so they may not come from outside.
            values: of the `?` in the condition.

        Raises:
            DataError: a file cannot be read, or lacks a column.
        """
        import duckdb

        query = f"SELECT {', '.join(columns)} FROM read_parquet(?) WHERE {where}"
        connection = duckdb.connect(":memory:")
        try:
            connection.execute(query, [self._files, *values])
            while rows := connection.fetchmany(chunk):
                yield rows
        except duckdb.Error as exc:
            raise DataError(f"{self._path}: {str(exc).splitlines()[0]}") from exc
        finally:
            connection.close()
