"""CSV and JSON-lines files record by record, each with the place it stands at. Knows nothing of any format's columns."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from router.errors import DataError

LONGEST_LINE = 64 << 20  # characters of a line, or of a field: csv's own limit of 128 KiB is less than a long document


def csv_rows(path: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, record) of each row of a CSV file with a header; the place names the line where the row starts.

    Raises:
        DataError: unreadable, not UTF-8, not CSV, a required column missing, or a row of another width than the header.
    """
    csv.field_size_limit(LONGEST_LINE)
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(_lines(file), strict=True)
            header = next(rows, [])
            _check_header(path, header, required)
            line = rows.line_num
            for row in rows:
                place = f"{path}: line {line + 1}"
                if row and len(row) != len(header):
                    raise DataError(f"{place}: {len(row)} fields, expected {len(header)}: {', '.join(header)}")
                if row:
                    yield place, dict(zip(header, row, strict=True))
                line = rows.line_num
    except (csv.Error, UnicodeDecodeError) as exc:
        raise DataError(f"{path}: line {line + 1}: not readable as CSV: {exc}") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of each line of a JSON-lines file; blank lines are passed over.

    Raises:
        DataError: unreadable, not UTF-8, or a line that is no JSON object.
    """
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(_lines(file), start=1):
                if line.strip():
                    yield f"{path}: line {number}", _json_object(path, number, line)
    except UnicodeDecodeError as exc:
        raise DataError(f"{path}: line {number + 1}: not UTF-8: {exc}") from exc
    except csv.Error as exc:
        raise DataError(f"{path}: line {number + 1}: {exc}") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc


def _lines(file: TextIO) -> Iterator[str]:
    """The lines of a file, none of them longer than may be.

    Raises:
        csv.Error: a line is longer.
    """
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise csv.Error(f"more than {LONGEST_LINE:,} characters without a line break")
        yield line


def named(
    records: Iterator[tuple[str, dict[str, Any]]], required: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records, each checked to have the required fields."""
    for place, record in records:
        missing = [name for name in required if name not in record]
        if missing:
            raise DataError(f"{place}: {', '.join(missing)} is missing; it has {', '.join(record)}")
        yield place, record


def _check_header(path: Path, header: list[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(f"{path}: line 1: column {', '.join(missing)} is missing; it has {', '.join(header) or 'none'}")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: line 1: column {', '.join(twice)} occurs more than once")


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as exc:  # also a number of thousands of digits
        raise DataError(f"{path}: line {number}: not readable as JSON: {exc}") from exc
    if not isinstance(record, dict):
        raise DataError(f"{path}: line {number}: expected a JSON object, found {type(record).__name__}")
    return record
