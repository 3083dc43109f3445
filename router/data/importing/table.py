"""A plain table of graded answers: CSV or JSON lines with `model`, `prompt`, `score` and more if known."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from router.data.importing.evaluation import Evaluation
from router.data.importing.lines import csv_rows, json_lines, named
from router.data.importing.shown import shown
from router.errors import DataError

REQUIRED = ("model", "prompt", "score")


def read(paths: Sequence[Path]) -> Iterator[Evaluation]:
    """Evaluations of .csv and .jsonl files; optional columns: benchmark, category, split, query_id.

    Raises:
        DataError: as for `csv_rows` and `json_lines`; another kind of file; a value of the wrong type.
    """
    for path in paths:
        for place, record in _records(path):
            yield Evaluation(
                _text(place, record, "model"),
                _text(place, record, "prompt"),
                record["score"],
                _text(place, record, "benchmark"),
                place,
                _text(place, record, "category"),
                _text(place, record, "split").strip() or None,
                _query_id(place, record.get("query_id")),
            )


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix.lower() == ".csv":
        return csv_rows(path, REQUIRED)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return named(json_lines(path), REQUIRED)
    raise DataError(f"{path}: expected a .csv or .jsonl file")


def _text(place: str, record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is {shown(value)}, expected text")
    return value


def _query_id(place: str, value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool | float):
            raise ValueError
        return int(str(value))
    except ValueError:
        raise DataError(f"{place}: query_id is {shown(value)}, expected a whole number") from None
