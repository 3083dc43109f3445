"""Logged requests as parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from gateway.replay.logged import CHUNK, Answer, Log, LoggedRequest
from router.data.row_files import Kind, Row, RowFiles, write_rows

_KINDS: dict[Kind, tuple[str, ...]] = {
    "int64": ("id", "prompt_tokens", "completion_tokens", "cached_tokens", "cost_nusd", "saved_nusd"),
    "float64": ("time", "p_correct", "predicted_loss", "propensity", "latency_ms", "score"),
    "binary": ("encoding", "surface"),
    "bool_": ("has_prompt", "ensemble"),
}
_KIND_OF: dict[str, Kind] = {name: kind for kind, names in _KINDS.items() for name in names}


def write_parquet(log: Log, path: Path) -> int:
    """Writes the requests of a log to a file, without texts; returns their number.

    Raises:
        MissingPackage: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    columns: dict[str, Kind] = {name: _KIND_OF.get(name, "string") for name in LoggedRequest._fields}
    return write_rows(path, columns, ([_written(row) for row in chunk] for chunk in log.requests()))


def _written(row: LoggedRequest) -> Row:
    """The values of a row. The file holds no prompts, so that none can be asked again from it."""
    needs = None if row.needs is None else orjson.dumps(row.needs).decode()
    return tuple((row._asdict() | {"needs": needs, "has_prompt": False}).values())


class ParquetLog:
    """The requests of a parquet file, or of all files of a folder.

    Args:
        since, until: seconds since the epoch; None: no limit.

    Raises:
        MissingPackage: DuckDB is not installed.
        DataError: there is no such file; here and below, or one cannot be read or is no log.
    """

    def __init__(self, path: Path, since: float | None = None, until: float | None = None) -> None:
        self._files = RowFiles(path)
        self._period = (0.0 if since is None else since, float("inf") if until is None else until)

    def requests(self) -> Iterator[Sequence[LoggedRequest]]:
        """See `Log`."""
        for rows in self._chunks(LoggedRequest._fields, ""):
            read = map(LoggedRequest._make, rows)
            yield [row._replace(needs=None if row.needs is None else orjson.loads(str(row.needs))) for row in read]

    def answers(self) -> Iterator[Sequence[Answer]]:
        """See `Log`."""
        answered = " AND served IS NOT NULL AND error IS NULL AND cache IS DISTINCT FROM 'hit' AND NOT ensemble"
        for rows in self._chunks(Answer._fields, answered):
            yield [Answer(*row) for row in rows]

    def _chunks(self, columns: Sequence[str], condition: str) -> Iterator[list[Row]]:
        return self._files.read(columns, f"time >= ? AND time < ?{condition}", self._period, CHUNK)
