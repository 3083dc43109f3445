"""ImportedValues of another program's configuration: read, or reported with their line."""

from pathlib import Path

import pytest

from gateway.config.yaml_reader import YamlNode
from gateway.migrate.import_values import ImportedValues

FILE = Path("c.yaml")


def node(value: object) -> YamlNode:
    return YamlNode(FILE, 3, ("router_settings", "key"), value)


def values(literals: bool = True, **environment: str) -> ImportedValues:
    return ImportedValues(environment, literals=literals)


@pytest.mark.parametrize(("value", "expected"), [(3, 3), ("2.5", 2.5), (4.0, 4), ("os.environ/N", 7)])
def test_a_number_is_read_from_texts_and_references_too(value: object, expected: float) -> None:
    read = values(N="7").number(node(value))
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize("value", [True, "many", float("nan"), float("inf"), [], None])
def test_anything_else_than_a_number_is_a_problem_with_its_line(value: object) -> None:
    read = values()
    assert read.number(node(value)) is None
    (problem,) = read.problems
    assert str(problem).startswith("c.yaml:3: router_settings.key: found ")
    assert str(problem).endswith(", expected a number")


def test_a_number_below_the_least_is_reported_as_lost() -> None:
    read = values()
    assert read.number(node(-1), least=0) is None
    assert [(f.kind, f.message) for f in read.findings] == [("lost", "no equivalent: it is at least 0 here")]
    assert not read.problems


def test_a_reference_is_replaced_or_a_problem_if_its_variable_is_not_set() -> None:
    read = values(NAME="content")
    assert read.resolved_text(node("os.environ/NAME")) == "content"
    assert read.resolved_text(node("os.environ/OTHER")) is None
    assert [p.message for p in read.problems] == [
        "this cannot be a reference in a portfolio file: set OTHER for this command"
    ]


@pytest.mark.parametrize(("value", "expected"), [(True, True), ("False", False), (1, None)])
def test_a_flag_may_be_a_text(value: object, expected: bool | None) -> None:
    assert values().flag(node(value)) is expected


def test_a_literal_secret_is_copied_only_if_that_is_allowed() -> None:
    copying, hiding = values(), values(literals=False)
    assert copying.secret(node("sk-1"), "sk-1") == "sk-1"
    assert copying.literal_secrets
    assert hiding.secret(node("sk-1"), "sk-1") == "os.environ/KEY_3"
    assert (list(hiding.variables), hiding.literal_secrets) == (["KEY_3"], False)
    assert "sk-1" not in str(hiding.findings)


def test_a_finding_marks_its_node_as_used_unless_it_is_about_an_entry() -> None:
    read, part, entry = values(), node(1), node({})
    read.report(part, "lost", "x")
    read.report_entry(entry, "look", "y")
    assert (part.used, entry.used) == (True, False)
