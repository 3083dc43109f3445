"""Bank files: what is read, what is written, and the error of each field that is not valid."""

import json
from pathlib import Path

import pytest

from router.errors import DataError
from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.grade import grade
from router.probes.folder import user_banks, user_folder
from router.probes.json_types import JsonObject, JsonValue
from router.probes.probe import DEFAULT_MAX_TOKENS, Probe, default_id, load_bank, probe_line, save_bank
from router.probes.validity import right_answer

TOOL: JsonObject = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
PROBES = [
    Probe("a", "What is 6 times 7?", "mathematics", CheckerSpec("number", {"tolerance": 0.5}), 42),
    Probe("b", "Wie viel ist 3 − 3?", "mathematics", CheckerSpec("number"), 0, 0.0, 5, 64),
    Probe("c", "Weather in Rome?", "tools", CheckerSpec("tool"), {"name": "weather", "arguments": {}}, tools=[TOOL]),
    Probe("d", "Say\nhello", "instructions", CheckerSpec("regex", {"pattern": r"\Ahello\z"}), None, -0.25, 3),
    Probe("e", "List 0 to 2", "code", CheckerSpec("exact", {"compare": "literal"}), "[0, 1, 2]"),
    Probe("f", "True?", "everyday", CheckerSpec("json_schema", {"schema": {"type": "boolean"}}), False),
]


def written(folder: Path, *lines: JsonObject | str) -> Path:
    path = folder / "bank.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_a_bank_that_is_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    save_bank(tmp_path / "mine.jsonl", PROBES)
    bank = load_bank(tmp_path / "mine.jsonl")
    assert (bank.name, bank.probes) == ("mine", tuple(PROBES))


def test_a_line_has_no_field_that_says_nothing() -> None:
    assert json.loads(probe_line(PROBES[0])) == {
        "id": "a",
        "query": "What is 6 times 7?",
        "kind": "mathematics",
        "checker": {"type": "number", "tolerance": 0.5},
        "reference": 42,
        "max_tokens": DEFAULT_MAX_TOKENS,
    }


def test_defaults_of_a_users_line(tmp_path: Path) -> None:
    (probe,) = load_bank(written(tmp_path, {"query": "2 + 2?", "checker": "number", "reference": 4}, "")).probes
    assert probe == Probe(default_id("2 + 2?"), "2 + 2?", "own", CheckerSpec("number"), 4)


def test_csv_with_plain_and_json_cells(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "query,checker,reference,kind,max_tokens\n"
        "2 + 2?,number,4,sums,64\n"
        '"[1] or [2]?","{""type"": ""exact"", ""compare"": ""list""}","[""1""]",,\n',
        encoding="utf-8",
    )
    assert [(p.query, p.checker, p.reference, p.kind, p.max_tokens) for p in load_bank(path).probes] == [
        ("2 + 2?", CheckerSpec("number"), "4", "sums", 64),
        ("[1] or [2]?", CheckerSpec("exact", {"compare": "list"}), ["1"], "own", DEFAULT_MAX_TOKENS),
    ]


BAD_FIELDS: list[tuple[JsonObject, str]] = [
    ({"query": None}, "query: missing"),
    ({"query": 3}, "query: expected text, found 3"),
    ({"query": " "}, "query: expected text, found ' '"),
    ({"query": "x" * 100_001}, "query: 100,001 characters, more than 100,000"),
    ({"id": ""}, "id: expected text, found ''"),
    ({"kind": ["a"]}, "kind: expected text, found ['a']"),
    ({"answer": 4}, "answer: unknown field; a probe has id, query"),
    ({"checker": None}, "checker: missing"),
    ({"checker": "numbers"}, "checker: unknown type 'numbers'; the types are choice, number"),
    ({"checker": 7}, "checker: expected the name of a checker"),
    ({"checker": {"type": "number", "digits": 2}}, "checker: unknown option 'digits' of number; it has tolerance"),
    ({"checker": {"type": "number", "tolerance": "2"}}, "checker: option 'tolerance' of number: expected int or float"),
    ({"checker": {"type": "number", "tolerance": True}}, "checker: option 'tolerance' of number: expected int or"),
    ({"checker": {"type": "number", "tolerance": -2}}, "checker: option 'tolerance': -2 is negative"),
    ({"checker": {"type": "choice", "options": 1}}, "checker: option 'options': 2 to 26 options have letters, found 1"),
    (
        {"checker": {"type": "exact", "compare": "bag"}},
        "checker: option 'compare': 'bag' is none of text, verbatim, list",
    ),
    ({"checker": "regex"}, "checker: option 'pattern' of regex is missing"),
    ({"checker": {"type": "regex", "pattern": "(a"}}, "checker: not a pattern of linear time: '(a': unclosed group"),
    ({"checker": {"type": "regex", "pattern": "(?=a)"}}, "look-around, including look-ahead and look-behind"),
    ({"reference": None}, "reference: missing, and the checker number compares with it"),
    (
        {"checker": {"type": "python", "tests": ""}, "reference": 4},
        "reference: python takes a right answer as text, found 4",
    ),
    ({"checker": "tool"}, "tools: missing, and the checker tool compares calls of them"),
    ({"checker": "choice", "reference": "5"}, "reference: expected a letter from A to Z, found '5'"),
    (
        {"checker": {"type": "choice", "options": 3}, "reference": "D"},
        "reference: expected a letter from A to C, found 'D'",
    ),
    ({"reference": "four or five"}, "reference: expected one number, found 'four or five'"),
    ({"checker": "exact", "reference": ["a"]}, "reference: a list needs the option compare: list or set"),
    ({"checker": "exact", "reference": {"a": 1}}, "reference: exact compares texts and lists, found {'a': 1}"),
    (
        {"checker": {"type": "exact", "compare": "literal"}, "reference": "[1"},
        "reference: expected a Python literal, found '[1'",
    ),
    ({"checker": {"type": "json_schema", "schema": {"type": "x"}}}, "schema: 'x' is not valid"),
    ({"checker": "tool", "tools": [TOOL], "reference": {"name": "news"}}, "reference: expected calls of weather with"),
    (
        {"checker": "tool", "tools": [TOOL], "reference": "weather"},
        'reference: expected {"name": ..., "arguments": {...}}',
    ),
    ({"tools": {}}, "tools: expected a list of objects, found {}"),
    ({"tools": [{"name": "f"}]}, 'tools: expected {"type": "function", "function": {"name": ...}}, found'),
    ({"difficulty": 2}, "difficulty: expected a number from -1 to 1, found 2"),
    ({"known_models": 1.5}, "known_models: expected a whole number of at least 0, found 1.5"),
    ({"max_tokens": 0}, "max_tokens: expected a whole number of at least 1, found 0"),
    ({"max_tokens": True}, "max_tokens: expected a whole number of at least 1, found True"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_FIELDS, ids=[message[:40] for _, message in BAD_FIELDS])
def test_a_field_that_is_not_valid(tmp_path: Path, fields: JsonObject, message: str) -> None:
    good: JsonObject = {"query": "2 + 2?", "checker": "number", "reference": 4}
    path = written(tmp_path, {"id": "first", **good}, {**good, **fields})
    with pytest.raises(DataError) as raised:
        load_bank(path)
    assert str(raised.value).startswith(f"{path}: line 2: ")
    assert message in str(raised.value)


def test_two_probes_with_one_id(tmp_path: Path) -> None:
    line: dict[str, JsonValue] = {"id": "a", "query": "2 + 2?", "checker": "number", "reference": 4}
    path = written(tmp_path, line, "", line)
    with pytest.raises(DataError, match=rf"line 3: id: 'a' is also the id at {path}: line 1$"):
        load_bank(path)


def test_a_bank_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "locus" / "banks"
    assert (user_folder(), user_banks()) == (folder, [])
    with pytest.raises(DataError, match=r"^mine: no bank of that name; there are locus-bank, and"):
        load_bank("mine")
    folder.mkdir(parents=True)
    save_bank(folder / "mine.jsonl", PROBES)
    assert load_bank("mine").probes == tuple(PROBES)
    with pytest.raises(DataError, match=r"there are locus-bank, mine, and `locus probes fetch` fetches more"):
        load_bank("other")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert user_folder() == Path("~/.local/share/locus/banks").expanduser()


@pytest.mark.parametrize("probe", [*PROBES, *load_bank("locus-bank").probes[::7]], ids=lambda probe: probe.id)
def test_the_right_answer_of_a_reference_is_graded_as_right(probe: Probe) -> None:
    answer = right_answer(probe.checker, probe.reference)
    if answer is None:
        assert probe.reference is None
    else:
        assert grade(probe, answer).score == 1.0


def test_files_without_probes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"bank.jsonl: no probes"):
        load_bank(written(tmp_path, "\n"))
    with pytest.raises(DataError, match=r"none.jsonl: cannot be read: No such file"):
        load_bank(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"bank.jsonl: line 1: not a JSON value: nan"):
        load_bank(written(tmp_path, '{"query": "a", "checker": "exact", "reference": NaN}'))
