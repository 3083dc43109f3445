"""A portfolio file as plain values, its problems, and the values that they may show."""

from datetime import date
from pathlib import Path

import pytest

from gateway.config.document import MOST_PROBLEMS, Document, PortfolioError, kind_of, shown


def document(folder: Path, text: str) -> Document:
    path = folder / "p.yaml"
    path.write_text(text)
    return Document(path)


def test_each_place_has_its_line_and_a_missing_one_that_of_its_surroundings(tmp_path: Path) -> None:
    read = document(tmp_path, "models:\n  - name: a\n    price:\n      input: 1\n  - name: b\n")
    assert read.value == {"models": [{"name": "a", "price": {"input": 1}}, {"name": "b"}]}
    places = [("models",), ("models", 0, "price", "input"), ("models", 1), ("models", 1, "price"), ("gateway", "host")]
    assert [read.line(place) for place in places] == [1, 4, 5, 5, 1]
    assert read.locate(("models", 1, "name")) == f"{tmp_path}/p.yaml:5: models[1].name"
    assert read.place(()) == "the file"


def test_repeated_keys_inside_repeated_keys_are_read_once_each(tmp_path: Path) -> None:
    levels = 50
    read = document(tmp_path, "{a: 1, a: " * levels + "1" + "}" * levels)
    assert len(read.problems) == levels


def test_a_repeated_key_is_a_problem_at_its_own_line(tmp_path: Path) -> None:
    read = document(tmp_path, "a: {b: 1,\n  b: 2}\nc: 1\na: {b: 3}\na: 4\n")
    assert read.value == {"a": 4, "c": 1}
    assert read.error().problems == [
        f"{tmp_path}/p.yaml:2: a.b: the key occurs twice; line 1 has it first",
        f"{tmp_path}/p.yaml:4: a: the key occurs twice; line 1 has it first",
        f"{tmp_path}/p.yaml:5: a: the key occurs twice; line 4 has it first",
    ]


@pytest.mark.parametrize(("text", "found"), [("", "nothing"), ("[]", "an empty list"), ("x", "a text")])
def test_a_file_without_a_mapping_is_refused(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(PortfolioError) as caught:
        document(tmp_path, text)
    assert caught.value.problems == [f"{tmp_path}/p.yaml:1: found {found}, expected a mapping with `models`"]


def test_an_error_is_limited_and_in_the_order_of_lines(tmp_path: Path) -> None:
    read = document(tmp_path, "a: 1\nb: 2\n")
    read.report(("b",), "second")
    read.report(("a",), "first")
    read.report(("a",), "first")
    assert read.error().problems == [f"{tmp_path}/p.yaml:1: a: first", f"{tmp_path}/p.yaml:2: b: second"]
    for number in range(MOST_PROBLEMS):
        read.report(("b",), str(number))
    assert len(read.error().problems) == MOST_PROBLEMS + 1
    assert read.error().problems[-1] == f"{tmp_path}/p.yaml: and 2 more"


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path) -> None:
    read = document(tmp_path, "a: 1\n")
    assert read.file("x/y.db") == tmp_path / "x/y.db"
    assert read.file("/abs") == Path("/abs")
    assert read.file("~/z") == Path.home() / "z"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", "gpt", "'gpt'"),
        ("several", True, "true"),
        ("weight", 1.5, "1.5"),
        ("weight", 10**50, "a number of more than 40 digits"),
        ("name", "x" * 80, "'" + "x" * 56 + "..."),
        ("api_key", "sk-1", "a text that is not shown"),
        ("api_base", "http://h/?key=1", "a text that is not shown"),
        ("max_tokens", "many", "'many'"),
        ("price", {"input": 1}, "a mapping"),
    ],
)
def test_a_value_is_shown_without_secrets(key: str, value: object, expected: str) -> None:
    assert shown(("models", 0, key), value) == expected


def test_kinds_are_plain_english() -> None:
    values = ["x", True, 1, 1.5, None, [], {"a": 1}, date(2024, 1, 1)]
    assert [kind_of(value) for value in values] == [
        "a text", "true or false", "a number", "a number", "nothing", "an empty list", "a mapping", "a date"
    ]  # fmt: skip
