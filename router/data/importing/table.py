"""Reads a plain table of graded answers: CSV or JSON lines with `model`, `prompt`, `score` and optional columns."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from router.data.importing.evaluation import Evaluation
from router.data.importing.lines import JsonObject, csv_rows, json_lines, require_fields
from router.data.importing.short_repr import short_repr
from router.errors import DataError

REQUIRED = ("model", "prompt", "score")


def read(paths: Sequence[Path]) -> Iterator[Evaluation]:
    """Evaluations of .csv and .jsonl files; optional columns: benchmark, category, split, query_id.

    Raises:
        DataError: as for `csv_rows` and `json_lines`; another kind of file; a value of the wrong type.
    """
    for path in paths:
        for location, record in _records(path):
            yield Evaluation(
                _text(location, record, "model"),
                _text(location, record, "prompt"),
                record["score"],
                _text(location, record, "benchmark"),
                location,
                _text(location, record, "category"),
                _text(location, record, "split").strip() or None,
                _query_id(location, record.get("query_id")),
            )


def _records(path: Path) -> Iterator[tuple[str, JsonObject]]:
    if path.suffix.lower() == ".csv":
        return ((location, dict(row)) for location, row in csv_rows(path, REQUIRED))
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return require_fields(json_lines(path), REQUIRED)
    raise DataError(f"{path}: expected a .csv or .jsonl file")


def _text(location: str, record: JsonObject, name: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{location}: {name} is {short_repr(value)}, expected text")
    return value


def _query_id(location: str, value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool | float):
            raise ValueError
        return int(str(value))
    except ValueError:
        raise DataError(f"{location}: query_id is {short_repr(value)}, expected a whole number") from None
