"""Files that would cost an importer too much: refused, or read in part, with a message of bounded length."""

import json
import zipfile
from pathlib import Path

import pytest

from router.data.importing import eval_archive, inspect_log, lines, table
from router.data.importing.routerbench import _question
from router.data.importing.short_repr import short_repr
from router.errors import DataError


def test_a_member_that_unfolds_to_too_much_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval_archive, "MAX_MEMBER_BYTES", 1 << 20)
    path = tmp_path / "bomb.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"eval": {"task": "t", "model": "m"}}))
        archive.writestr("samples/1.json", "x" * ((1 << 20) + 1))
    with pytest.raises(DataError, match=r"member samples/1\.json is 1 MiB large, more than 1"):
        list(inspect_log.read([path]))


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_CHARS", 1_000)
    (tmp_path / name).write_text('model,prompt,score\n"' + "a" * 5_000 if name.endswith("csv") else "a" * 5_000)
    with pytest.raises(DataError, match="more than 1,000 characters without a line break"):
        list(table.read([tmp_path / name]))


def test_a_number_of_thousands_of_digits_is_a_problem_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"model": "m", "prompt": "q", "score": 1, "query_id": ' + "9" * 5_000 + "}\n")
    with pytest.raises(DataError, match="line 1: not readable as JSON") as caught:
        list(table.read([path]))
    path.write_text('{"model": "m", "prompt": "q", "score": 1, "query_id": "' + "9" * 5_000 + '"}\n')
    with pytest.raises(DataError, match="line 1: query_id is") as caught:
        list(table.read([path]))
    assert len(str(caught.value)) < 500


def test_what_an_error_shows_is_short() -> None:
    laughs: list[object] = ["lol"] * 10
    for _ in range(12):
        laughs = [laughs] * 10
    for value in (laughs, "x" * 10**6, 10**50_000, {"a": laughs}, b"x" * 10**6):
        assert len(short_repr(value)) < 500
    assert [short_repr("a\n"), short_repr(1.5), short_repr(None)] == ["'a\\n'", "1.5", "None"]


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        ("['Hello.', 'And now?']", "Hello.\n\nAnd now?"),
        ("[\"it's\", 'a\\'b', ]", "it's\n\na'b"),
        ("[1]", "[1]"),
        ("['a', ['b']]", "['a', ['b']]"),
        ("[f'{x}']", "[f'{x}']"),
        ("[" + "-" * 100_000 + "1]", "[" + "-" * 100_000 + "1]"),
        ("[" * 100_000, "[" * 100_000),
        ("['" + "\\" * 100_001, "['" + "\\" * 100_001),
    ],
)
def test_a_printed_list_of_texts_is_read_and_nothing_else(printed: str, text: str) -> None:
    assert _question(printed, last_part=False) == text
