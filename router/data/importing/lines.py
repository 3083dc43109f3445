"""Reads CSV and JSON-lines files record by record, each record with its location in the file."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from router.errors import DataError

JsonObject = dict[str, object]

MAX_LINE_CHARS = (
    64 << 20
)  # of a line, or of a CSV field: the default limit of csv, 128 KiB, is too small for a long document


def csv_rows(path: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(location, record) of each row of a CSV file with a header; the location names the line where the row starts.

    Raises:
        DataError: unreadable, not UTF-8, not CSV, a required column missing, or a row of another width than the header.
    """
    csv.field_size_limit(MAX_LINE_CHARS)
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(_bounded_lines(file), strict=True)
            header = next(rows, [])
            _check_header(path, header, required)
            line = rows.line_num
            for row in rows:
                location = f"{path}: line {line + 1}"
                if row and len(row) != len(header):
                    raise DataError(f"{location}: {len(row)} fields, expected {len(header)}: {', '.join(header)}")
                if row:
                    yield location, dict(zip(header, row, strict=True))
                line = rows.line_num
    except (csv.Error, UnicodeDecodeError) as exc:
        raise DataError(f"{path}: line {line + 1}: not readable as CSV: {exc}") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc


def json_lines(path: Path) -> Iterator[tuple[str, JsonObject]]:
    """(location, object) of each line of a JSON-lines file; blank lines are skipped.

    Raises:
        DataError: unreadable, not UTF-8, or a line that is not a JSON object.
    """
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(_bounded_lines(file), start=1):
                if line.strip():
                    location = f"{path}: line {number}"
                    yield location, json_object(location, line)
    except UnicodeDecodeError as exc:
        raise DataError(f"{path}: line {number + 1}: not UTF-8: {exc}") from exc
    except csv.Error as exc:
        raise DataError(f"{path}: line {number + 1}: {exc}") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc


def _bounded_lines(file: TextIO) -> Iterator[str]:
    """The lines of a file.

    Raises:
        csv.Error: a line has more than `MAX_LINE_CHARS` characters.
    """
    while line := file.readline(MAX_LINE_CHARS + 1):
        if len(line) > MAX_LINE_CHARS:
            raise csv.Error(f"more than {MAX_LINE_CHARS:,} characters without a line break")
        yield line


def require_fields(
    records: Iterator[tuple[str, JsonObject]], required: Sequence[str]
) -> Iterator[tuple[str, JsonObject]]:
    """The records, unchanged. Raises a DataError at the first that lacks a required field."""
    for location, record in records:
        missing = [name for name in required if name not in record]
        if missing:
            raise DataError(f"{location}: {', '.join(missing)} is missing; it has {', '.join(record)}")
        yield location, record


def _check_header(path: Path, header: list[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(f"{path}: line 1: column {', '.join(missing)} is missing; it has {', '.join(header) or 'none'}")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: line 1: column {', '.join(twice)} occurs more than once")


def json_object(location: str, content: str | bytes) -> JsonObject:
    """Parses a JSON object.

    Raises:
        DataError: not JSON, or another JSON value.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as exc:  # ValueError also for a number of thousands of digits
        raise DataError(f"{location}: not readable as JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise DataError(f"{location}: expected a JSON object, found {type(value).__name__}")
    return value
