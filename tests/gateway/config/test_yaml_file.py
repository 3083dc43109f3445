"""Files that would cost too much, or never end: refused at once, with their line."""

import os
from pathlib import Path

import pytest
import yaml

from gateway.config.yaml_file import DEEPEST, LONGEST, MOST_BYTES, MOST_NODES, Scalars, YamlError, line_of, read_yaml


def reason(folder: Path, text: str) -> str:
    path = folder / "f.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(YamlError) as caught:
        Scalars(path).value(read_yaml(path))  # type: ignore[arg-type]
    return str(caught.value).removeprefix(f"{folder}/")


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
TALL = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, DEEPEST + 5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUGHS, f"f.yaml:6: more than {MOST_NODES:,} values, with what aliases stand for"),
        (f"a: [{'x, ' * MOST_NODES}]", f"f.yaml:1: more than {MOST_NODES:,} values"),
        ("x: 1\na: " + "[" * 100_000, "f.yaml:2: not valid YAML: nested too deeply"),
        ("a: " + "{a: " * 100_000, "f.yaml:1: not valid YAML: nested too deeply"),
        (TALL, f"f.yaml:{DEEPEST}: not valid YAML: nested too deeply"),
        ("a: &a {b: *a}", "f.yaml:1: not valid YAML: an alias inside itself"),
        ("a: *b", "f.yaml:1: not valid YAML: found undefined alias"),
        ("a: " + "x" * (LONGEST + 1), f"f.yaml:1: a value of more than {LONGEST:,} characters"),
        ("9" * 5_000, "f.yaml:1: not valid YAML: not a valid int"),
        ("1" + ":1" * 5_000, "f.yaml:1: not valid YAML: not a valid int"),
        ("0x" + "f" * 5_000, "f.yaml:1: not valid YAML: not a valid int"),
        ("a: !!python/object/apply:os.system [x]", "f.yaml:1: not valid YAML: a key must be a plain word"),
        ("!!python/name:os.system x", "f.yaml:1: not valid YAML: a tag that is not known"),
        ("a: 1\n\tb: 2\n", "f.yaml:2: not valid YAML: a tab; indent with spaces"),
        ('a: "open', "f.yaml:1: not valid YAML: a quotation mark is not closed"),
        ("a: {b: 1\nc: 2\n", "f.yaml:2: not valid YAML: a mapping in { } is not closed, or lacks a comma"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert reason(tmp_path, text).startswith(expected)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(YamlError, match="larger than"):
        read_yaml(path)


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, expected in (
        (tmp_path / "pipe", "a device, a pipe or a socket"),
        (Path("/dev/zero"), "a device, a pipe or a socket"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(YamlError, match=f"{path}: not readable: {expected}"):
            read_yaml(path)


def test_aliases_within_the_limits_stand_for_what_they_name(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("\ufeffa: &a [1, two]\nb: *a\n", encoding="utf-8")  # with a byte order mark
    node = read_yaml(path)
    assert isinstance(node, yaml.MappingNode)
    (first, one), (second, other) = node.value
    assert one is other
    assert (line_of(first), line_of(second)) == (1, 2)
    assert [Scalars(path).value(item) for item in other.value] == [1, "two"]
