"""Reading CSV and JSON lines: records, locations, and what is refused."""

from pathlib import Path

import pytest

from router.data.importing.lines import csv_rows, json_lines, require_fields
from router.errors import DataError


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_csv_rows_name_the_line_where_a_record_starts(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", '\ufeffmodel,score\na,"1\n2"\n\nb,3\n')
    assert list(csv_rows(file, ["model"])) == [
        (f"{file}: line 2", {"model": "a", "score": "1\n2"}),
        (f"{file}: line 5", {"model": "b", "score": "3"}),
    ]


def test_json_lines_skip_blank_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", '{"a": 1}\n\n{"b": [2]}\n')
    assert list(json_lines(file)) == [(f"{file}: line 1", {"a": 1}), (f"{file}: line 3", {"b": [2]})]


def test_a_record_without_a_required_field_is_refused_at_its_location() -> None:
    records = require_fields(iter([("line 1", {"a": 1, "b": 2}), ("line 2", {"a": 1})]), ["a", "b"])
    assert next(records) == ("line 1", {"a": 1, "b": 2})
    with pytest.raises(DataError, match="line 2: b is missing; it has a"):
        next(records)


@pytest.mark.parametrize("read", [lambda path: csv_rows(path, []), json_lines])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(DataError, match=r"none\.txt: cannot be read: No such file"):
        list(read(tmp_path / "none.txt"))
