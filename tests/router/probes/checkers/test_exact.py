"""The checkers `exact`, `regex`, `json_schema` and `tool` on real-looking answers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.exact import canonical_literal, check_exact
from router.probes.checkers.json_answer import canonical_json, json_in
from router.probes.checkers.json_schema import check_json_schema, check_schema
from router.probes.checkers.regex import check_regex
from router.probes.checkers.tool import check_tool
from router.probes.checkers.visible import visible
from router.probes.json_types import JsonObject, JsonValue

TEXTS: list[tuple[str, str, bool]] = [
    ("Canberra", "Canberra", True),
    ("canberra.", "Canberra", True),
    ("**Canberra**", "Canberra", True),
    ('"Canberra"', "Canberra", True),
    ("`Canberra`", "Canberra", True),
    ("The capital of Australia is Canberra.", "Canberra", True),
    ("The capital of Australia is **Canberra**, not Sydney.", "Canberra", True),
    ("Answer: Canberra", "Canberra", True),
    ("**Answer:** Canberra", "Canberra", True),
    ("The answer is Canberra.", "Canberra", True),
    (r"\boxed{\text{Canberra}}", "Canberra", True),
    ("<think>Sydney? No.</think>Canberra", "Canberra", True),
    ("Canberra\n\nIt was chosen in 1908 as a compromise between Sydney and Melbourne.", "Canberra", True),
    ("It was chosen in 1908.\n\n**Canberra**", "Canberra", True),
    ("Sydney", "Canberra", False),
    ("Not Canberra", "Canberra", False),
    ("It is not Canberra but Sydney.", "Canberra", False),
    ("Either Canberra or Sydney", "Canberra", False),
    ("Canberra/Sydney", "Canberra", False),
    ("Canberra\n\nAnswer: Sydney", "Canberra", False),
    ("the Nile", "Nile", True),
    ("The Nile River is the longest.", "Nile", True),
    ("die Donau", "Donau", True),
    ("Die Antwort lautet: die Donau", "Donau", True),
    ("la Seine", "Seine", True),
    ("Réponse : la Seine", "Seine", True),
    ("東京", "東京", True),
    ("日本の首都は東京です。", "東京", True),
    ("答え：東京", "東京", True),
    ("答案是北京。", "北京", True),
    ("「東京」", "東京", True),
    ("大阪", "東京", False),
    ("Ａｎｓｗｅｒ： Canberra", "Canberra", True),
    ("caffè", "caffe", False),
    ("Answer: no", "no", True),
    ("C", "C#", False),
    ("**C#**", "C#", True),
    ("ab", "a*b", False),
    ("1 2 3", "1\n2\n3", True),
    ("```\n1\n2\n3\n```", "1\n2\n3", True),
    ("The output is:\n```\n1\n2\n3\n```", "1\n2\n3", True),
    ("Output:\n\n```text\nhello world\n```", "hello world", True),
    ("1 2 4", "1\n2\n3", False),
    ('The plural of "mouse" is **mice**.', "mice", True),
    ("mice (plural of mouse)", "mice", True),
    ("Mice.", "mice", True),
    ('The answer is "mice".', "mice", True),
    ('Der Plural ist "Häuser".', "Häuser", True),
    ("die Häuser", "Häuser", True),
    ("**Häuser**", "Häuser", True),
    ("Le pluriel est « chevaux ».", "chevaux", True),
    ("chevaux", "chevaux", True),
    ("El plural de «el lápiz» es **lápices**.", "lápices", True),
    ("食べて", "食べて", True),
    ("「食べて」です。", "食べて", True),
    ("兔", "兔", True),
    ("缺少的字是“兔”。", "兔", True),
    ("答案：兔", "兔", True),
    ('"swum"', "swum", True),
    ('swum – as in "I have swum"', "swum", True),
    ("Answer: Eva", "Eva", True),
    ("So the order is Ada, Ben, Eva.\n\nAnswer: Eva", "Eva", True),
    ("Number 3 is **Eva**.", "Eva", True),
    ("Answer: **Eva**", "Eva", True),
    ("**Answer: Eva**", "Eva", True),
    ("Answer: Eva (number 3)", "Eva", True),
    ("Friday", "Friday", True),
    ("It is Friday.", "Friday", True),
    ("**Friday**", "Friday", True),
    ("The day is a Friday.", "Friday", True),
    ("16:53", "16:53", True),
    ("The journey ends at 16:53.", "16:53", True),
    ("**16:53**", "16:53", True),
    ("Answer: 16:53", "16:53", True),
    ("2026-03-04", "2026-03-04", True),
    ("The date is **2026-03-04**.", "2026-03-04", True),
    ("hwgtlbi", "hwgtlbi", True),
    ("**hwgtlbi**", "hwgtlbi", True),
    ("The letters are: hwgtlbi", "hwgtlbi", True),
    ("Answer: tea", "tea", True),
    ("Dan drinks tea.\nAnswer: tea", "tea", True),
    ("друзья", "друзья", True),
    ("Множественное число: **друзья**", "друзья", True),
    ("друзья́", "друзья", True),
    ("きょう", "きょう", True),
    ("「きょう」", "きょう", True),
    ("faço", "faço", True),
    ('A forma é "faço".', "faço", True),
    ("Eu faço", "faço", True),
    ("dzieci", "dzieci", True),
    ("gedacht", "gedacht", True),
    ("Het voltooid deelwoord is **gedacht** (ik heb gedacht).", "gedacht", True),
]


@pytest.mark.parametrize(("answer", "reference", "correct"), TEXTS)
def test_short_texts(answer: str, reference: str, correct: bool) -> None:
    assert check_exact(CheckerSpec("exact"), visible(answer), reference).correct is correct


def test_accepted_forms_and_capital_letters() -> None:
    spec = CheckerSpec("exact", {"accept": ["USA", "United States"]})
    for answer in ("USA", "The United States", "united states of america", "The answer is the USA."):
        assert check_exact(spec, answer, "United States of America").correct
    assert check_exact(spec, "The answer is the USA.", "United States of America").canonical == "usa"
    exactly = CheckerSpec("exact", {"case": True})
    assert check_exact(exactly, "HeLLo", "HeLLo").correct
    assert not check_exact(exactly, "Hello", "HeLLo").correct


ITEMS: list[tuple[str, str, JsonValue, bool]] = [
    ("red, green, blue", "list", ["red", "green", "blue"], True),
    ("red, green and blue", "list", ["red", "green", "blue"], True),
    ("- red\n- green\n- blue", "list", ["red", "green", "blue"], True),
    ("1. red\n2. green\n3. blue", "list", ["red", "green", "blue"], True),
    ("Here they are:\n* **red**\n* **green**\n* **blue**", "list", ["red", "green", "blue"], True),
    ("Answer: red, green, blue", "list", ["red", "green", "blue"], True),
    ('["red", "green", "blue"]', "list", "red, green, blue", True),
    ("blue, green, red", "list", ["red", "green", "blue"], False),
    ("blue, green, red", "set", ["red", "green", "blue"], True),
    ("blue, green, red, red", "set", ["red", "green", "blue"], True),
    ("blue, green", "set", ["red", "green", "blue"], False),
    ("blau und grün", "set", ["grün", "blau"], True),
    ("赤、青、緑", "list", ["赤", "青", "緑"], True),
]


@pytest.mark.parametrize(("answer", "compare", "reference", "correct"), ITEMS)
def test_lists_and_sets(answer: str, compare: str, reference: JsonValue, correct: bool) -> None:
    assert check_exact(CheckerSpec("exact", {"compare": compare}), visible(answer), reference).correct is correct


LITERALS: list[tuple[str, str, bool]] = [
    ("[1, 2]", "[1, 2]", True),
    ("[1,2]", "[1, 2]", True),
    ("`[1, 2]`", "[1, 2]", True),
    ("**[1, 2]**", "[1, 2]", True),
    ("```python\n[1, 2]\n```", "[1, 2]", True),
    ("assert f([1]) == [1, 2]", "[1, 2]", True),
    ("```python\nassert f([1]) == [1, 2]\n```", "[1, 2]", True),
    ("The output is: [1, 2]", "[1, 2]", True),
    ("Step 1: x is `[1]`.\nStep 2: x is `[1, 2]`.\n\nAnswer: `[1, 2]`.", "[1, 2]", True),
    ("So the function returns `[1, 2]`.", "[1, 2]", True),
    ("[1, 2, 3]", "[1, 2]", False),
    ("(1, 2)", "[1, 2]", False),
    ("'ab'", "'ab'", True),
    ('"ab"', "'ab'", True),
    ("ab", "'ab'", True),
    ("Answer: ab", "'ab'", True),
    ("'Ab'", "'ab'", False),
    ("True", "True", True),
    ("1", "True", False),
    ("1.0", "1", False),
    ("{'b': 2, 'a': 1}", "{'a': 1, 'b': 2}", True),
    ("{2, 1}", "{1, 2}", True),
    ("None", "None", True),
    ("[" * 5_000, "[1]", False),
    ("-" * 3_000 + "1", "1", False),
]


@pytest.mark.parametrize(("answer", "reference", "correct"), LITERALS)
def test_literals(answer: str, reference: str, correct: bool) -> None:
    assert check_exact(CheckerSpec("exact", {"compare": "literal"}), visible(answer), reference).correct is correct


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(PLAIN)
def test_a_literal_is_equal_to_itself(value: object) -> None:
    assert canonical_literal(repr(value)) is not None
    assert check_exact(CheckerSpec("exact", {"compare": "literal"}), repr(value), repr(value)).correct


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="abcdefgh", min_size=1, max_size=12))
def test_a_text_is_equal_to_itself_in_each_dress(word: str) -> None:
    for form in (
        "{}",
        "{}.",
        "**{}**",
        "Answer: {}",
        "The answer is: {}.",
        "`{}`",
        "<think>no</think>{}",
        "```\n{}\n```",
    ):
        assert check_exact(CheckerSpec("exact"), visible(form.format(word)), word).correct


@pytest.mark.parametrize(
    ("answer", "correct"),
    [
        ("blue-bear-barn", True),
        ("```\nblue-bear-barn\n```", True),
        ("Blue-bear", False),
        ("Sure: blue-bear-barn", False),
        ("blue-bad-x", False),
    ],
)
def test_patterns(answer: str, correct: bool) -> None:
    spec = CheckerSpec("regex", {"pattern": r"\A[a-z]+(-[a-z]+){2}\z", "without": "bad"})
    assert check_regex(spec, visible(answer)).correct is correct


SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "code": {"type": "string", "pattern": "^[A-Z]+$"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
JSONS: list[tuple[str, bool]] = [
    ('{"name": "Ada", "age": 36}', True),
    ('{"age": 36.0, "name": " ada "}', True),
    ('```json\n{"name": "Ada", "age": 36}\n```', True),
    ('Here is the JSON:\n\n```json\n{\n  "name": "Ada",\n  "age": 36\n}\n```\nAnything else?', True),
    ('The result is {"name": "Ada", "age": 36}.', True),
    ('<think>{"name": "?"}</think>{"name": "Ada", "age": 36}', True),
    ('{"name": "Ada", "age": "36"}', False),
    ('{"name": "Ada"}', False),
    ('{"name": "Ada", "age": 37}', False),
    ('{"name": "Ada", "age": 36, "x": 1}', False),
    ("{'name': 'Ada', 'age': 36}", False),
    ('{"name": "Ada", "age": 36', False),
    ("Ada is 36.", False),
    ("{" * 10_000, False),
    ("[" * 10_000, False),
]


@pytest.mark.parametrize(("answer", "correct"), JSONS, ids=range(len(JSONS)))
def test_json_by_schema_and_reference(answer: str, correct: bool) -> None:
    spec = CheckerSpec("json_schema", {"schema": SCHEMA})
    assert check_json_schema(spec, visible(answer), {"name": "Ada", "age": 36}).correct is correct


def test_patterns_of_a_schema_take_linear_time() -> None:
    schema: JsonObject = {"type": "string", "pattern": "^(a+)+$"}
    spec = CheckerSpec("json_schema", {"schema": schema})
    assert not check_json_schema(spec, json.dumps("a" * 10_000 + "b"), None).correct


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "number-like"}, "schema: 'number-like' is not valid"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "not a pattern of linear time"),
        ({"patternProperties": {"a": {}}}, "schema: patternProperties is not supported"),
    ],
)
def test_schemas_that_are_not_taken(schema: JsonObject, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        check_schema(schema)


def test_a_schema_fetches_nothing() -> None:
    spec = CheckerSpec("json_schema", {"schema": {"$ref": "http://127.0.0.1:1/schema.json"}})
    with pytest.raises(ValueError, match=r"schema: .*127\.0\.0\.1:1/schema\.json"):
        check_json_schema(spec, "{}", None)


@settings(max_examples=50, deadline=None)
@given(PLAIN)
def test_json_in_prose_is_found(value: bool | int | str | None) -> None:
    text = json.dumps({"value": value})
    for form in (text, f"```json\n{text}\n```", f"Here it is: {text} Done."):
        found = json_in(form)
        assert found is not None
        assert canonical_json(found[0]) == canonical_json({"value": value})


def call(name: str, arguments: str) -> JsonObject:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


ROME: JsonObject = {"name": "weather", "arguments": {"city": "Rome", "days": 2}}
CALLS: list[tuple[list[JsonObject], JsonValue, bool]] = [
    ([call("weather", '{"city": "Rome", "days": 2}')], ROME, True),
    ([call("weather", '{"days": 2.0, "city": "rome"}')], ROME, True),
    ([call("weather", '{"days": 2, "city": "Roma"}')], ROME, True),
    ([call("weather", '{"days": 2, "city": "Rome", "unit": "C"}')], ROME, True),
    ([call("weather", '{"days": 2, "city": "Paris"}')], ROME, False),
    ([call("weather", '{"city": "Rome"}')], ROME, False),
    ([call("weather", '{"days": "2", "city": "Rome"}')], ROME, False),
    ([call("weather", '{"days": 2, "city": "Rome", "hour": 3}')], ROME, False),
    ([call("weather", '{"days": 2, "city":')], ROME, False),
    ([call("wetter", '{"days": 2, "city": "Rome"}')], ROME, False),
    ([call("weather", '{"days": 2, "city": "Rome"}')] * 2, ROME, False),
    ([call("b", "{}"), call("a", "")], [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}], True),
    ([call("a", "{}"), call("a", "{}")], [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}], False),
    ([], [], True),
    ([], ROME, False),
    ([call("a", "{}")], [], False),
    ([{"function": None}], ROME, False),
]


@pytest.mark.parametrize(("calls", "reference", "correct"), CALLS, ids=range(len(CALLS)))
def test_tool_calls(calls: list[JsonObject], reference: JsonValue, correct: bool) -> None:
    spec = CheckerSpec("tool", {"accept": {"city": ["Roma"]}, "optional": ["unit"]})
    assert check_tool(spec, calls, reference).correct is correct


def test_equal_calls_have_one_canonical_form() -> None:
    calls = [call("b", '{"x": 1.0, "y": "A"}'), call("a", "{}")]
    other = [call("a", "{ }"), call("b", '{"y": "A", "x": 1}')]
    forms = {check_tool(CheckerSpec("tool"), item, []).canonical for item in (calls, other)}
    assert forms == {'[{"arguments":{"x":1,"y":"a"},"name":"b"},{"arguments":{},"name":"a"}]'}
