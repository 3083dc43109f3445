"""YAML files: values with their lines, and files that exceed a limit, which are refused with their line."""

import os
from datetime import date
from pathlib import Path

import pytest

from gateway.config.yaml_reader import (
    MOST_BYTES,
    MOST_CHARS,
    MOST_LEVELS,
    MOST_VALUES,
    YamlError,
    YamlNode,
    place_text,
    read_yaml,
)


def read(folder: Path, text: str, *, lenient: bool = False) -> YamlNode:
    path = folder / "f.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path, lenient=lenient)


def reason(folder: Path, text: str, *, lenient: bool = False) -> str:
    with pytest.raises(YamlError) as caught:
        read(folder, text, lenient=lenient)
    return str(caught.value).removeprefix(f"{folder}/")


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
TALL = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, MOST_LEVELS + 5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, f"f.yaml:6: more than {MOST_VALUES:,} values, with aliases expanded"),
        (f"a: [{'x, ' * MOST_VALUES}]", f"f.yaml:1: more than {MOST_VALUES:,} values"),
        ("x: 1\na: " + "[" * 100_000, "f.yaml:2: not valid YAML: nested too deeply"),
        ("a: " + "{a: " * 100_000, "f.yaml:1: not valid YAML: nested too deeply"),
        (TALL, f"f.yaml:{MOST_LEVELS}: not valid YAML: nested too deeply"),
        ("a: &a {b: *a}", "f.yaml:1: not valid YAML: an alias inside itself"),
        ("a: *b", "f.yaml:1: not valid YAML: found undefined alias"),
        ("a: " + "x" * (MOST_CHARS + 1), f"f.yaml:1: a value of more than {MOST_CHARS:,} characters"),
        ("a: " + "9" * 5_000, "f.yaml:1: not valid YAML: not a valid int"),
        ("1" + ":1" * 5_000, "f.yaml:1: not valid YAML: not a valid int"),
        ("0x" + "f" * 5_000, "f.yaml:1: not valid YAML: not a valid int"),
        ("[a]: 1", "f.yaml:1: not valid YAML: a key must be a plain word"),
        ("!!python/name:os.system x", "f.yaml:1: not valid YAML: a tag that is not known"),
        ('a: !!int ""', "f.yaml:1: not valid YAML: not a valid int"),
        ("a: 1\n\tb: 2\n", "f.yaml:2: not valid YAML: a tab; indent with spaces"),
        ('a: "open', "f.yaml:1: not valid YAML: a quotation mark is not closed"),
        ("a: {b: 1\nc: 2\n", "f.yaml:2: not valid YAML: a mapping in { } is not closed, or lacks a comma"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lenient", [False, True])
def test_a_file_is_refused_with_its_line(tmp_path: Path, text: str, expected: str, lenient: bool) -> None:
    assert reason(tmp_path, text, lenient=lenient).startswith(expected)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(YamlError, match="larger than"):
        read_yaml(path)


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, expected in (
        (tmp_path / "pipe", "a device, a pipe or a socket"),
        (Path("/dev/zero"), "a device, a pipe or a socket"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(YamlError, match=f"{path}: not readable: {expected}"):
            read_yaml(path)


def test_an_alias_has_the_value_that_it_refers_to(tmp_path: Path) -> None:
    root = read(tmp_path, "\ufeffa: &a [1, two]\nb: *a\n")  # with a byte order mark
    assert root.plain() == {"a": [1, "two"], "b": [1, "two"]}
    assert [(node.line, node.where) for node in root.children()] == [(1, "a"), (2, "b")]
    assert [node.where for node in root.value["b"].children()] == ["b[0]", "b[1]"]


def test_a_tag_of_python_runs_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "a: !!python/object/apply:os.system [x]").plain() == {"a": ["x"]}


def test_an_empty_file_is_null(tmp_path: Path) -> None:
    root = read(tmp_path, "# nothing\n")
    assert (root.value, root.line, root.where, root.key) == (None, 1, "", "")


def test_the_last_value_of_a_repeated_key_counts_and_the_others_are_kept(tmp_path: Path) -> None:
    root = read(tmp_path, "a: 1\nb: 2\na: 3\na: 4\n")
    assert root.plain() == {"a": 4, "b": 2}
    assert [(node.value, node.line) for node in root.repeats] == [(1, 1), (3, 3)]


TYPED = "1: x\nday: 2024-02-01\n"


def test_keys_and_dates_have_types_in_our_files_and_are_texts_in_others(tmp_path: Path) -> None:
    assert read(tmp_path, TYPED).plain() == {1: "x", "day": date(2024, 2, 1)}
    assert read(tmp_path, TYPED, lenient=True).plain() == {"1": "x", "day": "2024-02-01"}


def test_a_merge_is_applied_in_files_of_other_programs_only(tmp_path: Path) -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nall: {y: 9, <<: [*b, *o]}\n"
    root = read(tmp_path, text, lenient=True)
    assert root.value["all"].plain() == {"x": 1, "z": 4, "y": 9}
    assert root.value["all"].value["x"].where == "all.x"
    assert reason(tmp_path, text) == "f.yaml:3: not valid YAML: `<<` is not read: repeat the keys"
    assert reason(tmp_path, "a: {<<: 1}", lenient=True) == "f.yaml:1: `<<` expects a mapping or a list of mappings"


def test_get_finds_values_of_mappings_that_are_not_null(tmp_path: Path) -> None:
    root = read(tmp_path, "a: 1\nb: null\n")
    first, missing = root.get("a"), root.get("c")
    assert first is not None
    assert first.value == 1
    assert (root.get("b"), missing, first.get("x")) == (None, None, None)
    assert root.value["b"].used


def test_unused_names_the_topmost_values_of_which_nothing_was_used(tmp_path: Path) -> None:
    root = read(tmp_path, "a: {b: 1, c: {d: 2}}\ne: [1]\nf: null\ng: {}\n")
    root.value["a"].value["b"].used = True
    assert [node.where for node in root.unused()] == ["a.c", "e"]
    root.plain()
    assert list(root.unused()) == []


def test_a_place_as_text_is_safe_to_print() -> None:
    assert place_text(("models", 0, "name")) == "models[0].name"
    assert place_text(()) == ""
    assert place_text(("a\x1b[2J",)) == "a\\x1b[2J"
    assert place_text(("k" * 70,)) == "k" * 57 + "..."
