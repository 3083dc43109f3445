"""References to environment variables, keys that cannot be keys, and the warnings about both."""

from pathlib import Path

import pytest

from gateway.config.document import Document
from gateway.config.references import References, ResolvedValue
from gateway.config.secret import Secret

API_KEY = ("models", 0, "api_key")


def references(folder: Path, **environment: str) -> tuple[References, Document]:
    path = folder / "p.yaml"
    path.write_text("models:\n  - api_key: x\n")
    document = Document(path)
    return References(document, environment), document


def test_a_reference_has_the_text_of_its_variable(tmp_path: Path) -> None:
    resolver, _ = references(tmp_path, NAME=" text\n", EMPTY="  ")
    assert resolver.resolve(API_KEY, "os.environ/NAME") == ResolvedValue("text", "NAME")
    assert resolver.resolve(API_KEY, " plain ") == ResolvedValue("plain")
    for name in ("EMPTY", "MISSING"):
        value = resolver.resolve(API_KEY, f"os.environ/{name}")
        assert (value.text, value.missing) == (None, name)


@pytest.mark.parametrize("value", ["os.environ/", "os.environ/A B", "os.environ/A=b", "os.environ/$A"])
def test_a_reference_without_the_name_of_a_variable_is_a_problem(tmp_path: Path, value: str) -> None:
    resolver, document = references(tmp_path)
    assert resolver.resolve(API_KEY, value) == ResolvedValue(None)
    assert [(p.line, p.text) for p in document.problems] == [
        (2, "models[0].api_key: expected the name of an environment variable behind os.environ/")
    ]


def test_a_secret_keeps_the_name_of_a_variable_that_is_not_set(tmp_path: Path) -> None:
    resolver, document = references(tmp_path)
    assert resolver.secret(("models", 0, "aws_secret_access_key"), "os.environ/GONE") == (None, "GONE")
    resolver.key(API_KEY, "sk-1s")  # begins and ends alike, but not with a quotation mark
    assert not document.problems


def test_a_key_of_the_gateway_must_be_set(tmp_path: Path) -> None:
    resolver, document = references(tmp_path, KEY="sk-1")
    assert resolver.gateway_key(("gateway", "keys", 0), "os.environ/KEY") == Secret("sk-1")
    assert not document.problems
    assert resolver.gateway_key(("gateway", "keys", 1), "os.environ/OTHER") is None
    assert [p.text for p in document.problems] == ["gateway.keys[1]: the environment variable OTHER is not set"]


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ('"sk-1"', "has quotation marks around it"),
        ("Bearer sk-1", "begins with `Bearer`"),
        ("export KEY=sk-1", "is an assignment"),
        ("sk-1\nsk-2", "has a line break"),
        ("sk 1", "has a space inside"),
        ("a-os.environ/KEY", "has the syntax of a shell or a template in it"),
    ],
)
def test_a_text_that_cannot_be_a_key_is_a_problem_that_does_not_show_it(tmp_path: Path, key: str, fault: str) -> None:
    resolver, document = references(tmp_path, KEY=key)
    resolver.key(API_KEY, "os.environ/KEY")
    (problem,) = document.problems
    assert problem.text.startswith(f"models[0].api_key: the environment variable KEY {fault}")
    assert "sk-" not in problem.text


def test_shell_syntax_is_no_reference(tmp_path: Path) -> None:
    resolver, document = references(tmp_path)
    assert resolver.key(API_KEY, "${OPENAI_API_KEY}") == (None, None)
    assert [p.text for p in document.problems] == [
        "models[0].api_key: the value is no reference; write os.environ/OPENAI_API_KEY"
    ]


def test_a_header_has_no_control_characters(tmp_path: Path) -> None:
    resolver, document = references(tmp_path, GOOD="a b", BAD="a\rb")
    assert resolver.header(API_KEY, "os.environ/GOOD") == (Secret("a b"), None)
    assert not document.problems
    resolver.header(API_KEY, "os.environ/BAD")
    assert "control character" in document.problems[0].text


def test_literal_secrets_and_unset_variables_make_one_warning_each(tmp_path: Path) -> None:
    resolver, _ = references(tmp_path)
    resolver.warn(("models", 0), "first")
    assert resolver.key(API_KEY, "sk-secret") == (Secret("sk-secret"), None)
    resolver.secret(("models", 0, "aws_secret_access_key"), "hidden")
    for number in range(5):
        resolver.unset("KEY", f"m/{number}")
    path = tmp_path / "p.yaml"
    assert resolver.warnings == (
        f"{path}:2: models[0]: first",
        f"{path}: no key or address set for 5 deployments, which are not used: KEY (m/0, m/1, m/2 and 2 more)",
        f"{path}:2: models[0].api_key (and 1 more): a literal secret; write os.environ/NAME instead, so that the file can be "
        "shared",
    )
